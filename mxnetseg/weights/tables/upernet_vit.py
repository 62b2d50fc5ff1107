"""UPerNet on vision transformers, as published by mmsegmentation and by transformers."""

from __future__ import annotations

from typing import Any, Dict

from mxnetseg.backbones.naming import under
from mxnetseg.backbones.token_names import TOKENS
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.upernet import MMSEG
from mxnetseg.weights.tables.vit import MMSEG_VIT, position_map, transformer, with_grid, with_window

VIT = dict(patch_bias=False, resizing="bicubic")
reference(
    "mmseg_upernet_deit-s16",
    model="upernet",
    form="mmseg",
    rules=[*MMSEG_VIT, *MMSEG],
    options=dict(backbone="vit_small", aux_level=3, backbone_options=dict(VIT, pyramid=None)),
    prepare=position_map(class_token=True),
    adapt=with_grid(class_token=True),
)
reference(
    "mmseg_upernet_vit-b16_mln",
    model="upernet",
    form="mmseg",
    rules=[
        (r"^neck\.lateral_convs\.(\d)\.conv\.", r"backbone.levels.\1.reduce."),
        (r"^neck\.convs\.(\d)\.conv\.", r"backbone.levels.\1.smooth."),
        *MMSEG_VIT,
        *MMSEG,
    ],
    options=dict(
        backbone="vit_base", aux_level=3, backbone_options=dict(VIT, pyramid="multilevel_truncated")
    ),
    prepare=position_map(class_token=True),
    adapt=with_grid(class_token=True),
)

for _size, _width, _taps in (("base", 768, [3, 5, 7, 11]), ("large", 1024, [7, 11, 15, 23])):
    reference(
        f"mmseg_upernet_beit-{_size[0]}",
        model="upernet",
        form="mmseg",
        rules=[
            (r"^neck\.upsample_4x\.", "backbone.levels.0."),
            (r"^neck\.upsample_2x\.", "backbone.levels.1."),
            *MMSEG_VIT,
            *MMSEG,
        ],
        options=dict(
            backbone=f"beit_{_size}",
            width=_width,
            backbone_options=dict(pyramid="transposed", taps=_taps),
        ),
        prepare=transformer("backbone.", _taps[-1] + 1, keys_have_bias=False),
        adapt=with_window,
    )


def _hf(prefix: str, first: str, second: str) -> Dict[str, Any]:
    """BEiT and data2vec of transformers, whose taps count the embedding: blocks 2, 4, 6 and 10, so that the
    last two are stored and never run. `first`, `second`: of the pyramid, how its layers are called."""
    before = prefix.rstrip(".")
    return dict(
        model="upernet",
        form="mmseg",
        rules=[
            (r"\.convolution\.", ".conv."),
            (r"\.normalization\.", ".bn."),
            (first + r"(?:conv_transpose1|0)\.", "backbone.levels.0.0."),
            (first + r"(?:bn|1)\.", "backbone.levels.0.1."),
            (first + r"(?:conv_transpose2|3)\.", "backbone.levels.0.3."),
            (second, "backbone.levels.1.0."),
            *under(prefix, TOKENS),
            (r"^decode_head\.classifier\.", "head.classifier."),
            (r"^decode_head\.psp_modules\.blocks\.(\d)\.conv\.", r"head.ppm.stages.\1."),
            (r"^decode_head\.psp_bottleneck\.", "head.ppm_fuse."),
            (r"^auxiliary_head\.classifier\.", "aux_heads.0.classifier."),
            *MMSEG,
        ],
        options=dict(
            backbone="beit_base",
            width=768,
            backbone_options=dict(pyramid="transposed", taps=[1, 3, 5, 9], epsilon=1e-12),
        ),
        unused=(rf"^{before}\.(?:encoder\.)?layers?\.1[01]\.", rf"^{before}\.layernorm\."),
        prepare=transformer(prefix, 10, keys_have_bias=False),
        adapt=with_window,
    )


reference("hf_beit-base", **_hf("beit.", r"^fpn\.fpn1\.", r"^fpn\.fpn2\."))
reference("hf_data2vec-vision-base", **_hf("data2vec_vision.", r"^fpn1\.", r"^fpn2\.0\."))

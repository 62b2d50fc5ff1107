"""UPerNet as published by mmsegmentation, transformers and segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.backbones.hierarchical_names import CONVNEXT, SWIN, TWINS, swin_tensors
from mxnetseg.backbones.naming import split_projections, under
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET
from mxnetseg.weights.tables.encoders import smp, unit

MMSEG = [
    *MMSEG_AUX,
    (r"^decode_head\.conv_seg\.", "head.classifier."),
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"head.ppm.stages.\1."),
    (r"^decode_head\.bottleneck\.", "head.ppm_fuse."),
    (r"^decode_head\.lateral_convs\.", "head.laterals."),
    (r"^decode_head\.fpn_convs\.", "head.smooths."),
    (r"^decode_head\.fpn_bottleneck\.", "head.fuse."),
]
# transformers' names are mmsegmentation's but for these.
TRANSFORMERS = [
    (r"\.batch_norm\.", ".bn."),
    (r"^(auxiliary|decode)_head\.classifier\.", r"\1_head.conv_seg."),
    *MMSEG,
]

reference(
    "mmseg_upernet_r50",
    model="upernet",
    form="mmseg",
    rules=[*MMSEG_RESNET, *MMSEG],
    options=dict(backbone="resnet50_v1c"),
)
reference(
    "mmseg_upernet_swin-t",
    model="upernet",
    form="mmseg",
    rules=[*under("backbone.", SWIN), *MMSEG],
    options=dict(backbone="swin_tiny"),
    prepare=swin_tensors,
)
reference(
    "hf_upernet_swin-tiny",
    model="upernet",
    form="mmseg",
    rules=[*under("backbone.", SWIN), *TRANSFORMERS],
    options=dict(backbone="swin_tiny", backbone_options=dict(skip=0.1)),
    # The classifier's norm, which the maps do not pass.
    unused=(r"^backbone\.swin\.layernorm\.",),
    prepare=swin_tensors,
)
reference(
    "mmseg_upernet_convnext-t",
    model="upernet",
    form="mmseg",
    rules=[*under("backbone.", CONVNEXT), *MMSEG],
    options=dict(backbone="convnext_tiny", backbone_options=dict(layer_scale=1.0)),
)
reference(
    "hf_upernet_convnext-tiny",
    model="upernet",
    form="mmseg",
    rules=[*under("backbone.", CONVNEXT), *TRANSFORMERS],
    options=dict(backbone="convnext_tiny", backbone_options=dict(skip=0.0)),
)
for _kind in ("pcpvt", "svt"):
    reference(
        f"mmseg_upernet_twins_{_kind}-s",
        model="upernet",
        form="mmseg",
        rules=[*under("backbone.", TWINS), *MMSEG],
        options=dict(backbone=f"twins_{_kind}_small"),
        prepare=split_projections,
    )

smp(
    "upernet",
    "resnet34",
    "upernet",
    [
        (r"^decoder\.feature_norms\.", "head.input_norms."),
        *unit(r"decoder\.psp\.blocks\.(\d)\.1", r"head.ppm.stages.\1"),
        *unit(r"decoder\.psp\.out_conv", "head.ppm_fuse"),
        (
            r"^decoder\.fpn_lateral_blocks\.(\d)\.conv_norm_relu\.",
            lambda m: f"laterals.{2 - int(m.group(1))}.",
        ),
        (r"^decoder\.fpn_conv_blocks\.(\d)\.", lambda m: f"smooths.{2 - int(m.group(1))}."),
        *unit(r"(laterals|smooths)\.(\d)", r"head.\1.\2"),
        *unit(r"decoder\.fusion_block", "head.fuse"),
    ],
)

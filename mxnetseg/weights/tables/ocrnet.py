"""OCRNet as published in SFSegNets and mmsegmentation."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_HRNET, MMSEG_RESNET, SFSEGNETS_RESNET


def unit(prefix: str, index: int, ours: str) -> List[Rule]:
    """A convolution and the batch norm after it, numbered from `index` in a sequence."""
    return [(rf"^{prefix}\.{index}\.", f"{ours}.conv."), (rf"^{prefix}\.{index + 1}\.", f"{ours}.bn.")]


BLOCK = r"spatial_ocr_head\.object_context_block"
reference(
    "ocrnet",
    model="ocrnet",
    rules=[
        *SFSEGNETS_RESNET,
        *unit("conv_3x3", 0, "head.reduce"),
        *unit(rf"{BLOCK}\.f_pixel", 0, "head.attention.query.0"),
        *unit(rf"{BLOCK}\.f_pixel", 3, "head.attention.query.1"),
        *unit(rf"{BLOCK}\.f_object", 0, "head.attention.key.0"),
        *unit(rf"{BLOCK}\.f_object", 3, "head.attention.key.1"),
        *unit(rf"{BLOCK}\.f_down", 0, "head.attention.value"),
        *unit(rf"{BLOCK}\.f_up", 0, "head.attention.out"),
        *unit(r"spatial_ocr_head\.conv_bn_dropout", 0, "head.join"),
        *unit("dsn_head", 0, "head.region_unit"),
        (r"^dsn_head\.3\.", "head.region_classifier."),
        (r"^head\.(weight|bias)$", r"head.classifier.\1"),
    ],
    form="sfsegnets",
)

MMSEG = [
    (r"^decode_head\.0\.convs\.0\.", "head.region_unit."),
    (r"^decode_head\.0\.conv_seg\.", "head.region_classifier."),
    (r"^decode_head\.1\.bottleneck\.", "head.reduce."),
    (r"^decode_head\.1\.conv_seg\.", "head.classifier."),
    (r"^decode_head\.1\.object_context_block\.query_project\.", "head.attention.query."),
    (r"^decode_head\.1\.object_context_block\.key_project\.", "head.attention.key."),
    (r"^decode_head\.1\.object_context_block\.value_project\.", "head.attention.value."),
    (r"^decode_head\.1\.object_context_block\.out_project\.", "head.attention.out."),
    (r"^decode_head\.1\.object_context_block\.bottleneck\.", "head.join."),
]
reference(
    "mmseg_ocrnet_r101-d8",
    model="ocrnet",
    rules=MMSEG_RESNET + MMSEG,
    form="mmseg",
)
reference(
    "mmseg_ocrnet_hr18",
    model="ocrnet",
    rules=MMSEG_HRNET + MMSEG,
    form="mmseg_hrnet",
    options=dict(backbone="hrnet_w18"),
)

"""EncNet as published by mmsegmentation, dilated and on JPU (FastFCN)."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_JPU, MMSEG_RESNET

MMSEG = [
    *MMSEG_RESNET,
    (r"^auxiliary_head\.convs\.", "aux_heads.1.units."),
    (r"^auxiliary_head\.conv_seg\.", "aux_heads.1.classifier."),
    (r"^decode_head\.se_layer\.", "aux_heads.0.classifier."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
    (r"^decode_head\.bottleneck\.", "head.reduce."),
    (r"^decode_head\.enc_module\.encoding_project\.", "head.project."),
    (r"^decode_head\.enc_module\.encoding\.0\.", "head.encoding."),
    (r"^decode_head\.enc_module\.encoding\.1\.", "head.norm."),
    (r"^decode_head\.enc_module\.fc\.0\.", "head.gate."),
]
reference(
    "mmseg_encnet_r50-d8",
    model="encnet",
    rules=MMSEG,
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
reference(
    "mmseg_fastfcn_r50-d32_jpu_enc",
    model="encnet",
    rules=MMSEG_JPU + MMSEG,
    form="mmseg_jpu",
)

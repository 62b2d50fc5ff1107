"""DenseASPP as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_denseaspp_resnet50",
    model="denseaspp",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.dense_aspp\.dilate(\d)\.", lambda m: f"head.dense_aspp.atrous.{int(m.group(1)) - 1}."),
        (r"^head\.dense_aspp\.trans(\d)\.", lambda m: f"head.dense_aspp.reduce.{int(m.group(1)) - 1}."),
        (r"^head\.dense_aspp\.projection\.", "head.project.0."),
    ]
    + mxseg_fcn_head(r"head\.head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

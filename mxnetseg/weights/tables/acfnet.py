"""ACFNet as published by MXNetSeg: a form with attention over channels, without class centres."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_acfnet_resnet50",
    model="acfnet",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.aspp\.projection\.", "head.aspp.project."),
        (r"^head\.acf\.conv_1\.", "head.class_feature.reduce."),
        (r"^head\.acf\.conv_2\.", "head.class_feature.refine."),
    ]
    + mxseg_fcn_head(r"head\.coarse_head", "head.coarse")
    + mxseg_fcn_head(r"head\.head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.1"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

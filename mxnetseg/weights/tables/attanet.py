"""AttaNet as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_attanet_resnet18",
    model="attanet",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.afm\.conv3x3_(high|low)\.", r"head.fusion.reduce_\1."),
        (r"^head\.afm\.conv1x1_1\.", "head.fusion.squeeze."),
        (r"^head\.afm\.conv1x1_2\.", "head.fusion.weigh."),
        (r"^head\.conv3x3\.", "head.refine."),
        (r"^head\.sam\.(query|key|value)_conv\.", r"head.strip.\1."),
    ]
    + mxseg_fcn_head(r"head\.seg", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
)

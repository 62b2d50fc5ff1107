"""FaPN as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_fapn_resnet50",
    model="fapn",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.conv\.", "head.reduce."),
        (r"^head\.align_c(\d)\.", lambda m: f"head.aligns.{3 - int(m.group(1))}."),
        (r"\.fsm\.conv1\.", ".select.score."),
        (r"\.fsm\.conv2\.conv\.", ".select.reduce."),
        (r"\.offset\.", ".guide."),
        (r"\.align\.deformable_conv_", ".align."),
        (r"\.align\.offset_", ".align.offset."),
    ]
    + mxseg_fcn_head(r"head\.seg", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
)

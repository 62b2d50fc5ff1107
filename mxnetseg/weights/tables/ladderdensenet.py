"""LadderDenseNet as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mxseg_fcn_head, mxseg_fusions

reference(
    "mxseg_ladderdensenet_densenet121",
    model="ladderdensenet",
    rules=[(r"^(stem|layer[1-4])\.", r"backbone.\1."), (r"^head\.conv_c4\.", "head.project.")]
    + mxseg_fusions(("fusion_c3", "fusion_c2", "fusion_c1"), "head.rungs")
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
)

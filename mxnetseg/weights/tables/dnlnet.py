"""The disentangled non-local network as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_NON_LOCAL, mmseg_context_head

reference(
    "mmseg_dnl_r50-d8",
    model="dnlnet",
    rules=mmseg_context_head("dnl_block", MMSEG_NON_LOCAL),
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)

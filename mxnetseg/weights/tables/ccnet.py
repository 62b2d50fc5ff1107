"""CCNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mmseg_context_head

for _depth in (50, 101):
    reference(
        f"mmseg_ccnet_r{_depth}-d8",
        model="ccnet",
        rules=mmseg_context_head("cca", [(r"(query|key|value)_conv\.", r"\1."), (r"gamma\.scale$", "gamma")]),
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )

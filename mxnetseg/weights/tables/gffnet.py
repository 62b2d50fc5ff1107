"""GFFNet as published by MXNetSeg, which fuses level after level."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head


def _level(pattern, ours):
    """MXNetSeg numbers levels from 1."""
    return rf"^head\.{pattern}(\d)\.", lambda m: f"head.{ours}.{int(m.group(1)) - 1}."


reference(
    "mxseg_gffnet_resnet50",
    model="gffnet",
    rules=GLUONCV_RESNET
    + [
        _level(r"ppm\.0\.conv", "context.0.stages"),
        (r"^head\.ppm\.1\.", "head.context.1."),
        _level("conv1x1_", "fusion.reduce"),
        (r"^head\.gate_(\d)\.conv\.", lambda m: f"head.fusion.gates.{int(m.group(1)) - 1}."),
        _level("fusion_", "fusion.refine"),
        (r"^head\.dfp\.blk_(\d)\.", lambda m: f"head.pyramid.units.{4 - int(m.group(1))}."),
    ]
    + mxseg_fcn_head(r"head\.dfp\.head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

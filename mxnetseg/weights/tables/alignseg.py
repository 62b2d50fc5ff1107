"""AlignSeg as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_alignseg_resnet50",
    model="alignseg",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.align_cm\.conv1x1\.", "head.context.context."),
        (r"^head\.align_cm\.conv3x3\.", "head.context.local."),
        (r"^head\.align_cm\.delta\.", "head.context.predict."),
        (r"^head\.align_(\d)\.", lambda m: f"head.aggregate.{int(m.group(1)) - 1}."),
        (r"\.align\.delta\.", ".predict."),
        (r"\.predict\.0\.", ".predict.reduce."),
        (r"\.predict\.1\.", ".predict.flow."),
        (r"\.rcb_1\.", ".high_unit."),
        (r"\.rcb_2\.", ".low_unit."),
        (r"^head\.rcb\.", "head.refine."),
        (r"\.(high_unit|low_unit|refine)\.conv1x1\.", r".\1.reduce."),
        (r"\.(high_unit|low_unit|refine)\.conv3x3_1\.", r".\1.inner."),
        (r"\.(high_unit|low_unit|refine)\.conv3x3_2\.", r".\1.outer."),
    ]
    + mxseg_fcn_head(r"head\.head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

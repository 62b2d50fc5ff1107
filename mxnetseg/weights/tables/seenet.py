"""SeENet as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_seenet_resnet50",
    model="seenet",
    rules=GLUONCV_RESNET
    + [
        (
            r"^head\.seemc(\d)\.branch(\d)\.",
            lambda m: f"head.enhance{m.group(1)}.branches.{int(m.group(2)) - 1}.",
        ),
        (r"\.conv_l1\.", ".left.0."),
        (r"\.conv_l2\.", ".left.1."),
        (r"\.conv_r1\.", ".right.0."),
        (r"\.conv_r2\.", ".right.1."),
        (r"^head\.seemc(\d)\.proj\.", r"head.enhance\1.project."),
        (r"^head\.bam\.conv1x1\.", "head.boundary.score."),
        (r"^head\.bam\.fconv1x1\.", "head.boundary.reduce."),
        (r"^head\.bam\.fconv3x3\.", "head.boundary.refine."),
        (r"^head\.bam\.cconv3x3\.", "head.boundary.fuse."),
        (r"^head\.bam\.cconv1x1\.", "head.classifier."),
    ]
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

"""BiAlignNet as published in SFSegNets."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.bisenet import SFSEGNETS_SPATIAL
from mxnetseg.weights.tables.common import sfsegnets_ppm

RULES = (
    SFSEGNETS_SPATIAL
    + sfsegnets_ppm("ppm")
    + [
        (r"^spatial2Context\.", "head.align_context."),
        (r"^context2Spatial\.", "head.align_spatial."),
        (r"^(head\.align_\w+)\.down_h\.", r"\1.reduce_context."),
        (r"^(head\.align_\w+)\.down_l\.", r"\1.reduce_spatial."),
        (r"^(head\.align_\w+)\.flow_make\.", r"\1.flow."),
        (r"^(head\.align_\w+)\.gate\.gate\.0\.", r"\1.gate."),
        (r"^conv_out\.conv\.0\.", "head.classifier.unit.conv."),
        (r"^conv_out\.conv\.1\.", "head.classifier.unit.bn."),
        (r"^conv_out\.conv_out\.", "head.classifier.classifier."),
    ]
)
# Context classifiers that are stored but never run.
IDLE = (r"^cxt(16|8)_aux\.",)

reference(
    "bialign",
    model="bialign",
    rules=RULES,
    form="sfsegnets",
)
reference(
    "bialign_dfnetv1_aux",
    model="bialign",
    rules=RULES,
    unused=IDLE,
    form="sfsegnets",
    options=dict(backbone="dfnetv1"),
)

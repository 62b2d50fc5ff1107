"""DFSegNet as published in SFSegNets."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import sfsegnets_ppm

RULES = sfsegnets_ppm("ppm") + [
    (r"^cc([345])\.", lambda m: f"head.laterals.{int(m.group(1)) - 3}."),
    (r"^fn([34])\.fusion\.", lambda m: f"head.fusions.{int(m.group(1)) - 3}.blend."),
    (r"^fc\.aux\.0\.", "head.classifier.units.0.conv."),
    (r"^fc\.aux\.1\.", "head.classifier.units.0.bn."),
    (r"^fc\.aux\.4\.", "head.classifier.classifier."),
]
for _version in (1, 2):
    reference(
        f"dfseg_dfnetv{_version}",
        model="dfseg",
        rules=RULES,
        form="sfsegnets",
        options=dict(backbone=f"dfnetv{_version}"),
    )

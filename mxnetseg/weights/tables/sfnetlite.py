"""SFNet-Lite as published by its authors (SFSegNets)."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import SFSEGNETS_RESNET, sfsegnets_ppm, stdc_backbone, stdc_unused

HEAD = sfsegnets_ppm(r"head\.ppm") + [
    (r"^head\.fpn_in\.0\.0\.", "head.lateral_fine.conv."),
    (r"^head\.fpn_in\.0\.1\.", "head.lateral_fine.bn."),
    (r"^head\.fpn_in\.1\.0\.", "head.lateral_middle.conv."),
    (r"^head\.fpn_in\.1\.1\.", "head.lateral_middle.bn."),
    (r"^head\.flow_align_module\.down_h\.", "head.align.reduce_high."),
    (r"^head\.flow_align_module\.down_l\.", "head.align.reduce_low."),
    (r"^head\.flow_align_module\.flow_make\.", "head.align.flow."),
    (r"^head\.flow_align_module\.flow_gate\.0\.", "head.align.gate."),
    (r"^head\.conv_last\.0\.0\.", "head.fuse.conv."),
    (r"^head\.conv_last\.0\.1\.", "head.fuse.bn."),
    (r"^head\.conv_last\.1\.", "head.classifier."),
]
# Built and stored, never run and so never trained: the supervision branch, and ResNet-18's third lateral.
IDLE = (r"^head\.dsn\.", r"^head\.fpn_in\.2\.")

reference(
    "sfnetlite_resnet18",
    model="sfnetlite",
    rules=SFSEGNETS_RESNET + HEAD,
    unused=IDLE,
    options=dict(backbone="resnet18"),
)
for _id, _version, _gate in (
    ("sfnetlite_stdc1", 1, "statistics"),
    ("sfnetlite_stdc2", 2, "statistics"),
    ("sfnetlite_stdc1_spatial", 1, "features"),
):
    reference(
        _id,
        model="sfnetlite",
        rules=stdc_backbone(_version) + HEAD,
        unused=IDLE + stdc_unused(),
        options=dict(backbone=f"stdc{_version}", gate=_gate),
    )

"""SeaFormer as published by its authors."""

from __future__ import annotations

from mxnetseg.backbones.hierarchical_names import SEAFORMER
from mxnetseg.backbones.naming import under
from mxnetseg.weights.rename import reference

for _size in ("tiny", "small", "base", "large"):
    reference(
        f"seaformer_{_size}",
        model="seaformer",
        options=dict(backbone=f"seaformer_{_size}"),
        rules=[
            *under("backbone.", SEAFORMER.rules),
            (r"^decode_head\.linear_fuse\.", "head.fuse."),
            (r"^decode_head\.fuse(\d)\.", lambda m: f"head.fusions.{int(m.group(1)) - 1}."),
            (r"\.local_embedding\.", ".local."),
            (r"\.global_act\.", ".gate."),
            (r"^decode_head\.conv_seg\.", "head.classifier."),
        ],
    )

"""SRNet (squeeze reasoning) as published in SFSegNets."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import SFSEGNETS_RESNET

RULES = SFSEGNETS_RESNET + [
    (r"^head\.in_module\.", "head.reduce."),
    (r"^head\.module\.t\.", "head.reasoning.values."),
    (r"^head\.module\.p\.", "head.reasoning.queries."),
    (r"^head\.module\.g\.", "head.reasoning.keys."),
    (r"^head\.module\.z\.", "head.reasoning.expand."),
    (r"^head\.module\.gn\.", "head.reasoning.norm."),
    (r"^head\.module\.conv_adj\.", "head.reasoning.adjacency."),
    (r"^head\.module\.bn_adj\.", "head.reasoning.adjacency_bn."),
    (r"^head\.module\.conv_wg\.", "head.reasoning.mix."),
    (r"^head\.module\.bn_wg\.", "head.reasoning.mix_bn."),
    (r"^head\.final\.", "head.classifier."),
    (r"^aux_layer\.aux\.", "aux_heads.0."),
    (r"^(head\.classifier|aux_heads\.0)\.0\.", r"\1.units.0.conv."),
    (r"^(head\.classifier|aux_heads\.0)\.1\.", r"\1.units.0.bn."),
    (r"^(head\.classifier|aux_heads\.0)\.4\.", r"\1.classifier."),
]
for _depth in (50, 101):
    reference(
        f"srnet_resnet{_depth}",
        model="srnet",
        rules=RULES,
        form="sfsegnets",
        options=dict(backbone=f"resnet{_depth}"),
    )

"""OCNet as published by AceCoooool (on JPU) and the SFNet authors."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    SFSEGNETS_RESNET,
    gluoncv_head,
    without_twins,
)

ONE_KEY = without_twins(".f_query.", ".f_key.")


def context_rules(prefix: str, block: str) -> List[Rule]:
    """Reduction (`prefix`.0, .1) and attention blocks (`prefix`.3), which are our `block`."""
    return [
        (rf"^{prefix}\.0\.", "head.context.reduce.conv."),
        (rf"^{prefix}\.1\.", "head.context.reduce.bn."),
        (rf"^{prefix}\.3\.stages\.(\d)\.", block),
        (r"^(head\.context\.block.*)\.f_key\.0\.", r"\1.key.conv."),
        (r"^(head\.context\.block.*)\.f_key\.1\.", r"\1.key.bn."),
        (r"^(head\.context\.block.*)\.f_value\.", r"\1.value."),
        (r"^(head\.context\.block.*)\.W\.", r"\1.out."),
    ]


def unit(theirs: str, ours: str) -> List[Rule]:
    return [(rf"^{theirs}\.0\.", f"{ours}.conv."), (rf"^{theirs}\.1\.", f"{ours}.bn.")]


ACE = [
    *ACE_RESNET,
    *ACE_JPU,
    *gluoncv_head("auxlayer", "aux_heads.0"),
    (r"^cls\.", "head.classifier."),
]
for _depth in (50, 101):
    reference(
        f"ace_ocnet_base_resnet{_depth}",
        model="ocnet",
        rules=[
            *ACE,
            *unit(r"context\.3\.conv_bn_dropout", "head.context.fuse"),
            *context_rules("context", "head.context.block."),
        ],
        prepare=ONE_KEY,
        form="ace",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )
reference(
    "ace_ocnet_asp_resnet50",
    model="ocnet",
    rules=[
        *ACE,
        *unit(r"context\.0\.context\.3\.conv_bn_dropout", "head.context.summary.0"),
        *context_rules(r"context\.0\.context", "head.context.block."),
        *unit(r"context\.0\.conv2", "head.context.branches.0"),
        *unit(r"context\.0\.conv3", "head.context.branches.1"),
        *unit(r"context\.0\.conv4", "head.context.branches.2"),
        *unit(r"context\.0\.conv5", "head.context.branches.3"),
        *unit(r"context\.0\.conv_bn_dropout", "head.context.fuse"),
    ],
    prepare=ONE_KEY,
    form="ace_asp",
    options=dict(backbone="resnet50_v1s"),
)

SFSEGNETS = [*SFSEGNETS_RESNET, (r"^head\.out\.", "head.classifier.")]
reference(
    "ocnet",
    model="ocnet",
    rules=[
        *SFSEGNETS,
        *unit(r"head\.context\.context\.3\.project", "head.context.summary.0"),
        *context_rules(r"head\.context\.context", "head.context.block."),
        *unit(r"head\.context\.b1", "head.context.branches.0"),
        *unit(r"head\.context\.b2", "head.context.branches.1"),
        *unit(r"head\.context\.b3", "head.context.branches.2"),
        *unit(r"head\.context\.b4", "head.context.branches.3"),
        *unit(r"head\.context\.project", "head.context.fuse"),
    ],
    prepare=ONE_KEY,
    form="sfsegnets",
)
reference(
    "ocnet_pyramid",
    model="ocnet",
    rules=[
        *SFSEGNETS,
        *unit(r"head\.context\.3\.up_dr", "head.context.widen"),
        *unit(r"head\.context\.3\.project", "head.context.fuse"),
        *context_rules(r"head\.context", r"head.context.blocks.\1."),
    ],
    prepare=ONE_KEY,
    form="sfsegnets_pyramid",
)

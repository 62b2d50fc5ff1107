"""PIDNet as published in mmsegmentation."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import PIDNET, Rule, under
from mxnetseg.weights.rename import reference


def head(name: str, classifier: str, ours: str) -> List[Rule]:
    """A pre-activated head and its classifier, stored apart."""
    return [
        (rf"^decode_head\.{name}\.conv\.", f"{ours}.unit."),
        (rf"^decode_head\.{name}\.norm\.", f"{ours}.bn."),
        (rf"^decode_head\.{classifier}\.", f"{ours}.classifier."),
    ]


for _size in "sml":
    reference(
        f"mmseg_pidnet-{_size}",
        model="pidnet",
        rules=[
            *under("backbone.", PIDNET),
            *head("i_head", "conv_seg", "head.classifier"),
            *head("p_head", "p_cls_seg", r"aux_heads.0"),
            *head("d_head", "d_cls_seg", r"aux_heads.1"),
        ],
        form="mmseg",
        options=dict(backbone=f"pidnet_{_size}"),
    )

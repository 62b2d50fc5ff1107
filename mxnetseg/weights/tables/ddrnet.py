"""DDRNet as published in mmsegmentation."""

from __future__ import annotations

from mxnetseg.backbones.naming import DDRNET, under
from mxnetseg.weights.rename import reference

RULES = [
    *under("backbone.", DDRNET),
    (r"^decode_head\.head\.0\.", "head.classifier.unit."),
    (r"^decode_head\.head\.1\.", "head.classifier.bn."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
    (r"^decode_head\.aux_head\.0\.", "aux_heads.0.unit."),
    (r"^decode_head\.aux_head\.1\.", "aux_heads.0.bn."),
    (r"^decode_head\.aux_cls_seg\.", "aux_heads.0.classifier."),
]
for _id, _backbone in (("mmseg_ddrnet_23-slim", "ddrnet23_slim"), ("mmseg_ddrnet_23", "ddrnet23")):
    reference(_id, model="ddrnet", form="mmseg", rules=RULES, options=dict(backbone=_backbone))

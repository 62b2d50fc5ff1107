"""EPRNet as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference

RULES = [
    (r"act\.act\.alpha$", "act.alpha"),
    (r"^(conv|bn|act)\.", r"backbone.stem.\1."),
    (r"^(layer[1-3])\.", r"backbone.\1."),
    (r"\.concurrent\.", ".branches."),
    (r"\.pyramid\.conv1x1\.", ".pyramid.project."),
    (r"\.skip\.", ".shortcut.conv."),
    (r"\.skip_bn\.", ".shortcut.bn."),
    (r"^head\.conv1\.", "head.unit."),
    (r"^head\.conv2\.", "head.classifier."),
]
for _id, _backbone in (("eprnetcls", "eprnet"), ("eprnetcls_light", "eprnet_light")):
    reference(
        f"mxseg_eprnet_{_id}",
        model="eprnet",
        form="mxnetseg",
        rules=RULES,
        options=dict(backbone=_backbone),
    )

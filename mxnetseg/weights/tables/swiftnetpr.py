"""SwiftNet's resolution pyramid as published by its authors and by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mxseg_fcn_head

# The authors number levels from the deepest.
AUTHORS = [
    (r"^backbone\.img_(mean|std)$", r"backbone.\1"),
    (r"^backbone\.(conv1|bn1|layer[1-4])\.", r"backbone.\1."),
    (r"^backbone\.upsample_bottlenecks\.(\d)\.", lambda m: f"head.projections.{3 - int(m.group(1))}."),
    (r"^backbone\.upsample_blends\.(\d)\.blend_conv\.", r"head.blends.\1."),
    (r"^logits\.", "head.classifier."),
    (r"\.norm\.", ".bn."),
]
# It takes 0..255 RGB images and normalizes them itself.
reference(
    "swiftnetpyr_resnet18",
    model="swiftnetpr",
    rules=AUTHORS,
    form="authors",
)

MXSEG = [
    (r"^(conv1|bn1|layer[1-4])\.", r"backbone.\1."),
    (r"^head\.conv1x1\.", "head.projections.0."),
]
for _index, _name in enumerate(("fusion_32x", "fusion_16x", "fusion_8x", "final")):
    MXSEG += [
        (rf"^head\.{_name}\.conv1x1\.", f"head.projections.{_index + 1}."),
        (rf"^head\.{_name}\.conv3x3\.", f"head.blends.{_index}."),
    ]
reference(
    "mxseg_swiftnetpr_resnet18",
    model="swiftnetpr",
    rules=MXSEG
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
)

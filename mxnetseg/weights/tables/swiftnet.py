"""SwiftNet as published by its authors and by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head, mxseg_fusions

# The authors keep the whole decoder inside the backbone module.
AUTHORS = [
    (r"^backbone\.img_(mean|std)$", r"backbone.\1"),
    (r"^backbone\.(conv1|bn1|layer[1-4])\.", r"backbone.\1."),
    (r"^backbone\.spp\.spp\.spp_bn\.", "head.context.reduce."),
    (r"^backbone\.spp\.spp\.spp_fuse\.", "head.context.fuse."),
    (r"^backbone\.spp\.spp\.spp(\d)\.", r"head.context.levels.\1.unit."),
    (r"^backbone\.upsample\.(\d)\.bottleneck\.", r"head.rungs.\1.lateral."),
    (r"^backbone\.upsample\.(\d)\.blend_conv\.", r"head.rungs.\1.blend."),
    (r"^logits\.", "head.classifier."),
    (r"\.norm\.", ".bn."),
]
# It takes 0..255 RGB images and normalizes them itself; an in-place ReLU rectifies its laterals.
reference(
    "swiftnet_resnet18",
    model="swiftnet",
    rules=AUTHORS,
    form="authors",
)
reference(
    "mxseg_swiftnet_resnet18",
    model="swiftnet",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.ppool\.conv(\d)\.", lambda m: f"head.context.0.stages.{int(m.group(1)) - 1}."),
        (r"^head\.conv_c4\.", "head.context.1."),
    ]
    + mxseg_fusions(("fusion_c3", "fusion_c2", "fusion_c1"), "head.rungs")
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
)

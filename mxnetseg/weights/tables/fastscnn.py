"""Fast-SCNN as published in GluonCV and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX_HEADS, gluoncv_head, numbered

MMSEG = [
    (r"^backbone\.learning_to_downsample\.conv\.", "backbone.first."),
    (r"^backbone\.learning_to_downsample\.dsconv1\.", "backbone.second."),
    (r"^backbone\.learning_to_downsample\.dsconv2\.", "backbone.third."),
    (r"^backbone\.global_feature_extractor\.bottleneck(\d)\.", numbered("backbone.stages.{}.", 1)),
    (r"^(backbone\.stages\.\d\.\d)\.conv\.", r"\1.units."),
    (r"^backbone\.global_feature_extractor\.ppm\.(\d)\.1\.", r"neck.ppm.stages.\1."),
    (r"^backbone\.global_feature_extractor\.out\.", "neck.ppm_fuse."),
    (r"^backbone\.feature_fusion\.dwconv\.", "neck.smooth."),
    (r"^backbone\.feature_fusion\.conv_lower_res\.", "neck.coarse."),
    (r"^backbone\.feature_fusion\.conv_higher_res\.", "neck.fine."),
    (r"^decode_head\.convs\.", "head.units."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
    (r"\.(depth|point)wise_conv\.", r".\1wise."),
] + MMSEG_AUX_HEADS
# A step moves its running statistics by a hundredth.
reference("mmseg_fast_scnn", model="fastscnn", rules=MMSEG, form="mmseg", options={"norm_momentum": 0.99})

GLUONCV = [
    (r"^learning_to_downsample\.conv\.", "backbone.first."),
    (r"^learning_to_downsample\.dsconv1\.", "backbone.second."),
    (r"^learning_to_downsample\.dsconv2\.", "backbone.third."),
    (r"^global_feature_extractor\.bottleneck(\d)\.", numbered("backbone.stages.{}.", 1)),
    # In an inverted residual: units 0 and 1, then the bare projection and its norm.
    (r"^(backbone\.stages\.\d\.\d)\.block\.([01])\.", r"\1.units.\2."),
    (r"^(backbone\.stages\.\d\.\d)\.block\.2\.", r"\1.units.2.conv."),
    (r"^(backbone\.stages\.\d\.\d)\.block\.3\.", r"\1.units.2.bn."),
    (r"^global_feature_extractor\.ppm\.conv(\d)\.", numbered("neck.ppm.stages.{}.", 1)),
    (r"^global_feature_extractor\.ppm\.out\.", "neck.ppm_fuse."),
    (r"^feature_fusion\.dwconv\.", "neck.smooth."),
    (r"^feature_fusion\.conv_lower_res\.", "neck.coarse.conv."),
    (r"^feature_fusion\.conv_higher_res\.", "neck.fine.conv."),
    (r"^feature_fusion\.bn\.", "neck.coarse.bn."),
    (r"^feature_fusion\.bn_high\.", "neck.fine.bn."),
    (r"^classifier\.dsconv(\d)\.", numbered("head.units.{}.", 1)),
    (r"^classifier\.conv\.", "head.classifier."),
    # Separable units number their four layers, the ReLU between included; plain ones are blocks.
    (r"^(backbone\.(?:second|third)|head\.units\.\d)\.conv\.0\.", r"\1.depthwise.conv."),
    (r"^(backbone\.(?:second|third)|head\.units\.\d)\.conv\.1\.", r"\1.depthwise.bn."),
    (r"^(backbone\.(?:second|third)|head\.units\.\d)\.conv\.3\.", r"\1.pointwise.conv."),
    (r"^(backbone\.(?:second|third)|head\.units\.\d)\.conv\.4\.", r"\1.pointwise.bn."),
    (r"^((?:backbone|neck)\..*?)\.(?:block|conv)\.0\.", r"\1.conv."),
    (r"^((?:backbone|neck)\..*?)\.(?:block|conv)\.1\.", r"\1.bn."),
    (r"^(neck\.ppm\.stages\.\d)\.0\.", r"\1.conv."),
    (r"^(neck\.ppm\.stages\.\d)\.1\.", r"\1.bn."),
    *gluoncv_head("auxlayer", "aux_heads.0"),
]
reference(
    "gluoncv_fastscnn",
    model="fastscnn",
    rules=GLUONCV,
    form="gluoncv",
)

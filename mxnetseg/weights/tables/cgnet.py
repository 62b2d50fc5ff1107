"""CGNet as published in mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference

reference(
    "mmseg_cgnet",
    model="cgnet",
    form="mmseg",
    rules=[
        (r"^backbone\.norm_prelu_0\.", "backbone.join_stem."),
        (r"^backbone\.norm_prelu_([12])\.", r"backbone.join\1."),
        (r"^(backbone\.join\w+)\.0\.", r"\1.bn."),
        (r"^(backbone\.join\w+)\.1\.weight$", r"\1.act.alpha"),
        (r"\.conv1x1\.", ".reduce."),
        (r"^(backbone\.(?:stem\.\d|level\d\.\d+\.reduce))\.bn\.", r"\1.norm.bn."),
        (r"^(backbone\.(?:stem\.\d|level\d\.\d+\.reduce))\.activate\.weight$", r"\1.norm.act.alpha"),
        (r"^(backbone\.level\d\.\d+)\.bn\.", r"\1.norm.bn."),
        (r"^(backbone\.level\d\.\d+)\.activate\.weight$", r"\1.norm.act.alpha"),
        (r"\.f_loc\.", ".local."),
        (r"\.f_sur\.", ".surround."),
        (r"\.bottleneck\.", ".project."),
        (r"\.f_glo\.fc\.0\.", ".squeeze."),
        (r"\.f_glo\.fc\.2\.", ".excite."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
    ],
)

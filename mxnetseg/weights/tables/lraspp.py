"""LR-ASPP as published by torchvision and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mobilenetv3

reference(
    "tv_lraspp_mobilenet_v3_large",
    model="lraspp",
    form="torchvision",
    rules=[
        *mobilenetv3("large"),
        (r"^classifier\.cbr\.0\.", "head.unit.conv."),
        (r"^classifier\.cbr\.1\.", "head.unit.bn."),
        (r"^classifier\.scale\.1\.", "head.gate."),
        (r"^classifier\.low_classifier\.", "head.low_classifier."),
        (r"^classifier\.high_classifier\.", "head.classifier."),
    ],
)
for _id, _size in (("mmseg_mobilenet-v3-d8_lraspp", "large"), ("mmseg_mobilenet-v3-d8-s_lraspp", "small")):
    reference(
        _id,
        model="lraspp",
        form="mmseg",
        rules=[
            *mobilenetv3(_size),
            (r"^decode_head\.aspp_conv\.", "head.unit."),
            (r"^decode_head\.image_pool\.1\.conv\.", "head.gate."),
            (r"^decode_head\.conv_up_input\.", "head.mix."),
            (r"^decode_head\.convs\.conv(\d)\.", r"head.laterals.\1."),
            (r"^decode_head\.conv_ups\.conv_up(\d)\.", r"head.joins.\1."),
            (r"^decode_head\.conv_seg\.", "head.classifier."),
        ],
        options=dict(backbone=f"mobilenetv3_{_size}"),
    )

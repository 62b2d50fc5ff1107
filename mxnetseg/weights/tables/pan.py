"""PAN as published by segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.weights.tables.common import numbered
from mxnetseg.weights.tables.encoders import smp

smp(
    "pan",
    "resnet34",
    "pan",
    [
        (r"^decoder\.fpa\.branch1\.1\.", "head.attention.mean."),
        (r"^decoder\.fpa\.mid\.0\.", "head.attention.middle."),
        (r"^decoder\.fpa\.down([123])\.1\.", numbered("head.attention.down.{}.", 1)),
        (r"^decoder\.fpa\.down3\.2\.", "head.attention.across.2."),
        (r"^decoder\.fpa\.conv([12])\.", numbered("head.attention.across.{}.", 1)),
        (r"^decoder\.gau([123])\.conv1\.1\.", numbered("head.ups.{}.gate.", 1)),
        (r"^decoder\.gau([123])\.conv2\.", numbered("head.ups.{}.fine.", 1)),
    ],
)

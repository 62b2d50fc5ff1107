"""U-Net++ as published by segmentation_models.pytorch."""

from __future__ import annotations

import re

from mxnetseg.weights.tables.encoders import smp, unit


def _block(match: re.Match) -> str:
    """Its x_<place>_<row>: the last row, of one block, has no skip."""
    place, row = int(match.group(1)), int(match.group(2))
    return "neck.last.0." if row == 4 else f"neck.rows.{row}.{place}."


smp(
    "unetplusplus",
    "resnet34",
    "unetplusplus",
    [
        (r"^decoder\.blocks\.x_(\d)_(\d)\.", _block),
        *unit(r"(neck\..*)\.conv([12])", r"\1.unit\2"),
    ],
)

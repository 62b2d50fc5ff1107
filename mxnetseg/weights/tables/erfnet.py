"""ERFNet as published in mmsegmentation."""

from __future__ import annotations

from typing import Match

from mxnetseg.weights.rename import reference


def encoder_place(match: Match) -> str:
    """The flat encoder list: two downsamplers, five blocks, a downsampler, twice four blocks."""
    index = int(match.group(1))
    if index == 0:
        return "backbone.first."
    if index < 7:
        return f"backbone.stage1.{index - 1}."
    if index == 7:
        return "backbone.stage2."
    return f"backbone.stage{3 + (index - 8) // 4}.{(index - 8) % 4}."


# Layers of a block there: 0, 2, 5, 7 convolutions, 3 and 8 batch norms, activations between.
BLOCK = {"0": "convs.0", "2": "convs.1", "3": "bns.0", "5": "convs.2", "7": "convs.3", "8": "bns.1"}

reference(
    "mmseg_erfnet",
    model="erfnet",
    form="mmseg",
    rules=[
        (r"^backbone\.encoder\.(\d+)\.", encoder_place),
        (r"^backbone\.decoder\.", "head.decoder."),
        (r"\.convs_layers\.(\d)\.", lambda m: f".{BLOCK[m.group(1)]}."),
        (r"^decode_head\.convs\.", "head.classifier.units."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
    ],
)

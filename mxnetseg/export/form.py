"""What an exported file takes and gives."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple

IMAGE = "image"  # name of the input


class Form(NamedTuple):
    """What an exported file takes and gives.

    size, batch  fixed height and width, fixed number of images; None: free.
    argmax       label maps (N, H, W) in place of logits (N, nclass, H, W): `labels`, not `logits`.
    uint8        pictures as they are, uint8 RGB (N, H, W, 3); else normalized float32 (N, 3, H, W).
    half         parameters in float16: half the file; arithmetic stays in float32.
    """

    size: Optional[Tuple[int, int]] = None
    batch: Optional[int] = None
    argmax: bool = False
    uint8: bool = False
    half: bool = False

    @property
    def output(self) -> str:
        """Name of the result."""
        return "labels" if self.argmax else "logits"


class Input(NamedTuple):
    """How pictures become the network's input: (value / 255 - mean) / std, per channel."""

    mean: Sequence[float]
    std: Sequence[float]

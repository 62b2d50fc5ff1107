"""Losses: a registry of formulas, the plan that a recipe makes of them, and what computes it.

`base`, `pixels`, `maps`, `sets`, `targets` and `plan` need no array library; `criterion` is their MXNet form.
"""

from __future__ import annotations

from mxnetseg.losses import maps, pixels, sets  # noqa: F401  (they register)
from mxnetseg.losses.base import LOSSES, MapLoss, PixelLoss
from mxnetseg.losses.plan import Mining, Term, plan
from mxnetseg.losses.targets import TARGETS

__all__ = ["LOSSES", "TARGETS", "MapLoss", "Mining", "PixelLoss", "Term", "plan"]

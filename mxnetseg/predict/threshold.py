"""The threshold of a network with one sigmoid logit: found on labelled pictures, kept with the run.

Probabilities of all pixels are counted in bins, foreground and background apart, so that every threshold is
scored in one pass over the pictures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Tuple

import numpy as np

from mxnetseg.data.datasets.base import Dataset
from mxnetseg.errors import ConfigError
from mxnetseg.predict.evaluation import check_class_count, read_ahead, track
from mxnetseg.predict.predictor import Predictor
from mxnetseg.recipe import load_recipe
from mxnetseg.run_files import RECIPE, save_recipe

BINS = 1000


def tune(
    predictor: Predictor,
    dataset: Dataset,
    limit: Optional[int] = None,
    progress: bool = True,
    timeout: Optional[float] = None,
) -> Tuple[float, float]:
    """(threshold, mean IoU of both classes there): the best of 0.001 to 0.999, of equals the nearest to 0.5.

    `limit`: only the first so many samples; `timeout`: seconds to wait for one. From now on `predictor` uses
    the threshold. Raises ConfigError for a network of several classes, and where no pixel counts.
    """
    counts = np.zeros((2, BINS), np.int64)  # background, foreground
    count = len(dataset) if limit is None else min(limit, len(dataset))
    for sample in track(read_ahead(dataset, range(count), 2, timeout), count, "threshold", progress):
        probability = predictor.foreground(sample.image)
        check_class_count(predictor, dataset)
        bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
        for kind in (0, 1):
            counts[kind] += np.bincount(bins[sample.label == kind], minlength=BINS)
    if not counts.any():
        raise ConfigError(f"split {dataset.split!r} of {dataset.name!r} has no pixel of either class")
    threshold, miou = best(counts)
    predictor.protocol = predictor.protocol.model_copy(update={"threshold": threshold})
    return threshold, miou


def best(counts: np.ndarray) -> Tuple[float, float]:
    """(threshold, mean IoU) of `counts` (2, bins): pixels of background and of foreground by probability."""
    bins = counts.shape[1]
    # Pixels from each bin on are foreground: column k is the threshold k / bins.
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(np.float64)
    below = counts.sum(axis=1, keepdims=True) - above
    with np.errstate(invalid="ignore"):
        foreground = above[1] / (above[1] + above[0] + below[1])
        background = below[0] / (below[0] + above[0] + below[1])
    # A class that is neither there nor predicted is left out, as in every score.
    miou = np.nanmean(np.stack([foreground, background]), axis=0)
    thresholds = np.arange(1, bins) / bins
    order = np.lexsort((np.abs(thresholds - 0.5), -miou))
    return float(thresholds[order[0]]), float(miou[order[0]])


def recipe_beside(checkpoint: Any) -> Path:
    """The recipe of a run, where a threshold is kept; ConfigError for a checkpoint without one."""
    path = Path(os.fspath(checkpoint))
    beside = (path if path.is_dir() else path.parent) / RECIPE
    if not beside.is_file():
        raise ConfigError(f"{path}: no {RECIPE} beside it to keep the threshold in")
    return beside


def keep(beside: Path, threshold: float) -> None:
    """Write the threshold into the recipe of a run: evaluation, prediction and export use it from now on."""
    recipe = load_recipe(beside)
    evaluation = recipe.evaluation.model_copy(update={"threshold": threshold})
    save_recipe(beside.parent, recipe.model_copy(update={"evaluation": evaluation}))

"""What the picture demo and the web page share: a checkpoint turned into a function of pictures."""

from __future__ import annotations

import sys
import time
from pathlib import Path

try:
    import mxnetseg.cli  # noqa: F401  ends with one line where a requirement is missing
except ImportError:
    sys.exit(
        "error: mxnetseg is not installed in this Python: use .venv/bin/python after `make venv`, "
        "or `pip install -e .` in the repository"
    )

import numpy as np

from mxnetseg.compute.choice import choose_engine
from mxnetseg.predict.session import multi_scale, open_session, pictures_of, recipe_of

HERE = Path(__file__).resolve().parent
SAMPLES = HERE / "images"
# Trained on drawn scenes, as the samples are, and on photographs of streets.
SMALL_MODEL = HERE.parent / "weights" / "demo" / "small.params"
STREETS = HERE.parent / "weights" / "camvid" / "best.params"


class Segmenter:
    """A trained network with what belongs to its answers: class names, colours, protocol.

    checkpoint: a `.params` file with `recipe.yaml` beside it, or a run folder.
    devices: names as `--ctx` takes them; None for every GPU, else the CPU.
    multi_scales: average over the data set's scales and mirrored copies, slower and better.
    engine: what computes, as `eval.py --engine` takes it.
    """

    def __init__(self, checkpoint=SMALL_MODEL, devices=None, multi_scales=False, engine="auto"):
        recipe = recipe_of(checkpoint)
        facts = pictures_of(recipe)
        protocol = multi_scale(recipe.evaluation, facts) if multi_scales else recipe.evaluation
        choice = choose_engine(engine, devices, checkpoint)
        if choice.note:
            print(f"note: {choice.note}")
        session = open_session(checkpoint, facts, recipe, protocol, devices, choice.engine)
        self.model, self.backbone = session.names().values()
        self.data, self.engine = recipe.data.name, choice.engine
        self.classes, self.palette = facts.scored_classes, facts.scored_palette
        self._predictor = session.predictor

    def __call__(self, image):
        """(label map (H, W), seconds) of a uint8 RGB picture (H, W, 3)."""
        start = time.perf_counter()
        labels = self._predictor.predict(image)
        return labels, time.perf_counter() - start

    def stream(self, samples):
        """(sample, label map) of everything that has an `.image`, in order; devices work at the same time."""
        return self._predictor.stream(samples)

    def shares(self, labels):
        """(class index, share of the pixels) of the classes found, largest first."""
        counts = np.bincount(labels.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind="stable")
        return [(int(i), float(counts[i] / labels.size)) for i in order if counts[i]]


def sample_pictures():
    """The pictures that come with the demo."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))

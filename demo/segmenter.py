"""What the picture demo and the web page share: a checkpoint turned into a function of pictures."""
from __future__ import annotations

import sys
import time
from pathlib import Path

try:
    import mxnetseg.cli  # noqa: F401  ends with one line where a requirement is missing
except ImportError:
    sys.exit("error: mxnetseg is not installed in this Python: use .venv/bin/python after `make venv`, "
             "or `pip install -e .` in the repository")

import numpy as np

from mxnetseg import visualize
from mxnetseg.data import dataset_info
from mxnetseg.engine.checkpoint import load_network
from mxnetseg.engine.devices import contexts
from mxnetseg.engine.evaluator import protocol_options
from mxnetseg.engine.predictor import Predictor

HERE = Path(__file__).resolve().parent
SAMPLES = HERE / "images"
SMALL_MODEL = HERE.parent / "weights" / "demo" / "small.params"


class Segmenter:
    """A trained network with what belongs to its answers: class names, colours, protocol.

    checkpoint: a `.params` file with `recipe.yaml` beside it, or a run folder.
    devices: names as `--ctx` takes them; None for every GPU, else the CPU.
    multi_scale: average over the data set's scales and mirrored copies, slower and better.
    """

    def __init__(self, checkpoint=SMALL_MODEL, devices=None, multi_scale=False):
        net, recipe = load_network(checkpoint)
        facts = dataset_info(recipe.data.name)
        options = recipe.data.options
        self.model, self.backbone = recipe.model.name, recipe.model.backbone
        self.data = recipe.data.name
        # The data set `folder` knows its classes only from the recipe.
        self.classes = list(options.get("classes") or facts["classes"])
        palette = np.asarray(options.get("palette") or facts["palette"], np.uint8).reshape(-1, 3)
        if len(self.classes) == 1:
            self.classes = ["background", *self.classes]
        if len(palette) != len(self.classes):
            palette = visualize.default_palette(len(self.classes))
        self.palette = palette
        protocol = protocol_options(recipe.evaluation)
        if multi_scale:
            protocol.update(scales=facts["scales"], flip=True)
        self._predictor = Predictor(
            net, contexts(devices)[:1], mean=options.get("mean") or facts["mean"],
            std=options.get("std") or facts["std"], **protocol)

    def __call__(self, image):
        """(label map (H, W), seconds) of a uint8 RGB picture (H, W, 3)."""
        start = time.perf_counter()
        labels = self._predictor.predict(image)
        return labels, time.perf_counter() - start

    def shares(self, labels):
        """(class index, share of the pixels) of the classes found, largest first."""
        counts = np.bincount(labels.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind="stable")
        return [(int(i), float(counts[i] / labels.size)) for i in order if counts[i]]


def sample_pictures():
    """The pictures that come with the demo."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))

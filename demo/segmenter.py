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

from mxnetseg.compute.devices import contexts
from mxnetseg.data.datasets.loose import LoosePictures
from mxnetseg.models import model_info
from mxnetseg.predict.evaluation import class_names, make_predictor, protocol_options
from mxnetseg.report.visualize import palette_of
from mxnetseg.weights.checkpoint import load_network

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
        self.model = recipe.model.name
        self.backbone = recipe.model.backbone or model_info(self.model)["backbone"]
        self.data = recipe.data.name
        facts = LoosePictures([], self.data, recipe.data.options)
        self.classes, self.palette = class_names(facts), palette_of(facts)
        protocol = protocol_options(recipe.evaluation)
        if multi_scale:
            protocol.update(scales=facts.scales, flip=True)
        self._predictor = make_predictor(net, facts, contexts(devices)[:1], protocol)

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

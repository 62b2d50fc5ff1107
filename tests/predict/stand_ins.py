"""A network of one convolution and a data set in memory: what the evaluator needs, and nothing slow."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.compute.mxnet_inference import MxnetInference
from mxnetseg.data.datasets.base import Dataset, Sample
from mxnetseg.predict.evaluation import make_predictor, make_protocol, run
from mxnetseg.predict.predictor import Predictor


class OneConvolution(HybridBlock):
    """float32 (N, 3, H, W) -> logits (N, nclass, H, W), and an auxiliary output of zeros."""

    def __init__(self, nclass, kernel=3):
        super().__init__()
        self.convolution = nn.Conv2D(nclass, kernel, padding=kernel // 2, in_channels=3)

    def __call__(self, x):
        return tuple(super().__call__(x))

    def hybrid_forward(self, F, x):
        return (self.convolution(x), F.zeros_like(x))

    def deploy(self):
        return self


def predictor(net, contexts=None, reduce="auto", crop=None, **protocol):
    """A `Predictor` of a network on MXNet contexts by a protocol of these fields."""
    resolved = make_protocol(**protocol, crop=crop).resolved()
    return Predictor(MxnetInference(net, contexts), resolved, reduce=reduce)


def scores(net, data, contexts=None, limit=None, on_image=None, progress=False, score=True, **protocol):
    """What evaluating a network on a data set gives."""
    made = make_predictor(MxnetInference(net, contexts), data, make_protocol(**protocol))
    return run(made, data, on_image=on_image, limit=limit, score=score, progress=progress)


def network(nclass=5, kernel=3, seed=0):
    """A `OneConvolution` with weights that are a function of the seed."""
    net = OneConvolution(nclass, kernel)
    net.initialize()
    rng = np.random.default_rng(seed)
    for parameter in net.collect_params().values():
        parameter.set_data(mx.nd.array(rng.normal(0, 1, parameter.shape)))
    return net


def picture(height, width, seed=0):
    """Smooth colours, uint8 (height, width, 3)."""
    import cv2

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


class Drawn(Dataset):
    """`count` pictures of different sizes with random labels of `nclass` classes."""

    name = "drawn"
    scales = (0.5, 1.0, 1.5)
    crop = 32

    def __init__(self, count=4, nclass=5, split="val", labelled=True):
        super().__init__(None, split)
        self.count, self.labelled = count, labelled
        self.classes = tuple(f"class {c}" for c in range(nclass))

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        height, width = 40 + 7 * index, 64 - 5 * index
        label = np.random.default_rng(index).integers(0, len(self.classes), (height, width))
        label[:3] = self.ignore_index
        image = picture(height, width, index)
        return Sample(image, label.astype(np.int32) if self.labelled else None, f"drawn_{index}")

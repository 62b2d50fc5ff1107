"""Another engine plugs in by a module and a line: prediction knows only the interface."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from mxnetseg.compute import inference
from mxnetseg.compute.inference import Inference, Scores
from mxnetseg.errors import ConfigError
from mxnetseg.predict.predictor import Predictor
from mxnetseg.recipe.protocol import Protocol
from tests.predict.stand_ins import network, picture, predictor


class PlainScores(Scores):
    def __init__(self, logits):
        self.logits = logits

    @property
    def nclass(self):
        return self.logits.shape[1]

    def read(self):
        return self.logits.copy()

    def wait(self):
        pass


class OnePixel(Inference):
    """A network of one 1 x 1 convolution in NumPy: the least that an engine can be."""

    engine = "NumPy"

    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias

    def put(self, images, device=0):
        return images

    def forward(self, batch):
        logits = np.einsum("kc,nchw->nkhw", self.weight[:, :, 0, 0], batch)
        return PlainScores((logits + self.bias[None, :, None, None]).astype(np.float32))


def same_network():
    """One network in MXNet and in NumPy."""
    net = network(kernel=1)
    arrays = [p.data().asnumpy() for p in net.collect_params().values()]
    return net, OnePixel(*arrays)


@pytest.mark.parametrize(
    "fields",
    [{}, dict(scales=[0.5, 1.5], flip=True), dict(mode="slide", crop=24, protocol="mmseg", flip=True)],
)
def test_an_engine_that_only_reads_predicts_what_mxnet_predicts(fields):
    net, plain = same_network()
    image = picture(41, 57)
    expected = predictor(net, **fields).scores(image)
    found = Predictor(plain, Protocol(**fields)).scores(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_new_engine_is_a_module_and_a_line(monkeypatch):
    module = types.ModuleType("engine_of_a_test")
    module.open_network = lambda checkpoint, recipe, nclass, devices: (checkpoint, recipe, nclass, devices)
    monkeypatch.setitem(sys.modules, "engine_of_a_test", module)
    monkeypatch.setitem(inference.ENGINES, "test", "engine_of_a_test")
    assert inference.open_network("a", "b", 3, ["cpu"], engine="test") == ("a", "b", 3, ["cpu"])
    with pytest.raises(ConfigError, match=r"engine 'mxnett' is not one of mxnet, .*test; nearest: mxnet"):
        inference.open_network("a", "b", engine="mxnett")

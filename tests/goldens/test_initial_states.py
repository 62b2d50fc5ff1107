"""Networks start where the published implementations start: every parameter's distribution, and what the
untrained network does (size of the first loss, attention, flows)."""

from __future__ import annotations

import importlib.util
import json
import re

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.backbones import create_backbone
from mxnetseg.models import ccnet as ccnet_module
from mxnetseg.models import create_model
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.surgery import layers, named_parameters
from mxnetseg.weights import reference_info
from mxnetseg.weights.rename import translate
from tests.conftest import shared_folder

TRAINING = shared_folder() / "golden" / "training"
FILES = sorted(file.name.split(".")[0] for file in TRAINING.glob("*.init.json"))
NETWORKS = [name for name in FILES if not name.startswith("torchvision_")]
BACKBONES = [name for name in FILES if name.startswith("torchvision_")]
# The reference pools its numbers over this many draws; ours is one.
SEEDS = 3
# A state of ours without a counterpart, which `prepare` of a reference makes up.
OURS_ONLY = {"spread"}
# So many standard deviations of what sampling explains (both draws counted) pass.
SIGMAS = 5

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not FILES, reason=f"no initialization goldens in {TRAINING}"),
]


def recipe():
    spec = importlib.util.spec_from_file_location("training_recipe", TRAINING / "recipe_training.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def facts(name):
    """The file, and {tensor: array filled with its mean}, the same of its standard deviation."""
    meta = json.loads((TRAINING / f"{name}.init.json").read_text())
    tensors = {n.replace("buffer ", ""): v for n, v in meta["parameters"].items()}
    means, spreads = (
        {n: np.broadcast_to(np.float32(v[place]), v[5]) for n, v in tensors.items()} for place in (1, 2)
    )
    return meta, means, spreads


def misfits(parameters, rules, unused, means, spreads):
    """What is drawn otherwise, {our name: text}."""
    found = {}
    for name, spread in spreads.items():
        if any(re.search(pattern, name) for pattern in unused) or name in OURS_ONLY:
            continue
        ours = translate(name, rules, parameters)
        assert ours is not None, f"{name} leads to no parameter"
        values = parameters[ours].data().asnumpy().astype(np.float64).ravel()
        mean, std = float(means[name].flat[0]), float(spread.flat[0])
        if not _fits(values, mean, std):
            found[ours] = f"{values.mean():.3g} +- {values.std():.3g}, theirs {mean:.3g} +- {std:.3g}"
    return found


def _fits(values, mean, std):
    if std == 0:
        return (values == mean).all()
    n = values.size
    if n < 8:
        return 0 < np.abs(values).max() < 10 * std
    sampling = 1 / n + 1 / (SEEDS * n)
    right_mean = abs(values.mean() - mean) < SIGMAS * std * sampling**0.5
    return right_mean and abs(values.std() / std - 1) < SIGMAS * (sampling / 2) ** 0.5


def network(name, tensors):
    """The network of a reference as this library draws it."""
    mx.random.seed(7)
    np.random.seed(7)
    entry = reference_info(name)
    return create_model(entry.model, 19, **entry.options_for(tensors))


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_are_drawn_as_torchvision_draws_them(name):
    _, means, spreads = facts(name)
    net = create_backbone(name.split("_")[1])
    mx.random.seed(7)
    net.initialize(FAN_OUT)
    assert misfits(named_parameters(net), [], (r"^fc\.",), means, spreads) == {}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_is_drawn_as_the_reference_draws_it(name):
    _, means, spreads = facts(name)
    entry = reference_info(name)
    net = network(name, spreads)
    if entry.prepare is not None:
        means, spreads = entry.prepare(means), entry.prepare(spreads)
    assert misfits(named_parameters(net), entry.rules, entry.unused, means, spreads) == {}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_untrained_network_behaves_as_the_reference_does(name, monkeypatch):
    meta, _, spreads = facts(name)
    expected = meta["behaviour"]["batch_statistics"]
    drawn = recipe()
    net = network(name, spreads)
    for layer in layers(net, mx.gluon.nn.Dropout):
        layer._rate = 0
    attention, flows = _watch(monkeypatch)
    with autograd.train_mode():
        logits = net(mx.nd.array(drawn.image((2, 3, 128, 192), 10)))[0].asnumpy()
    loss = _cross_entropy(logits, drawn.labels((2, 128, 192), 19, 11))
    assert loss == pytest.approx(np.mean(expected["loss"]), rel=0.25)
    if "softmax" in expected:
        theirs = [perplexity for _, perplexity, _ in expected["softmax"]]
        assert sorted(attention) == pytest.approx(sorted(theirs), rel=0.35)
    if "flow" in expected:
        theirs = [length for length, _, _ in expected["flow"]]
        # Of one draw, against the mean of three: the constant part of a flow is the sum of few weights.
        assert np.mean(theirs) / 3 < np.mean(flows) < 3 * np.mean(theirs)


def _cross_entropy(logits, labels):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    picked = np.take_along_axis(log, np.where(labels == 255, 0, labels)[:, None].astype(int), 1)[:, 0]
    return -picked[labels != 255].mean()


def _watch(monkeypatch):
    """Lists that fill while a network runs: mean perplexity of each softmax, mean length in pixels of each
    flow."""
    attention, flows = [], []
    softmax, sampler = mx.nd.softmax, mx.nd.BilinearSampler

    def watched_softmax(x, axis=-1, **keywords):
        y = softmax(x, axis=axis, **keywords)
        p = y.asnumpy().astype(np.float64)
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis)
        attention.append(float(np.exp(entropy).mean()))
        return y

    def watched_sampler(x, grid):
        g = grid.asnumpy()
        height, width = g.shape[2:]
        base = np.stack(np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height)))
        # Where a grid of corner centres is read by edges, it is wider than the map by a pixel of that.
        wider = base * np.array([x.shape[3] / (x.shape[3] - 1), x.shape[2] / (x.shape[2] - 1)])[:, None, None]
        pixels = np.array([width - 1, height - 1])[:, None, None] / 2
        lengths = [np.sqrt((((g - still) * pixels) ** 2).sum(1)).mean() for still in (base, wider)]
        flows.append(float(min(lengths)))
        return sampler(x, grid)

    column_scores, row_scores = ccnet_module._column_scores, ccnet_module._row_scores
    along_column = []

    def watched_columns(F, query, key):
        along_column.append(column_scores(F, query, key))
        return along_column[-1]

    def watched_rows(F, query, key):
        scores = row_scores(F, query, key)
        watched_softmax(mx.nd.concat(along_column.pop(), scores, dim=3))
        return scores

    # Criss-cross attention divides by its own sum of exponentials.
    monkeypatch.setattr(ccnet_module, "_column_scores", watched_columns)
    monkeypatch.setattr(ccnet_module, "_row_scores", watched_rows)
    monkeypatch.setattr(mx.nd, "softmax", watched_softmax)
    monkeypatch.setattr(mx.nd, "BilinearSampler", watched_sampler)
    return attention, flows

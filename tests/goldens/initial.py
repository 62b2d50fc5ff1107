"""Reading the initialization goldens: how published networks are drawn, and what they do untrained."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from unittest import mock

import mxnet as mx
import numpy as np
from mxnet import autograd

from mxnetseg.backbones import create_backbone
from mxnetseg.models import ccnet as ccnet_module
from mxnetseg.models import create_model
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.surgery import layers, named_parameters
from mxnetseg.weights import reference_info
from mxnetseg.weights.rename import translate
from tests.goldens.training import drawing

# The reference pools its numbers over this many draws; ours is one.
SEEDS = 3
# A state of ours without a counterpart, which `prepare` of a reference makes up.
OURS_ONLY = {"spread"}
# So many standard deviations of what sampling explains (both draws counted) pass.
SIGMAS = 5
# What the library once drew every weight of every layer by.
ONE_RULE = mx.init.MSRAPrelu(slope=0)


def cases(folder):
    """Ids of the initialization goldens in a folder."""
    return sorted(file.name[: -len(".init.json")] for file in Path(folder).glob("*.init.json"))


class Golden:
    """One file: how a published network is drawn, and our network as this library draws it.

    `one_rule` draws every weight by that rule instead.
    """

    def __init__(self, folder, name, one_rule=False):
        self.folder, self.name = Path(folder), name
        self.meta = json.loads((self.folder / f"{name}.init.json").read_text())
        tensors = {n.replace("buffer ", ""): v for n, v in self.meta["parameters"].items()}
        # Arrays filled with one number each: the importer's renaming may cut and join them.
        self.means, self.spreads = (
            {n: np.broadcast_to(np.float32(v[place]), v[5]) for n, v in tensors.items()} for place in (1, 2)
        )
        self.rules, self.unused = (), (r"^fc\.",)
        mx.random.seed(7)
        np.random.seed(7)
        self.net = self._backbone() if name.startswith("torchvision_") else self._network()
        if one_rule:
            for parameter in self.net.collect_params().values():
                if parameter.name.endswith("weight"):
                    parameter.initialize(ONE_RULE, force_reinit=True)

    def _backbone(self):
        net = create_backbone(self.name.split("_")[1])
        net.initialize(FAN_OUT)
        return net

    def _network(self):
        entry = reference_info(self.name)
        net = create_model(entry.model, self._nclass(), **entry.options_for(self.spreads))
        if entry.prepare is not None:
            self.means, self.spreads = entry.prepare(self.means), entry.prepare(self.spreads)
        self.rules, self.unused = entry.rules, entry.unused
        return net

    def _nclass(self):
        return self.meta.get("nclass", 19)

    def pairs(self):
        """(our name, our values, their mean, their standard deviation) of every parameter."""
        parameters = named_parameters(self.net)
        for name, spread in self.spreads.items():
            if any(re.search(pattern, name) for pattern in self.unused) or name in OURS_ONLY:
                continue
            ours = translate(name, self.rules, parameters)
            assert ours is not None, f"{name} leads to no parameter"
            values = parameters[ours].data().asnumpy().astype(np.float64).ravel()
            yield ours, values, float(self.means[name].flat[0]), float(spread.flat[0])

    def misfits(self):
        """What is drawn otherwise than sampling explains, {our name: text}."""
        return {
            name: f"{values.mean():.3g} +- {values.std():.3g}, theirs {mean:.3g} +- {std:.3g}"
            for name, values, mean, std in self.pairs()
            if not _fits(values, mean, std)
        }

    def behaviour(self):
        """What the untrained network does with a batch: `loss` of its main output, mean perplexity of each
        `softmax`, mean length in pixels of each `flow`; drawn and measured as the file says."""
        drawn = drawing(self.folder)
        for layer in layers(self.net, mx.gluon.nn.Dropout):
            layer._rate = 0
        with _watched() as (attention, flows), autograd.train_mode():
            logits = self.net(mx.nd.array(drawn.image((2, 3, 128, 192), 10)))[0].asnumpy()
        labels = drawn.labels((2, 128, 192), self._nclass(), 11)
        return {"loss": _cross_entropy(logits, labels), "softmax": attention, "flow": flows}

    def expected(self):
        """The same of the published network: means over its draws."""
        found = self.meta["behaviour"]["batch_statistics"]
        return {
            "loss": float(np.mean(found["loss"])),
            "softmax": [perplexity for _, perplexity, _ in found.get("softmax", ())],
            "flow": [length for length, _, _ in found.get("flow", ())],
        }


def _fits(values, mean, std):
    if std == 0:
        return (values == mean).all()
    n = values.size
    if n < 8:
        return 0 < np.abs(values).max() < 10 * std
    sampling = 1 / n + 1 / (SEEDS * n)
    right_mean = abs(values.mean() - mean) < SIGMAS * std * sampling**0.5
    return right_mean and abs(values.std() / std - 1) < SIGMAS * (sampling / 2) ** 0.5


def _cross_entropy(logits, labels):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    picked = np.take_along_axis(log, np.where(labels == 255, 0, labels)[:, None].astype(int), 1)[:, 0]
    return -picked[labels != 255].mean()


@contextlib.contextmanager
def _watched():
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
    places = (
        (ccnet_module, "_column_scores", watched_columns),
        (ccnet_module, "_row_scores", watched_rows),
        (mx.nd, "softmax", watched_softmax),
        (mx.nd, "BilinearSampler", watched_sampler),
    )
    with contextlib.ExitStack() as stack:
        for place in places:
            stack.enter_context(mock.patch.object(*place))
        yield attention, flows

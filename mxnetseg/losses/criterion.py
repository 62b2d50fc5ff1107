"""The loss of a batch in MXNet: one graph over network and losses, and its gradient.

A loss is that of the whole batch, over however many workers, devices and accumulated parts it is computed.
To that end every device returns sums, unreduced maps or statistics, and what they weigh in the batch is their
head gradient: what multiplies a loss multiplies its gradient.
"""

from __future__ import annotations

import functools
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from gluoncv.utils.parallel import split_and_load
from mxnet import autograd
from mxnet.gluon import HybridBlock

from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.losses.base import MapLoss
from mxnetseg.losses.mining import hard_pixels
from mxnetseg.losses.plan import Term, join_maps, plan
from mxnetseg.nn.resize import for_training


class Reported(NamedTuple):
    """Values on a device: `array` has one for each of `terms`, to be added to those of other devices."""

    terms: Tuple[int, ...]
    array: mx.nd.NDArray


class Criterion:
    """What a recipe minimizes for one network.

    net           the network; its `predicts` are the kinds of its outputs.
    settings      the recipe's `loss` group.
    nclass        logits of its main output.
    ignore_index  label value that counts nowhere.
    workers       those who compute the batch together; `backward` is collective.

    `graph` is the block that is trained. Raises ConfigError for settings that the network's outputs cannot
    take.
    """

    def __init__(
        self,
        net: HybridBlock,
        settings,
        nclass: int,
        ignore_index: int,
        workers: Workers = ALONE,
    ):
        self.ignore_index = ignore_index
        self._workers = workers
        channels = [output_channels(net, k, kind, nclass) for k, kind in enumerate(net.predicts)]
        self.terms = plan(settings, net.predicts, nclass, channels)
        self.graph = _LossGraph(net, self.terms, ignore_index)

    def backward(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        contexts: Sequence[mx.Context],
        accumulate: int = 1,
        seed: Optional[int] = None,
        dtype: str = "float32",
    ) -> List[Reported]:
        """Leave the gradients of one global batch in the network; returns what `read` reads. Of several
        workers each gives its share of the batch, and gets its share of the sums that gradients and losses
        are.

        images `(N, C, H, W)`; labels `(N, H, W)`. With `accumulate` parts, the parameters' `grad_req` must be
        `add` and their gradients zero. `seed` makes dropout the same every time. Where a term depends on
        all pixels at once, accumulated parts are run forward once more, before, to see all of them.
        """
        parts = self._parts(images, labels, contexts, accumulate, dtype)
        shape = (len(labels) * self._workers.world_size, *labels.shape[1:])
        joined = None
        if accumulate > 1 and any(term.joined for term in self.terms):
            states = _states(self.graph.net)
            _seed(seed)
            with autograd.pause(train_mode=True):
                seen = [self.graph(*arrays) for part in parts for arrays in part]
            _restore(self.graph.net, states)
            joined = self._join(seen, shape)
        scale = self._scale(labels)
        _seed(seed)
        reported: List[Reported] = []
        for number, part in enumerate(parts):
            with autograd.record():
                outputs = [self.graph(*arrays) for arrays in part]
            if joined is None or number == 0:
                heads, values = joined or self._join(outputs, shape)
                reported += values
            mine = heads[number * len(part) :] if joined else heads
            gradients = []
            for device, head in zip(outputs, mine):
                if self.graph.summed:
                    weights = mx.nd.array(scale, ctx=device[0].context, dtype=dtype)
                    reported.append(Reported(self.graph.summed, device[0].detach() * weights))
                    head = [weights, *head]
                gradients.append(head)
            autograd.backward(
                [y for device in outputs for y in device], [g for head in gradients for g in head]
            )
        return reported

    def together(self, reported: Sequence[Reported]) -> Reported:
        """Collective: what all workers report, as each of them reads it. Waits for nothing."""
        total = mx.nd.zeros((1, len(self.terms)))
        for terms, array in reported:
            places = mx.nd.one_hot(mx.nd.array(terms), len(self.terms))
            total = total + mx.nd.dot(array.as_in_context(total.context).reshape((1, -1)), places)
        self._workers.add("losses", [total])
        return Reported(tuple(range(len(self.terms))), total.reshape((-1,)))

    def read(self, reported: Sequence[Reported]) -> Dict[str, float]:
        """Wait for the devices: the weighted loss of each term by its label; their sum was minimized."""
        found = np.zeros(len(self.terms))
        for terms, array in reported:
            found[list(terms)] += array.asnumpy()
        return {term.label: float(value) for term, value in zip(self.terms, found)}

    def _parts(self, images, labels, contexts, accumulate, dtype):
        """For each part, for each device: the arguments of the graph."""
        arrays = [images, labels] + [
            term.loss.host_weights(labels, self.ignore_index) for term in self.terms if term.weighs_pixels
        ]
        size = len(images) // accumulate
        parts = []
        for part in range(accumulate):
            rows = slice(part * size, (part + 1) * size)
            split = [split_and_load(mx.nd.array(a[rows], dtype=dtype), contexts) for a in arrays]
            parts.append(list(zip(*split)))
        return parts

    def _scale(self, labels):
        terms = [self.terms[k] for k in self.graph.summed]
        divisors = np.array([term.divisor(labels, self.ignore_index) for term in terms])
        if terms:
            divisors = self._workers.sum(divisors)
        return np.array([term.weight for term in terms]) / np.maximum(divisors, 1e-12)

    def _join(self, outputs: List[list], shape) -> Tuple[List[list], List[Reported]]:
        """Head gradients of the joined terms' outputs (a list for each device and part), and their values."""
        heads: List[list] = [[] for _ in outputs]
        reported = []
        for k, places in self.graph.joined.items():
            term = self.terms[k]
            pieces = [[device[place].detach() for place in places] for device in outputs]
            if isinstance(term.loss, MapLoss):
                gradients, values = _join_statistics(term, pieces, self._workers)
            else:
                choose = functools.partial(hard_pixels, workers=self._workers)
                gradients, values = join_maps(term, pieces, shape, choose, self._total)
            reported += [Reported((k,), value) for value in values]
            for head, gradient, piece in zip(heads, gradients, pieces):
                head += [gradient, *[mx.nd.zeros_like(other) for other in piece[1:]]]
        return heads, reported

    def _total(self, masks: Sequence[mx.nd.NDArray]) -> float:
        return self._workers.sum(np.array([sum(float(mask.sum().asscalar()) for mask in masks)]))[0]


class _LossGraph(HybridBlock):
    """`(images, labels, *host weights)` to a list of arrays: the vector of the summed terms (`summed`),
    then the arrays of each joined term, at the places that `joined` says."""

    def __init__(self, net, terms: Sequence[Term], ignore_index: int):
        super().__init__()
        self.net = net
        self._terms = terms
        self._ignore = ignore_index
        self.summed = tuple(k for k, term in enumerate(terms) if not term.joined)
        self.joined: Dict[int, List[int]] = {}
        place = int(bool(self.summed))
        for k, term in enumerate(terms):
            if term.joined:
                count = (
                    term.loss.arrays
                    if isinstance(term.loss, MapLoss)
                    else 1 + (term.class_weights is not None)
                )
                self.joined[k] = list(range(place, place + count))
                place += count

    def __call__(self, *args):
        result = super().__call__(*args)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    def hybrid_forward(self, F, images, labels, *weights):
        with for_training():
            outputs = self.net(images)
        targets, tables = {}, {}
        given = iter(weights)
        sums, arrays = [], []
        for term in self._terms:
            key = repr(term.target)
            if key not in targets:
                targets[key] = term.make_target(F, labels, self._ignore)
            target, valid = targets[key]
            logits = outputs[term.output]
            if term.where is not None:
                place, above = term.where
                there = F.sigmoid(F.squeeze(F.BlockGrad(outputs[place]), axis=1)) > above
                valid = valid * there
            if isinstance(term.loss, MapLoss):
                if term.loss.reads_before:
                    logits = (outputs[term.output - 1], logits)
                arrays += term.loss.statistics(F, logits, target, valid)
                continue
            extra = [next(given)] if term.weighs_pixels else []
            loss = term.loss.pixels(F, logits, target, *extra)
            table = None
            if term.class_weights is not None:
                table = tables.setdefault(term.class_weights.tobytes(), _table(target, term.class_weights))
            if term.joined:
                # Pixels that do not count are marked below any loss.
                arrays.append(loss * valid - (1 - valid))
                arrays += [] if table is None else [table]
            else:
                sums.append(F.sum(loss * valid if table is None else loss * table * valid))
        if sums:
            arrays.insert(0, F.concat(*[F.reshape(s, shape=(1,)) for s in sums], dim=0))
        return arrays


def _join_statistics(term, pieces, workers):
    """Gradients and the value of a term of statistics, from those of all images on the first device; of
    several workers, the first has the value."""
    context = pieces[0][0].context
    together = [mx.nd.concat(*[x.as_in_context(context) for x in xs], dim=0) for xs in zip(*pieces)]
    start = workers.rank * len(together[0])
    if workers.world_size > 1:
        together = [_of_all(x, workers) for x in together]
    together[0].attach_grad()
    with autograd.record():
        value = term.loss.value(mx.nd, *together) * term.weight
    value.backward()
    gradients = []
    for piece in pieces:
        stop = start + piece[0].shape[0]
        gradients.append(together[0].grad[start:stop].as_in_context(piece[0].context))
        start = stop
    return gradients, [value.detach()] if workers.first else []


def _of_all(array, workers):
    """The rows of all workers, by rank."""
    rows = workers.gather(array.asnumpy().astype(np.float64))
    return mx.nd.array(np.concatenate(rows), ctx=array.context, dtype=array.dtype)


def _table(target, weights):
    return sum(float(w) * (target == c) for c, w in enumerate(weights))


def output_channels(net, k, kind, nclass):
    """Logits of output `k`: where it predicts no classes, what its head says, or its last layer gives."""
    if k == 0 or kind in ("pixels", "presence", "points", "queries", "masks"):
        return nclass
    head = net.aux_heads[k - 1]
    return getattr(head, "out_channels", None) or list(head.collect_params().values())[-1].shape[0]


def _seed(seed):
    if seed is not None:
        mx.random.seed(seed)


def _states(net):
    """Copies of what a forward pass in training may change: running statistics. On the CPU MXNet moves them
    in the backward pass, cuDNN does in the forward pass."""
    # The last step's backward pass may still be writing them, which MXNet's scheduler does not know.
    mx.nd.waitall()
    return [
        [copy.copy() for copy in parameter.list_data()]
        for parameter in net.collect_params().values()
        if parameter.grad_req == "null"
    ]


def _restore(net, states):
    held = [p for p in net.collect_params().values() if p.grad_req == "null"]
    for parameter, copies in zip(held, states):
        for array, copy in zip(parameter.list_data(), copies):
            array[:] = copy

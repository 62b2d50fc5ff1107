"""The loss of a batch in PyTorch, and its gradient: the terms of `mxnetseg.losses.plan`.

As in MXNet the loss is that of the whole batch however many parts and workers it is computed in: what a
part's sums and statistics weigh in the batch is their head gradient.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from mxnetseg.compute.torch import arrays
from mxnetseg.compute.torch.devices import upload
from mxnetseg.compute.torch.precision import autocast, widened
from mxnetseg.compute.workers import ALONE, Workers, rows_of_batch
from mxnetseg.losses.base import MapLoss
from mxnetseg.losses.plan import Mining, Term, join_maps
from mxnetseg.losses.ranking import nth_largest

# What one part of the batch gives: the sums of the summed terms, and each joined term's arrays.
Found = Tuple[Optional[Tensor], Dict[int, List[Tensor]]]


class Criterion:
    """The loss of `module` (a translated network).

    terms         of `mxnetseg.losses.plan.plan`.
    ignore_index  label value that counts nowhere.
    amp           what the network computes in; losses are float32 whatever it is.
    workers       those who compute the batch together; `backward` is collective.
    """

    def __init__(
        self,
        module: nn.Module,
        terms: Sequence[Term],
        ignore_index: int,
        amp: str = "none",
        workers: Workers = ALONE,
    ):
        self._amp = amp
        self._workers = workers
        self._module = module
        self._terms = list(terms)
        self._ignore = ignore_index
        self._summed = [k for k, term in enumerate(terms) if not term.joined]

    def backward(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        device: torch.device,
        accumulate: int = 1,
        seed: int = 0,
        scale: float = 1.0,
        before_last: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Add `scale` times the gradients of one batch to the parameters'; returns the weighted loss of each
        term, on the device. `images` (N, C, H, W), `labels` (N, H, W); N divides into `accumulate` parts.

        Of several workers each gives its rows of the batch, and has its share of the sums that gradients and
        losses are. `before_last` is called before the last backward pass.
        """
        parts = self._parts(images, labels, device, accumulate)
        shape = (len(labels) * self._workers.world_size, *labels.shape[1:])
        losses = torch.zeros(len(self._terms), dtype=torch.float64, device=device)
        joined = None
        if accumulate > 1 and len(self._summed) < len(self._terms):
            joined = self._join(self._seen(parts, seed), shape, losses)
        summed = [self._terms[k] for k in self._summed]
        divisors = np.array([term.divisor(labels, self._ignore) for term in summed])
        if summed:
            divisors = self._workers.sum(divisors)
        factors = np.array([term.weight for term in summed]) / np.maximum(divisors, 1e-12)
        torch.manual_seed(seed)
        for number, part in enumerate(parts):
            found = self._forward(*part)
            heads = joined[number] if joined else self._join([found], shape, losses)[0]
            sums, pieces = found
            outputs = [pieces[k][0] for k in pieces]
            gradients = [heads[k] for k in pieces]
            if sums is not None:
                weights = upload(factors, device, sums.dtype)
                losses[self._summed] += (sums.detach() * weights).double()
                outputs.append(sums)
                gradients.append(weights)
            if number == len(parts) - 1:
                before_last()
            torch.autograd.backward(outputs, [scale * gradient for gradient in gradients])
        return losses

    def _parts(self, images, labels, device, accumulate) -> List[tuple]:
        """For each part: images, labels, and the maps that losses compute on the host."""
        given = [labels] + [
            term.loss.host_weights(labels, self._ignore) for term in self._terms if term.weighs_pixels
        ]
        dtype = next(self._module.parameters()).dtype
        tensors = [upload(x, device, dtype) for x in (images, *given)]
        return list(zip(*(x.chunk(accumulate) for x in tensors)))

    def _seen(self, parts, seed) -> List[Found]:
        """What the parts give, before the pass that counts: running statistics stay as they were."""
        states = [(state, state.clone()) for state in self._module.buffers()]
        torch.manual_seed(seed)
        with torch.no_grad():
            found = [self._forward(*part) for part in parts]
            for state, before in states:
                state.copy_(before)
        return found

    def _forward(self, images: Tensor, labels: Tensor, *host: Tensor) -> Found:
        with autocast(self._amp, images.device):
            outputs = self._module(images)
        outputs = [arrays.array(widened(y)) for y in outputs]
        labels = arrays.array(labels.to(outputs[0].dtype))
        targets: Dict[str, Any] = {}
        given = iter(host)
        sums, pieces = [], {}
        for k, term in enumerate(self._terms):
            key = repr(term.target)
            if key not in targets:
                targets[key] = term.make_target(arrays, labels, self._ignore)
            target, valid = targets[key]
            logits = outputs[term.output]
            if term.where is not None:
                place, above = term.where
                valid = valid * (torch.sigmoid(outputs[place].detach().squeeze(1)) > above)
            if isinstance(term.loss, MapLoss):
                if term.loss.reads_before:
                    logits = (outputs[term.output - 1], logits)
                pieces[k] = list(term.loss.statistics(arrays, logits, target, valid))
                continue
            extra = [arrays.array(next(given).to(logits.dtype))] if term.weighs_pixels else []
            loss = term.loss.pixels(arrays, logits, target, *extra)
            table = None if term.class_weights is None else _table(target, term.class_weights)
            if term.joined:
                # Pixels that do not count are marked below any loss.
                pieces[k] = [loss * valid - (1 - valid)] + ([] if table is None else [table])
            else:
                sums.append((loss * valid if table is None else loss * table * valid).sum())
        return (torch.stack(sums) if sums else None), pieces

    def _join(self, found: Sequence[Found], shape, losses: Tensor) -> List[Dict[int, Tensor]]:
        """For each part, the head gradient of each joined term's first array; adds the terms to `losses`."""
        heads: List[Dict[int, Tensor]] = [{} for _ in found]
        for k, term in enumerate(self._terms):
            if not term.joined:
                continue
            pieces = [[x.detach() for x in part[k]] for _, part in found]
            if isinstance(term.loss, MapLoss):
                gradients, value = _join_statistics(term, pieces, self._workers)
            else:
                chosen = partial(hard_pixels, workers=self._workers)
                gradients, values = join_maps(term, pieces, shape, chosen, self._total)
                value = sum(values)
            losses[k] += value.double().reshape(())
            for head, gradient in zip(heads, gradients):
                head[k] = gradient
        return heads

    def _total(self, masks: Sequence[Tensor]) -> float:
        return float(self._workers.sum(np.array([sum(float(mask.sum()) for mask in masks)]))[0])


def hard_pixels(
    maps: Sequence[Tensor], mining: Mining, images: int, pixels: int, workers: Workers = ALONE
) -> List[Tensor]:
    """`mxnetseg.losses.mining.hard_pixels` for tensors: masks (1 or 0) of the pixels that are kept."""
    values = torch.cat([m.reshape(-1) for m in maps])
    values = values[torch.ge(values, 0)]
    kept = mining.kept(images, pixels)
    if mining.threshold is None:
        least = _order_statistic(values, kept - 1, 0.0, workers)
        return [m >= least for m in maps]
    least = -float(np.log(mining.threshold))
    strict = mining.rule == "below"
    hard = torch.gt(values, least) if strict else torch.ge(values, least)
    count = int(workers.sum(np.array([int(hard.sum())]))[0])
    if strict:
        if count <= kept:
            least = min(least, _order_statistic(values, kept, None, workers))
        return [m > least for m in maps]
    if count < kept:
        least = min(least, _order_statistic(values, kept - 1, 0.0, workers))
    return [m >= least for m in maps]


def _order_statistic(values: Tensor, place: int, otherwise: Optional[float], workers: Workers) -> float:
    """The value with `place` larger ones; where there are not so many, `otherwise`, or the smallest."""
    if workers.world_size > 1:
        return nth_largest(values.cpu().numpy(), place, otherwise, workers.sum)
    count = values.numel()
    if not count:
        return 0.0
    if place >= count:
        return float(values.min()) if otherwise is None else otherwise
    return float(torch.kthvalue(values, count - place).values)


def _join_statistics(term: Term, pieces, workers: Workers):
    """Gradients and the value of a term of statistics, from those of all images, which every worker needs;
    the value counts on the first."""
    together = [torch.cat(list(xs)) for xs in zip(*pieces)]
    own = len(together[0])
    if workers.world_size > 1:
        together = [arrays.array(workers.rows_of_all(x, len(pieces))) for x in together]
    together[0].requires_grad_(True)
    value = term.loss.value(arrays, *together) * term.weight
    (gradient,) = torch.autograd.grad(value.sum(), together[0])
    if workers.world_size > 1:
        gradient = gradient[
            rows_of_batch(own * workers.world_size, len(pieces), workers.rank, workers.world_size)
        ]
    gradients = gradient.split([piece[0].shape[0] for piece in pieces])
    value = value.detach().sum()
    return gradients, value if workers.first else torch.zeros_like(value)


def _table(target: Tensor, weights: np.ndarray) -> Tensor:
    table = upload(weights, target.device, target.dtype)
    index = target.long()
    known = torch.lt(index, len(table)).to(target.dtype)
    return arrays.array(table[index.clamp(0, len(table) - 1)]) * known

"""Update rules of the MXNet engine, and one exact optimizer step over any number of contexts."""

from __future__ import annotations

from typing import Dict, List

import mxnet as mx
import numpy as np
from mxnet.gluon import Trainer as GluonTrainer
from mxnet.gluon import nn

from mxnetseg.compute.groups import parameter_groups
from mxnetseg.compute.workers import ALONE
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.surgery import layers, named_parameters

# float32 sums over contexts and over a few hundred tensors: what lies above this is clipped.
_NORM_FLOOR = 1e-12


@mx.optimizer.register
class DecoupledAdam(mx.optimizer.Optimizer):
    """AdamW: Decoupled Weight Decay Regularization (Loshchilov and Hutter, ICLR 2019).

    w -= lr * (m_hat / (sqrt(v_hat) + epsilon) + wd * w). MXNet 1.9.1 has the operator and no optimizer.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, **keywords):
        super().__init__(learning_rate=learning_rate, **keywords)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self._ones: Dict = {}

    def create_state(self, index, weight):
        return tuple(mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype) for _ in range(2))

    def update(self, index, weight, grad, state):
        self._update_count(index)
        step = self._index_update_count[index]
        # The operator does not correct the moments' bias. sqrt(1 - b2^t) / (1 - b1^t) in front of m and
        # epsilon * sqrt(1 - b2^t) under it are the same as correcting both.
        second = (1 - self.beta2**step) ** 0.5
        one = self._ones.setdefault(weight.context, mx.nd.ones((1,), ctx=weight.context))
        rate = self._get_lr(index)
        mean, variance = state
        mx.nd.contrib.adamw_update(
            weight,
            grad,
            mean,
            variance,
            one,
            out=weight,
            lr=second / (1 - self.beta1**step),
            eta=rate,
            wd=self._get_wd(index),
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon * second,
        )


def _trust(numerator, denominator, adaptive: bool):
    """numerator / denominator where both are above 0, else 1; arrays (1,) on the device."""
    if not adaptive:
        return mx.nd.ones_like(numerator)
    usable = (numerator > 0) * (denominator > 0)
    return mx.nd.where(
        usable, numerator / mx.nd.maximum(denominator, _NORM_FLOOR), mx.nd.ones_like(numerator)
    )


def _norm(array) -> mx.nd.NDArray:
    return array.norm().reshape((1,))


def _scaled(array, factor) -> mx.nd.NDArray:
    return mx.nd.broadcast_mul(array, factor.reshape((1,) * array.ndim))


@mx.optimizer.register
class LayerwiseSGD(mx.optimizer.Optimizer):
    """LARS: Large Batch Training of Convolutional Networks (You, Gitman and Ginsburg, 2017).

    MXNet 1.9.1's own waits for the device at every parameter.
    """

    def __init__(self, learning_rate=0.1, momentum=0.9, trust=0.001, **keywords):
        super().__init__(learning_rate=learning_rate, **keywords)
        self.momentum, self.trust = momentum, trust

    def create_state(self, index, weight):
        return mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype)

    def update(self, index, weight, grad, state):
        self._update_count(index)
        decay = self._get_wd(index)
        below = _norm(grad) + decay * _norm(weight)
        factor = _trust(self.trust * _norm(weight), below, weight.ndim > 1)
        state[:] = self.momentum * state - _scaled(self._get_lr(index) * (grad + decay * weight), factor)
        weight += state


@mx.optimizer.register
class LayerwiseAdam(DecoupledAdam):
    """LAMB: Large Batch Optimization for Deep Learning (You et al., ICLR 2020), with bias correction."""

    def update(self, index, weight, grad, state):
        self._update_count(index)
        step = self._index_update_count[index]
        mean, variance = state
        mean[:] = self.beta1 * mean + (1 - self.beta1) * grad
        variance[:] = self.beta2 * variance + (1 - self.beta2) * grad * grad
        mean = mean / (1 - self.beta1**step)
        root = (variance / (1 - self.beta2**step)).sqrt()
        update = mean / (root + self.epsilon) + self._get_wd(index) * weight
        factor = _trust(_norm(weight), _norm(update), weight.ndim > 1)
        weight -= _scaled(self._get_lr(index) * update, factor)


class Updater:
    """Sums gradients over contexts and workers, clips them, and moves the parameters of `network`.

    settings  the recipe's `optimizer` group; `mxnetseg.compute.groups` says what each parameter makes of it.
    contexts  where the parameters are.
    workers   those who train together: `ALONE`, or of MXNet's key-value store. `step` is collective.
    """

    def __init__(self, network, settings, contexts, workers=ALONE):
        self.settings = settings
        self.workers = workers
        self.contexts = list(contexts)
        named = named_parameters(network)
        groups = parameter_groups(network, settings)
        self.names = _unique_names(named)
        self.parameters = [named[name] for name in self.names]
        for name, parameter in zip(self.names, self.parameters):
            group = groups[name]
            # The optimizer's own decay is 1.
            parameter.lr_mult, parameter.wd_mult = group.lr_mult, group.weight_decay
            if group.frozen:
                parameter.grad_req = "null"
        frozen = {id(named[name]) for name, group in groups.items() if group.frozen}
        for layer in layers(network.backbone, nn.BatchNorm) if frozen else ():
            if id(layer.gamma) in frozen:
                tune_norm(layer, frozen=True)
        self.trained = {n: p for n, p in zip(self.names, self.parameters) if p.grad_req != "null"}
        rule, keywords = _rule(settings)
        self.gluon = GluonTrainer(
            self.parameters,
            mx.optimizer.create(rule, learning_rate=settings.lr, wd=1.0, **keywords),
            kvstore="device",
            # With updates on the key-value store a new learning rate would silently be ignored.
            update_on_kvstore=False,
        )
        # Starts the key-value store, which gives every context the parameters and statistics of the first:
        # left to the first step, that would overwrite what was loaded in between.
        self.gluon.allreduce_grads()

    def step(self, rate: float) -> mx.nd.NDArray:
        """One update at learning rate `rate`. Returns the global gradient norm where clipping is on."""
        self.gluon.set_learning_rate(rate)
        if self.workers.world_size > 1:
            for name, parameter in self.trained.items():
                self.workers.add(name, parameter.list_grad())
        else:
            self.gluon.allreduce_grads()
        norm = None
        if self.settings.clip_grad_norm:
            norm = self._clip(self.settings.clip_grad_norm)
        self.gluon.update(1, ignore_stale_grad=True)
        return norm

    def _clip(self, largest: float) -> mx.nd.NDArray:
        """Scale gradients so that their joint norm is `largest` at most; no device waits for the host."""
        result = None
        for context in self.contexts:
            gradients = [p.grad(context) for p in self.trained.values()]
            squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients))
            norm = squares.sum().sqrt()
            factor = mx.nd.minimum(largest / mx.nd.maximum(norm, _NORM_FLOOR), 1.0)
            for gradient in gradients:
                mx.nd.broadcast_mul(gradient, factor.reshape((1,) * gradient.ndim), out=gradient)
            result = norm if result is None else result
        return result

    # ----- state

    def state_arrays(self) -> Dict[str, np.ndarray]:
        """Moments of every parameter by name, and how often each was updated; float32 and int64 arrays."""
        arrays: Dict[str, np.ndarray] = {}
        updater = self.gluon._updaters[0]
        for index, state in updater.states.items():
            for k, moment in enumerate(_moments(state)):
                arrays[f"{self.names[index]}:{k}"] = moment.asnumpy()
        counts = self.gluon._optimizer._all_index_update_counts.get(self.contexts[0].device_id, {})
        arrays[":counts"] = np.array([[i, n] for i, n in sorted(counts.items())], np.int64).reshape(-1, 2)
        return arrays

    def load_state_arrays(self, arrays: Dict[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave; KeyError or ValueError where it is of another network."""
        optimizer = self.gluon._optimizer
        counts = {int(i): int(n) for i, n in arrays[":counts"]}
        for updater, context in zip(self.gluon._updaters, self.contexts):
            for index in counts:
                parameter, name = self.parameters[index], self.names[index]
                state = optimizer.create_state_multi_precision(index, parameter.data(context))
                for k, moment in enumerate(_moments(state)):
                    value = arrays[f"{name}:{k}"]
                    if value.shape != moment.shape:
                        raise ValueError(f"{name}: {value.shape} in place of {moment.shape}")
                    moment[:] = value
                updater.states[index] = state
                updater.states_synced[index] = True
            optimizer._all_index_update_counts[context.device_id] = dict(counts)
        optimizer._set_current_context(self.contexts[0].device_id)
        optimizer.num_update = max(counts.values(), default=0)


def _rule(settings):
    """MXNet's name of the update rule, and its keywords."""
    momentum = dict(momentum=settings.momentum)
    betas = dict(beta1=settings.beta1, beta2=settings.beta2, epsilon=settings.epsilon)
    return {
        "sgd": ("sgd", momentum),
        "nag": ("nag", momentum),
        "adam": ("adam", betas),
        "adamw": ("decoupledadam", betas),
        "lars": ("layerwisesgd", dict(momentum, trust=settings.trust)),
        "lamb": ("layerwiseadam", betas),
    }[settings.name]


def _moments(state) -> List[mx.nd.NDArray]:
    if state is None:
        return []
    return list(state) if isinstance(state, (tuple, list)) else [state]


def _unique_names(named) -> List[str]:
    """One name for each parameter: a block used in two places has several, the first is kept."""
    seen, names = set(), []
    for name, parameter in named.items():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            names.append(name)
    return names

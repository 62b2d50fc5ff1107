"""The update rules of `mxnetseg.compute.groups` in PyTorch, and moving averages; saved under MXNet's names.

They differ from PyTorch's own: the learning rate is inside the momentum of SGD, and Adam's epsilon is added
before the correction of the bias.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mxnetseg.compute.groups import ParameterGroup

_NORM_FLOOR = 1e-12


class Updater:
    """Moves parameters by their gradients.

    settings  the recipe's `optimizer` group.
    named     (place among all parameters of the network, name, parameter, group) of each that is trained.
    """

    def __init__(self, settings: Any, named: Sequence[Tuple[int, str, Tensor, ParameterGroup]]):
        self.settings = settings
        self._named = list(named)
        self._moments: Dict[str, List[Tensor]] = {}
        self._counts: Dict[int, int] = {}
        self._rule = {
            "sgd": self._sgd,
            "nag": self._nag,
            "adam": self._adam,
            "adamw": self._adamw,
            "lars": self._lars,
            "lamb": self._lamb,
        }[settings.name]

    @property
    def parameters(self) -> List[Tensor]:
        """What is trained."""
        return [parameter for _, _, parameter, _ in self._named]

    @property
    def gradients(self) -> List[Tensor]:
        """Of what is trained; a parameter that the loss does not depend on has none."""
        return [p.grad for p in self.parameters if p.grad is not None]

    @torch.no_grad()
    def step(self, rate: float) -> Optional[Tensor]:
        """One update at learning rate `rate`; the global norm of the gradients where they are clipped."""
        norm = self._clip() if self.settings.clip_grad_norm else None
        for place, name, parameter, group in self._named:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            if name not in self._moments:
                self._moments[name] = [torch.zeros_like(parameter) for _ in range(self._moment_count())]
            count = self._counts[place] = self._counts.get(place, 0) + 1
            moments = self._moments[name]
            self._rule(parameter, gradient, moments, rate * group.lr_mult, group.weight_decay, count)
        return norm

    def _moment_count(self) -> int:
        if self.settings.name in ("sgd", "nag"):
            return int(self.settings.momentum != 0)
        return 1 if self.settings.name == "lars" else 2

    def _clip(self) -> Tensor:
        gradients = self.gradients
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        factor = (self.settings.clip_grad_norm / norm.clamp(min=_NORM_FLOOR)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

    def _sgd(self, weight, gradient, moments, rate, decay, count) -> None:
        slope = gradient.add(weight, alpha=decay)
        if not moments:
            weight.sub_(slope, alpha=rate)
            return
        moments[0].mul_(self.settings.momentum).sub_(slope, alpha=rate)
        weight.add_(moments[0])

    def _nag(self, weight, gradient, moments, rate, decay, count) -> None:
        if not moments:
            return self._sgd(weight, gradient, moments, rate, decay, count)
        slope = gradient.add(weight, alpha=decay)
        momentum = self.settings.momentum
        moments[0].mul_(momentum).sub_(slope, alpha=rate)
        weight.add_(moments[0], alpha=momentum).sub_(slope, alpha=rate)

    def _adam(self, weight, gradient, moments, rate, decay, count) -> None:
        mean, second = self._moved(moments, gradient.add(weight, alpha=decay))
        s = self.settings
        rate = rate * (1 - s.beta2**count) ** 0.5 / (1 - s.beta1**count)
        weight.addcdiv_(mean, second.sqrt().add_(s.epsilon), value=-rate)

    def _adamw(self, weight, gradient, moments, rate, decay, count) -> None:
        mean, second = self._moved(moments, gradient)
        s = self.settings
        root = (1 - s.beta2**count) ** 0.5
        weight.mul_(1 - rate * decay)
        scale = -rate * root / (1 - s.beta1**count)
        weight.addcdiv_(mean, second.sqrt().add_(s.epsilon * root), value=scale)

    def _lars(self, weight, gradient, moments, rate, decay, count) -> None:
        below = gradient.norm() + decay * weight.norm()
        factor = _trust(self.settings.trust * weight.norm(), below, weight.dim() > 1)
        moments[0].mul_(self.settings.momentum).sub_(gradient.add(weight, alpha=decay) * factor, alpha=rate)
        weight.add_(moments[0])

    def _lamb(self, weight, gradient, moments, rate, decay, count) -> None:
        mean, second = self._moved(moments, gradient)
        s = self.settings
        root = (second / (1 - s.beta2**count)).sqrt()
        update = mean / (1 - s.beta1**count) / (root + s.epsilon) + decay * weight
        weight.sub_(update * _trust(weight.norm(), update.norm(), weight.dim() > 1), alpha=rate)

    def _moved(self, moments, slope) -> Tuple[Tensor, Tensor]:
        first, second = self.settings.beta1, self.settings.beta2
        moments[0].mul_(first).add_(slope, alpha=1 - first)
        moments[1].mul_(second).addcmul_(slope, slope, value=1 - second)
        return moments[0], moments[1]

    # ----- state

    def state_arrays(self) -> Dict[str, np.ndarray]:
        """Moments by parameter and how often each was updated, as the MXNet engine names them."""
        found = {
            f"{name}:{k}": moment.detach().cpu().numpy().copy()
            for name, moments in self._moments.items()
            for k, moment in enumerate(moments)
        }
        counts = sorted(self._counts.items())
        found[":counts"] = np.array(counts, np.int64).reshape(-1, 2)
        return found

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave, here or in MXNet; KeyError or ValueError where it is of another
        network."""
        counts = {int(place): int(count) for place, count in arrays[":counts"]}
        moments = {}
        for place, name, parameter, _ in self._named:
            if place not in counts:
                continue
            moments[name] = []
            for k in range(self._moment_count()):
                value = arrays[f"{name}:{k}"]
                if value.shape != tuple(parameter.shape):
                    raise ValueError(f"{name}: {value.shape} in place of {tuple(parameter.shape)}")
                # In the parameter's own memory format: sums over it are otherwise added in another order.
                moments[name].append(
                    torch.empty_like(parameter.detach()).copy_(torch.from_numpy(np.array(value)))
                )
        if set(counts) - {place for place, *_ in self._named}:
            raise KeyError("counts of parameters that are not trained")
        self._moments, self._counts = moments, counts


def _trust(numerator: Tensor, denominator: Tensor, adaptive: bool) -> Tensor:
    """numerator / denominator where both are above 0, else 1; no waiting for the device."""
    if not adaptive:
        return torch.ones_like(numerator)
    usable = (numerator > 0) & (denominator > 0)
    return torch.where(usable, numerator / denominator.clamp(min=_NORM_FLOOR), torch.ones_like(numerator))


class MovingAverage:
    """a = s a + (1 - s) w after step t, with s = min(decay, (1 + t) / (10 + t)), as in the MXNet engine."""

    def __init__(self, parameters: Mapping[str, Tensor], decay: float):
        self._parameters = dict(parameters)
        self._decay = decay
        self.restart()

    def restart(self) -> None:
        """Begin with the parameters as they are now."""
        self._steps = 0
        self._averages = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are after one more step."""
        self._steps += 1
        share = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for name, average in self._averages.items():
            average.mul_(share).add_(self._parameters[name], alpha=1 - share)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the parameters hold their averages."""
        before = {name: p.detach().clone() for name, p in self._parameters.items()}
        try:
            self._set(self._averages)
            yield
        finally:
            self._set(before)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def state_arrays(self) -> Dict[str, np.ndarray]:
        """The averages, and under the empty name how many steps they have seen."""
        found = {name: average.cpu().numpy().copy() for name, average in self._averages.items()}
        return {"": np.array(self._steps, np.int64), **found}

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave; KeyError or ValueError where it is of another network."""
        self._steps = int(arrays[""])
        for name, average in self._averages.items():
            if arrays[name].shape != tuple(average.shape):
                raise ValueError(f"{name}: {arrays[name].shape} in place of {tuple(average.shape)}")
            average.copy_(torch.from_numpy(np.array(arrays[name])))

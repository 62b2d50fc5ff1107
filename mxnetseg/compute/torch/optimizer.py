"""MXNet's update rules in PyTorch: same formulas, same names of what is saved.

They differ from PyTorch's own: the learning rate is inside the momentum of SGD, and Adam's epsilon is added
before the correction of the bias.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

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
        self._rule = {"sgd": self._sgd, "nag": self._nag, "adam": self._adam, "adamw": self._adamw}[
            settings.name
        ]

    @property
    def parameters(self) -> List[Tensor]:
        """What is trained."""
        return [parameter for _, _, parameter, _ in self._named]

    @torch.no_grad()
    def step(self, rate: float) -> Optional[Tensor]:
        """One update at learning rate `rate`; the global norm of the gradients where they are clipped."""
        norm = self._clip() if self.settings.clip_grad_norm else None
        for place, name, parameter, group in self._named:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            if name not in self._moments:
                self._moments[name] = [torch.zeros_like(parameter) for _ in range(self._moment_count())]
            count = self._counts[place] = self._counts.get(place, 0) + 1
            decay = self.settings.weight_decay * group.decay_mult
            self._rule(parameter, gradient, self._moments[name], rate * group.lr_mult, decay, count)
        return norm

    def _moment_count(self) -> int:
        if self.settings.name in ("sgd", "nag"):
            return int(self.settings.momentum != 0)
        return 2

    def _clip(self) -> Tensor:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
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
                moments[name].append(torch.from_numpy(np.array(value)).to(parameter))
        if set(counts) - {place for place, *_ in self._named}:
            raise KeyError("counts of parameters that are not trained")
        self._moments, self._counts = moments, counts

"""The seam between what a run does and what computes it: see `base` for the interface of an engine.

Commands, trainer, evaluator and checkpoints hold an engine and its devices and look inside neither.
"""

from __future__ import annotations

import importlib
from typing import Any, List, Optional, Sequence

from mxnetseg.compute.base import Engine
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.errors import ConfigError
from mxnetseg.recipe.fields import ComputeGroup

# Modules with `training_devices(names, norm, compute, workers)` and a class `TrainingEngine`; imported when
# used.
_ENGINES = {"mxnet": "mxnetseg.compute.mxnet", "torch": "mxnetseg.compute.torch.training"}


def list_engines() -> List[str]:
    """Names that `create_engine` knows."""
    return sorted(_ENGINES)


def training_devices(
    engine: str,
    names: Optional[Sequence[str]] = None,
    norm: str = "bn",
    compute: Optional[ComputeGroup] = None,
    workers: Workers = ALONE,
) -> List[Any]:
    """The devices of an engine that `names` (`0`, `1`, `cpu`, ...; none: the best there are) mean; of several
    `workers`, those of this one.

    They may be fewer than the names: with `norm` "syncbn" some engines train on one device what another
    number would compute alike. Raises DeviceError for a device that is not there or cannot do what the
    recipe's `compute` group asks for, ConfigError for an engine that cannot.
    """
    return _module(engine).training_devices(names, norm, compute or ComputeGroup(), workers)


def create_engine(
    name: str,
    network: Any,
    nclass: int,
    loss: Any,
    optimizer: Any,
    devices: Sequence[Any],
    ignore_index: int = 255,
    compute: Optional[ComputeGroup] = None,
    workers: Workers = ALONE,
) -> Engine:
    """An engine that trains `network`.

    network       a `Segmentor` on the CPU, initialized: the architecture, the first values of its parameters
                  and the names under which they are saved. What becomes of the object is the engine's affair.
    nclass        logits of the network.
    loss          the recipe's `loss` group, `class_weights` settled to numbers or None.
    optimizer     the recipe's `optimizer` group.
    devices       of `training_devices`.
    ignore_index  label value that counts nowhere.
    compute       the recipe's `compute` group; none: its defaults.
    workers       the processes that train it together; making an engine is not collective.

    Raises ConfigError for an engine or a combination of settings that does not exist.
    """
    return _module(name).TrainingEngine(
        network, nclass, loss, optimizer, devices, ignore_index, compute or ComputeGroup(), workers
    )


def _module(engine: str) -> Any:
    if engine not in _ENGINES:
        raise ConfigError(f"no engine is named {engine!r}; there are {', '.join(list_engines())}")
    if engine == "torch":
        from mxnetseg.compute.torch import require_torch

        require_torch()
    return importlib.import_module(_ENGINES[engine])


def to_torch(network: Any, folded: bool = False) -> Any:
    """An initialized MXNet network as a `torch.nn.Module`; see `mxnetseg.compute.torch.translate.to_torch`.

    folded  for predictions alone: batch norms are multiplied into the convolutions before them.

    Raises EngineError where PyTorch is not installed.
    """
    from mxnetseg.compute.torch import require_torch

    require_torch()
    from mxnetseg.compute.torch.translate import to_torch as translated

    return translated(network, folded)

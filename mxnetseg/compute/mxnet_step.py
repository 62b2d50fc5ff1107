"""One training step that is looked at instead of taken: losses, and gradients left in the network."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Dict, Mapping

import mxnet as mx
import numpy as np
from pydantic import ValidationError

from mxnetseg.errors import ConfigError
from mxnetseg.losses.criterion import Criterion
from mxnetseg.nn.surgery import named_parameters, without_dropout
from mxnetseg.recipe.explain import explain
from mxnetseg.recipe.loss import LossGroup


def one_step(
    net: Any,
    loss: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    ignore_index: int = 255,
    dropout: bool = False,
    engine: str = "mxnet",
    device: str = "cpu",
) -> Dict[str, Any]:
    """One forward and backward pass in training mode.

    net      a `Segmentor`, initialized, on one device; it computes in the type of its parameters
             (`net.cast("float64")`).
    loss     the recipe's `loss` group as a mapping.
    images   `(N, C, H, W)`, normalized; labels `(N, H, W)` of train ids.
    dropout  False: nothing is dropped, elements, channels nor residual branches.
    engine   mxnet, or torch: PyTorch computes, and what it finds is put into the network.
    device   that PyTorch computes on, as `--ctx` names it; MXNet computes where the network is.

    Returns {"losses": {label: weighted loss}, "total": their sum}. Gradients are left in the network, and its
    running statistics have moved as in training. Raises ConfigError for a loss that the network cannot have,
    EngineError where PyTorch is asked for and not installed, DeviceError for a GPU that it cannot use.
    """
    try:
        settings = LossGroup(**loss)
    except ValidationError as error:
        raise ConfigError(explain(error, "loss", {})) from None
    images, labels = np.asarray(images), np.asarray(labels)
    first = next(iter(net.collect_params().values()))
    with nullcontext() if dropout else without_dropout(net):
        nclass = _logits(net, images.shape)
        if engine == "torch":
            from mxnetseg.compute.torch import require_torch

            require_torch()
            from mxnetseg.compute.torch.devices import devices
            from mxnetseg.compute.torch.step import step_of

            (chosen,) = devices([device])
            losses, arrays = step_of(net, settings, nclass, images, labels, ignore_index, chosen)
            _put(net, arrays)
            return {"losses": losses, "total": sum(losses.values())}
        criterion = Criterion(net, settings, nclass, ignore_index)
        reported = criterion.backward(images, labels, first.list_ctx()[:1], dtype=np.dtype(first.dtype).name)
        losses = criterion.read(reported)
    return {"losses": losses, "total": sum(losses.values())}


def _put(net, arrays) -> None:
    """Gradients into the parameters that are trained, values into the others."""
    for name, parameter in named_parameters(net).items():
        value = mx.nd.array(arrays[name], dtype=parameter.dtype)
        if parameter.grad_req == "null":
            parameter.set_data(value)
        else:
            for copy in parameter.list_grad():
                copy[:] = value


def _logits(net, shape):
    """Channels of the main output for images of this shape."""
    main = next(iter(net(mx.sym.var("data"))))
    _, (found,), _ = main.infer_shape(data=shape)
    return found[1]

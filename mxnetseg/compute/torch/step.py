"""One training step by PyTorch that is looked at instead of taken."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
import torch

from mxnetseg.compute.torch.criterion import Criterion
from mxnetseg.compute.torch.translate import parameters_of, translate
from mxnetseg.losses.criterion import output_channels
from mxnetseg.losses.plan import plan
from mxnetseg.symbols import trace


def step_of(
    net: Any,
    settings: Any,
    nclass: int,
    images: np.ndarray,
    labels: np.ndarray,
    ignore_index: int,
    device: torch.device,
) -> Tuple[Dict[str, float], Dict[str, np.ndarray]]:
    """For a batch (see `mxnetseg.train.one_step`) the weighted losses by label, and for each parameter by
    name its gradient, or its value after the step where it is not trained."""
    channels = [output_channels(net, k, kind, nclass) for k, kind in enumerate(net.predicts)]
    terms = plan(settings, net.predicts, nclass, channels)
    parameters = parameters_of(net)
    module = translate(trace(net, training=True), parameters).train().to(device)
    losses = Criterion(module, terms, ignore_index).backward(images, labels, device)
    arrays = {}
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            arrays[name] = parameter.cpu().numpy()
        else:
            found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            arrays[name] = found.cpu().numpy()
    return {term.label: float(value) for term, value in zip(terms, losses)}, arrays

"""From a published network's tensors to one of this library's networks, filled."""

from __future__ import annotations

import re
from typing import Any, Mapping

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter

from mxnetseg.errors import CheckpointError
from mxnetseg.models.base import Segmentor
from mxnetseg.models.create import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights import layouts
from mxnetseg.weights.rename import BOOKKEEPING, REFERENCES, Reference, match


def load(reference_id: str, tensors: Mapping[str, Any], nclass: int, **options: Any) -> Segmentor:
    """Build the network of a reference and fill it; returns a `Segmentor`.

    `tensors`: the reference's name -> array (NumPy, or anything NumPy can read), batch counters allowed.
    `nclass`: classes of that checkpoint. `options` override the reference's own `create_model` options.
    Raises CheckpointError listing what is left over, missing, or of another shape: nothing is skipped.
    """
    entry = REFERENCES.get(reference_id)
    options = {"init": mx.init.Zero(), **entry.options_for(tensors, **options)}
    net = create_model(entry.model, nclass, **options)
    fill(net, entry, tensors, reference_id)
    return net


def fill(net: Segmentor, entry: Reference, tensors: Mapping[str, Any], what: str) -> None:
    """Copy `tensors` into `net` by the table of `entry`; all or nothing."""
    given, tensors = tensors, entry.arranged(tensors)
    parameters = named_parameters(net)
    values, problems = match(tensors, entry.rules, parameters, entry.unused)
    if problems:
        shapes = {name: np.shape(one) for name, one in given.items() if not BOOKKEEPING.search(name)}
        fitting = layouts.nearest(shapes)
        advice = f"; they are those of reference {fitting!r}" if fitting not in (None, what) else ""
        raise CheckpointError(f"the tensors do not fit reference {what!r}{advice}; {problems}")
    assign(parameters, values)
    # What the network never runs goes back into a file that is written for the reference.
    net.unused_tensors = {
        name: np.asarray(tensor)
        for name, tensor in tensors.items()
        if any(re.search(pattern, name) for pattern in entry.unused)
    }


def assign(parameters: Mapping[str, Parameter], values: Mapping[str, np.ndarray]) -> None:
    """Set each parameter of {name: Parameter} from {name: array}."""
    for name, array in values.items():
        parameters[name].set_data(mx.nd.array(array))

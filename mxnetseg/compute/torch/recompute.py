"""Activation checkpointing: a segment of a network keeps its inputs, and runs again for its gradient."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator, Tuple

import torch
from torch.utils.checkpoint import checkpoint

_STATE = threading.local()


def recomputed(function: Callable, module: torch.nn.Module, *inputs: Any) -> Tuple[Any, ...]:
    """`function(module, *inputs)`; in training its activations are computed again in the backward pass."""
    if not (module.training and torch.is_grad_enabled()):
        return function(module, *inputs)
    return checkpoint(function, module, *inputs, use_reentrant=False, context_fn=_contexts)


def recomputing() -> bool:
    """Whether this is a second pass over a segment: statistics that a pass moves have moved already."""
    return getattr(_STATE, "again", False)


@contextlib.contextmanager
def _again() -> Iterator[None]:
    _STATE.again = True
    try:
        yield
    finally:
        _STATE.again = False


def _contexts() -> Tuple[contextlib.AbstractContextManager, contextlib.AbstractContextManager]:
    return contextlib.nullcontext(), _again()

"""What networks compute on, in the signatures of their functions."""

from __future__ import annotations

from types import ModuleType
from typing import Union

import mxnet as mx

# An array or, while a network is traced, its symbol.
Tensor = Union[mx.nd.NDArray, mx.sym.Symbol]
# What Gluon calls F: `mx.nd` or `mx.sym`.
Ops = ModuleType

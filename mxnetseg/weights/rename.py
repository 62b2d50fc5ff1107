"""From the tensor names of a published network to ours: the machinery behind the rename tables.

A table is a list of (regular expression, replacement), applied in order to a reference name. What it
must produce is the structural name of our parameter, except that a batch norm may keep PyTorch's
`weight` and `bias`, which become `gamma` and `beta` where our parameter is called so. Nothing here, nor in
the tables, imports MXNet.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.backbones.naming import Rule, rewrite
from mxnetseg.errors import CheckpointError, MxnetsegError
from mxnetseg.registry import Registry

if TYPE_CHECKING:
    from mxnet.gluon import Parameter

# `Reference.prepare` and `Reference.adapt`.
Prepare = Callable[[Mapping[str, Any]], Dict[str, Any]]
Adapt = Callable[[Dict[str, Any], Mapping[str, Any]], Dict[str, Any]]
REFERENCES = Registry("reference", package="mxnetseg.weights.tables")
# Counters of PyTorch's batch norm; they take no part in inference.
BOOKKEEPING = re.compile(r"(^|\.)num_batches_tracked$")
LISTED = 12  # names in an error


@contextlib.contextmanager
def fitting(complaint: str) -> Iterator[None]:
    """CheckpointError, beginning with `complaint`, for whatever goes wrong while tensors are rearranged.

    What takes one network's apart fails on another's in any way: a name, a dimension, a size is not there.
    """
    try:
        yield
    except MxnetsegError:
        raise
    except Exception as error:
        raise CheckpointError(f"{complaint} ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class Reference:
    """One published network: what to build and how its tensors are called there.

    `model` is built in `form`, with `options` where this network differs from that (another backbone).
    `unused` are patterns of tensors that the published file holds and its network never runs, each known by
    name. `prepare(tensors)` may rearrange the mapping first (split or
    drop stored constants); `aliases(names)` gives {name: other name} for tensors stored twice.
    `adapt(options, tensors)` returns the options for a network that fits what is stored (the grid of
    a position embedding). `constants`: patterns of unused tensors -> the values they always have.
    `discarded`: patterns of unused tensors that the published network reads, only to throw away what comes of
    them: their gradient is zero. `bgr`: the tensor of the filters that read the image, where the network was
    trained on blue, green, red.
    """

    model: str
    rules: List[Rule]
    form: str = "paper"
    options: dict = field(default_factory=dict)
    unused: tuple = ()
    prepare: Optional[Prepare] = None
    adapt: Optional[Adapt] = None
    constants: dict = field(default_factory=dict)
    discarded: tuple = ()
    bgr: str = ""

    @property
    def keywords(self) -> Dict[str, Any]:
        """What `create_model` is called with, form included."""
        return {"form": self.form, **self.options}

    def turned(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """`tensors` for images whose channels come in the other order, of a network that was trained on blue,
        green, red; of others as they are. Checkpoints here all read red, green, blue."""
        if not self.bgr:
            return tensors
        return {name: np.asarray(t)[:, ::-1] if name == self.bgr else t for name, t in tensors.items()}

    def options_for(self, tensors: Mapping[str, Any], **options: Any) -> Dict[str, Any]:
        """`create_model` keywords of a network that fits `tensors`; `options` override the reference's."""
        keywords = {**self.keywords, **options}
        if self.adapt is None:
            return keywords
        with fitting("the tensors are not those of this reference"):
            return self.adapt(keywords, tensors)

    def arranged(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """`tensors` as the rules expect them; CheckpointError for those of another network."""
        if self.prepare is None:
            return tensors
        with fitting("the tensors are not those of this reference"):
            return self.prepare(tensors)


def reference(name: str, **facts: Any) -> Reference:
    """Enter a published network under `name`."""
    entry = Reference(**facts)
    REFERENCES.register(name, **facts)(entry)
    return entry


def reference_info(name: str) -> Reference:
    """The `Reference` of an id; RegistryError with the nearest ids if unknown."""
    return REFERENCES.get(name)


def match(
    tensors: Mapping[str, Any],
    rules: Sequence[Rule],
    parameters: Mapping[str, Parameter],
    unused: Sequence[str] = (),
) -> Tuple[Dict[str, np.ndarray], str]:
    """({our name: array}, problems): every tensor and every parameter accounted for, or a message that
    lists what is left over, missing, or of another shape ("" where nothing is)."""
    values, left_over, wrong = {}, [], []
    for name, tensor in tensors.items():
        if BOOKKEEPING.search(name) or any(re.search(pattern, name) for pattern in unused):
            continue
        ours = translate(name, rules, parameters)
        if ours is None or ours in values:
            left_over.append(name if ours is None else f"{name} (a second {ours})")
            continue
        array = np.asarray(tensor, dtype=np.float32)
        shape = tuple(parameters[ours].shape)
        if array.shape != shape and _same_up_to_ones(array.shape, shape):
            array = array.reshape(shape)
        if array.shape != shape:
            wrong.append(f"{name} {array.shape} for {ours} {shape}")
        values[ours] = array
    missing = [n for n in parameters if n not in values]
    named = (("left over", left_over), ("missing", missing), ("of another shape", wrong))
    return values, "; ".join(f"{title}: {_listed(names)}" for title, names in named if names)


def translate(name: str, rules: Sequence[Rule], parameters: Mapping[str, Parameter]) -> Optional[str]:
    """Our name for the reference's `name`, or None where the table leads to no parameter."""
    name = rewrite(name, rules)
    if name in parameters:
        return name
    stem, _, kind = name.rpartition(".")
    twin = {"weight": "gamma", "bias": "beta"}.get(kind)
    return f"{stem}.{twin}" if twin and f"{stem}.{twin}" in parameters else None


def _same_up_to_ones(a, b):
    return [n for n in a if n != 1] == [n for n in b if n != 1]


def _listed(names):
    shown = ", ".join(names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"

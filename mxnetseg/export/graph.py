"""Writing an ONNX graph: names, constants, sides of maps, and the operators that carry them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mxnetseg.symbols import Entry, Graph, Node

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
BOOL, UINT8, HALF = TensorProto.BOOL, TensorProto.UINT8, TensorProto.FLOAT16
_END = 2**62  # "to the end" of a Slice


class Writer:
    """Collects nodes and constants. A value is known by its name in the ONNX graph.

    graph   the traced network; ranks and types of its entries serve the translation.
    arrays  parameters by structural name, float32.
    half    store parameters in float16, widened when the file is loaded.
    """

    def __init__(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        shapes: Mapping[Entry, Tuple[int, ...]],
        half: bool = False,
    ):
        self.graph = graph
        self.arrays = arrays
        self.values: Dict[Entry, str] = {}
        self.nodes: List[NodeProto] = []
        self.initializers: Dict[str, TensorProto] = {}
        self._ranks = {entry: len(shape) for entry, shape in shapes.items()}
        self._types = graph.types()
        self._half = half
        self._names: Dict[str, int] = {}
        self._constants: Dict[tuple, str] = {}
        self._sides: Dict[tuple, str] = {}
        self._shapes: Dict[str, Tuple[int, ...]] = {}  # of parameters and constants

    # ----- what an entry is

    def rank(self, entry: Entry) -> int:
        """Number of axes of an entry."""
        return self._ranks[entry]

    def whole_numbers(self, entry: Entry) -> bool:
        """Whether an entry holds integers."""
        return self._types[entry] == "int32"

    def source(self, entry: Entry) -> Node:
        """The node that an entry comes from."""
        return self.graph.nodes[entry[0]]

    def value(self, entry: Entry) -> str:
        """Name of an entry's value; parameters are stored when first read."""
        if entry not in self.values:
            self.values[entry] = self.parameter(self.graph.parameter(entry))
        return self.values[entry]

    # ----- nodes

    def emit(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int = 1,
        name: Optional[str] = None,
        **attributes: Any,
    ) -> Any:
        """Add an operator; the name of its result, or the names where there are several."""
        name = self._unique(name or kind)
        results = [name] if outputs == 1 else [f"{name}_{k}" for k in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(kind, list(inputs), results, name=name, **attributes))
        return name if outputs == 1 else results

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"

    def cast(self, x: str, kind: int) -> str:
        """`x` in another type."""
        return self.emit("Cast", [x], to=kind)

    # ----- constants

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A number or array; equal ones are stored once."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._unique("constant")
            self.initializers[name] = numpy_helper.from_array(array, name)
            self._constants[key] = name
            self._shapes[name] = array.shape
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """A vector for arguments that ONNX takes as int64 (axes, sides)."""
        return self.constant(values, np.int64)

    def parameter(self, name: str) -> str:
        """A parameter of the network under its structural name."""
        return self.array(name, self.arrays[name])

    def array(self, name: str, array: np.ndarray) -> str:
        """What is made of a parameter, under a name of its own."""
        if name not in self._shapes:
            self._shapes[name] = array.shape
            stored = np.ascontiguousarray(array.astype(np.float16) if self._half else array)
            if self._half:
                self.initializers[f"{name}.half"] = numpy_helper.from_array(stored, f"{name}.half")
                self.nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], name=name, to=FLOAT))
            else:
                self.initializers[name] = numpy_helper.from_array(stored, name)
        return name

    # ----- sides of maps

    def sides(self, x: str, begin: int, end: Optional[int] = None) -> str:
        """Sides `begin` to `end` of `x` as an int64 vector."""
        if x in self._shapes:
            return self.integers(*self._shapes[x][begin:end])
        key = (x, begin, end)
        if key not in self._sides:
            self._sides[key] = self.emit("Shape", [x], start=begin, end=end)
        return self._sides[key]

    def side(self, x: str, axis: int) -> str:
        """One side of `x`, int64 of shape (1,)."""
        return self.sides(x, axis, axis + 1)

    def length(self, x: str, axis: int) -> str:
        """One side of `x`, float32 of shape (1,)."""
        key = (x, axis, "length")
        if key not in self._sides:
            self._sides[key] = self.cast(self.side(x, axis), FLOAT)
        return self._sides[key]

    def steps(self, x: str, axis: int) -> str:
        """0, 1, 2 ... along a side of `x`, float32."""
        key = (x, axis, "steps")
        if key not in self._sides:
            count = self.emit("Squeeze", [self.side(x, axis), self.integers(0)])
            first, step = self.constant(0, np.int64), self.constant(1, np.int64)
            self._sides[key] = self.cast(self.emit("Range", [first, count, step]), FLOAT)
        return self._sides[key]

    def joined(self, parts: Sequence[str]) -> str:
        """Vectors of sides, one after the other."""
        return parts[0] if len(parts) == 1 else self.emit("Concat", parts, axis=0)

    # ----- a few shapes of operators that many need

    def reshape(self, x: str, parts: Sequence[str]) -> str:
        """`x` with the sides of `parts`."""
        return self.emit("Reshape", [x, self.joined(parts)])

    def cut(
        self,
        x: str,
        axes: Sequence[int],
        begin: Sequence[Optional[int]],
        end: Union[str, Sequence[Optional[int]]],
        step: Sequence[Optional[int]] = (),
    ) -> str:
        """A part of `x`; `end` None is the end of that axis."""
        if not isinstance(end, str):
            end = self.integers(*(_END if e is None else e for e in end))
        inputs = [x, self.integers(*(b or 0 for b in begin)), end, self.integers(*axes)]
        return self.emit("Slice", inputs + ([self.integers(*(s or 1 for s in step))] if step else []))

    def swapped(self, x: str, rank: int) -> str:
        """`x` with its last two axes exchanged."""
        return self.emit("Transpose", [x], perm=[*range(rank - 2), rank - 1, rank - 2])

    def keep_only_what_leads_to(self, outputs: Sequence[str]) -> None:
        """Drop nodes and constants that no output depends on."""
        makers = {result: node for node in self.nodes for result in node.output}
        alive, open_ = set(), list(outputs)
        while open_:
            value = open_.pop()
            if value not in alive:
                alive.add(value)
                open_ += makers[value].input if value in makers else ()
        self.nodes = [node for node in self.nodes if alive.intersection(node.output)]
        self.initializers = {name: t for name, t in self.initializers.items() if name in alive}

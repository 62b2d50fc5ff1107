"""A traced MXNet network as a `torch.nn.Module`: Python code, one line for each operator.

Parameters keep their structural names, those of `.params` files: the keys of `state_dict()` are the names of
`network_arrays(net)`, in both directions. Layers with parameters are modules in their places (`nn.Conv2d`,
`nn.Linear`, `BatchNorm`), so that what works on modules (hooks, freezing, counting) works here; all else is
a function of `operators`. Nothing is fixed to a size: one module serves every image and batch size.
"""

from __future__ import annotations

import inspect
import linecache
import operator
from collections import Counter
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

import torch
from torch import Tensor, nn

from mxnetseg.compute.torch import operators
from mxnetseg.compute.torch.folding import foldable
from mxnetseg.compute.torch.modules import FRESH, IGNORED, LAYERS, MULTIPLE, NORMS, STATISTICS, attribute
from mxnetseg.compute.torch.recompute import recomputed
from mxnetseg.compute.torch.source import Line, written
from mxnetseg.errors import ConfigError
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.symbols import VARIABLE, Entry, Graph, Node, trace


class TorchNetwork(nn.Module):
    """What `to_torch` gives: `(N, C, H, W)` to the tuple of maps that the MXNet network returns.

    `source` is the code that runs, for reading. Copies, pickles and compiles like any module.
    """

    def __init__(self, source: str, tree: nn.Module):
        super().__init__()
        self.source = source
        self._modules, self._parameters, self._buffers = tree._modules, tree._parameters, tree._buffers
        self._compile()

    def _compile(self) -> None:
        name = f"<translated network {id(self)}>"
        scope: Dict[str, Any] = {
            "torch": torch,
            "operator": operator,
            "operators": operators,
            recomputed.__name__: recomputed,
        }
        exec(compile(self.source, name, "exec"), scope)
        # Tracebacks show the line of the network.
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(True), name)
        self._run = scope["run"]

    def forward(self, data: Tensor) -> Tuple[Tensor, ...]:
        return self._run(self, data)

    def __getitem__(self, name: str) -> nn.Module:
        return self._modules[name]

    def __getstate__(self) -> Dict[str, Any]:
        left_out = ("_run", "_compiled_call_impl")
        return {key: value for key, value in self.__dict__.items() if key not in left_out}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        super().__setstate__(state)
        self._compile()


def to_torch(net, folded: bool = False) -> TorchNetwork:
    """The PyTorch form of an initialized MXNet network of one input, with copies of its parameters.

    In inference mode; `train()` gives batch statistics and dropout. `folded`: see `translate`. Raises
    ConfigError for an operator without a translation, naming its layer, and for a network whose parameters
    have no values yet.
    """
    return translate(trace(net), parameters_of(net), folded=folded)


def translate(
    graph: Graph, parameters: Mapping[str, nn.Parameter], segmented: bool = False, folded: bool = False
) -> TorchNetwork:
    """The module of a graph over `parameters`: tensors by structural name, a tied one under each of its
    names.

    segmented  in training it keeps the maps between segments, and computes those inside again.
    folded     for predictions alone: a batch norm behind a convolution is multiplied into its kernel, once
               and for all. Such a convolution is named after its place, and the state of the module has its
               kernel and shift in place of what they were made from.
    """
    return Translator(graph, dict(parameters), segmented, folded).module()


def parameters_of(net, device: Any = "cpu") -> Dict[str, nn.Parameter]:
    """Copies of a network's parameters by structural name; ConfigError where one has no values yet."""
    made: Dict[int, nn.Parameter] = {}
    named = {}
    for name, parameter in named_parameters(net).items():
        if id(parameter) not in made:
            try:
                value = torch.from_numpy(parameter.list_data()[0].asnumpy()).to(device)
            except RuntimeError as error:
                raise ConfigError(f"parameter {name} has no values yet: initialize the network") from error
            made[id(parameter)] = nn.Parameter(value, requires_grad=parameter.grad_req != "null")
        named[name] = made[id(parameter)]
    return named


class Translator:
    """Writes the lines of the code while it collects the layers that they name."""

    def __init__(
        self, graph: Graph, parameters: Dict[str, nn.Parameter], segmented: bool, folded: bool = False
    ):
        self.graph = graph
        # place of a batch norm -> that of the convolution it is folded into
        self.folded = foldable(graph, NORMS) if folded else {}
        self.segmented = segmented
        self.parameters = parameters
        self.kept = parameters  # those that the module has
        self.first: Dict[str, str] = {}  # lines that come before all others, by what they define
        self.layers: Dict[str, Tuple[nn.Module, tuple]] = {}  # path -> (module, what it was made from)
        self.states = self._states()
        self.turns: Dict[str, List[int]] = {}  # path of a batch norm -> places of its calls
        self.readers: Counter = Counter()  # place of a node -> how many read it, outputs included
        self.last_use: Dict[int, int] = {}  # place of a node -> that of the last one that reads it

    def _scale_of_norm(self, node: Node) -> Optional[str]:
        return self.graph.parameter(node.inputs[1]) if node.operator in NORMS else None

    def _states(self) -> set:
        """Parameters that a batch norm moves in training."""
        norms = (node for _, node in self.graph.operators() if node.operator in NORMS)
        return {self.graph.parameter(entry) for node in norms for entry in node.inputs[3:]}

    def module(self) -> TorchNetwork:
        needed = self._needed()
        if self.folded:
            # What was folded stays behind.
            read = {self.graph.parameter(entry) for place in needed for entry in self._reads(place)}
            self.kept = {name: value for name, value in self.parameters.items() if name in read}
        for place in needed:
            gamma = self._scale_of_norm(self.graph.nodes[place])
            if gamma is not None:
                self.turns.setdefault(gamma, []).append(place)
        lines = [
            Line(
                place,
                self.expression(place, self.graph.nodes[place]),
                self._operators(place),
                self.last_use[place],
            )
            for place in needed
        ]
        outputs = "".join(self.value(entry) + ", " for entry in self.graph.outputs).rstrip()
        tree = _tree(self.kept, self.states, {path: layer for path, (layer, _) in self.layers.items()})
        module = TorchNetwork(written(self.graph.data, self.first, lines, outputs, self.segmented), tree)
        module.eval()
        return module

    def _needed(self) -> List[int]:
        """Places of the operators that an output depends on, in order; notes who reads each last."""
        self.last_use.update((place, len(self.graph.nodes)) for place, _ in self.graph.outputs)
        self.readers.update(place for place, _ in self.graph.outputs)
        for place, _ in reversed(list(self.graph.operators())):
            if place in self.last_use:
                self.readers.update(self._operators(place))
                for source in self._operators(place):
                    self.last_use.setdefault(source, place)
        return sorted(self.last_use)

    def _operators(self, place: int) -> List[int]:
        """Places of the operators whose results the line of a node reads."""
        sources = {source for source, _ in self._reads(place)}
        return sorted(k for k in sources if self.graph.nodes[k].operator != VARIABLE)

    def _reads(self, place: int) -> Tuple[Entry, ...]:
        """The entries that the line of a node reads: a length is read from the map that it measures, a folded
        norm reads what its convolution does."""
        node = self.graph.nodes[place]
        if place in self.folded:
            return self.graph.nodes[self.folded[place]].inputs[:1]
        if self._is_last_index(node):
            return self.graph.nodes[node.inputs[0][0]].inputs
        return node.inputs

    def _may_overwrite(self, place: int, node: Node) -> bool:
        """Whether this is a ReLU and the only reader of a result that its producer's gradient does not need.
        A segment that runs again needs what it was given."""
        if (node.operator != "relu" and node.attributes.get("act_type") != "relu") or self.segmented:
            return False
        source = node.inputs[0][0]
        return self.graph.nodes[source].operator in FRESH and self.readers[source] == 1

    def _is_last_index(self, node: Node) -> bool:
        if node.operator != "max" or node.attributes.get("axis") not in (None, ()):
            return False
        return self.graph.nodes[node.inputs[0][0]].operator == "_contrib_arange_like"

    # ----- one line

    def value(self, entry: Entry) -> str:
        """The expression of an entry: a variable of the code, or a parameter."""
        place, index = entry
        node = self.graph.nodes[place]
        if node.operator != VARIABLE:
            return f"x{place}[{index}]" if node.operator in MULTIPLE else f"x{place}"
        name = self.graph.parameter(entry)
        if name is None:
            return node.name
        if name not in self.states:
            return attribute(name)
        # A state that the network reads is what it was before this pass moves it.
        self.first[f"x{place}"] = f"x{place} = {attribute(name)}.clone()"
        return f"x{place}"

    def expression(self, place: int, node: Node) -> str:
        if self._is_last_index(node):
            (entry,) = self._reads(place)
            axis = self.graph.nodes[node.inputs[0][0]].attributes["axis"]
            return f"operators.last_index({self.value(entry)}, {axis})"
        if self._may_overwrite(place, node):
            return f"operators.relu_in_place({self.value(node.inputs[0])})"
        layer = LAYERS.get(node.operator)
        if layer is not None:
            written = layer(self, place, node)
            if written is not None:
                return written
        function = operators.OPERATORS.get(node.operator)
        if function is None:
            raise ConfigError(
                f"operator {node.operator} of layer {node.name} has no PyTorch form "
                f"(mxnetseg/compute/torch/operators.py has those that do)"
            )
        inputs = [self.value(entry) for entry in node.inputs] or [self.graph.data]
        words = _keywords(function, node)
        return f"{_name(function)}({', '.join([*inputs, *words])})"

    def layer(
        self, node: Node, names: Tuple[str, ...], make, *made_from, keywords: str = ""
    ) -> Optional[str]:
        """The call of a module that holds this node's parameters under `names`; None where they do not lie so
        in the network (a computed weight, one shared between different layers)."""
        paths = [self.graph.parameter(entry) for entry in node.inputs[1:]]
        if None in paths or not paths:
            return None
        parent = paths[0].rpartition(".")[0]
        if not parent or paths != [f"{parent}.{name}" for name in names]:
            return None
        key = (node.operator, *made_from)
        known = self.layers.setdefault(parent, (make(), key))
        if known[1] != key:
            return None
        return f"{attribute(parent)}({self.value(node.inputs[0])}{keywords})"

    def own_layer(self, place: int, node: Node, module: nn.Module) -> str:
        """The path of a module without parameters, beside the network's own."""
        path = f"{node.operator.lower()}{place}"
        self.layers[path] = (module, (place,))
        return attribute(path)


# ----- code


def _name(function) -> str:
    """How the code calls a function of `operators.OPERATORS`."""
    if function.__module__ == operators.__name__:
        return f"operators.{function.__name__}"
    if function.__module__ == "_operator":
        return f"operator.{function.__name__}"
    return f"torch.{function.__name__}"


def _keywords(function, node: Node) -> List[str]:
    """The attributes as keyword arguments; ConfigError for one that the function does not have."""
    attributes = {
        key: value
        for key, value in node.attributes.items()
        if key not in IGNORED and not key.startswith("__")
    }
    if list(attributes) == ["scalar"]:
        return [repr(attributes["scalar"])]
    try:
        known = inspect.signature(function).parameters
    except ValueError:  # built into PyTorch: no attributes
        known = {}
    for key in attributes:
        if key not in known:
            raise ConfigError(f"operator {node.operator} of layer {node.name}: its {key} has no PyTorch form")
    return [f"{key}={value!r}" for key, value in attributes.items()]


def _tree(
    tensors: Mapping[str, nn.Parameter], states: Collection[str], layers: Mapping[str, nn.Module]
) -> nn.Module:
    """Modules and parameters of dotted paths below one root; states become buffers."""
    root = nn.Module()
    paths: Dict[str, Optional[nn.Module]] = dict(layers)
    for name in tensors:
        parent = name.rpartition(".")[0]
        while parent:
            paths.setdefault(parent, None)
            parent = parent.rpartition(".")[0]
    # Numbers are no attributes in Python: what holds numbered children is a dictionary of modules.
    numbered = {parent for parent, _, leaf in (path.rpartition(".") for path in paths) if leaf.isdigit()}
    for path in sorted(paths, key=lambda p: (p.count("."), p)):
        parent, _, leaf = path.rpartition(".")
        module = paths[path] or (nn.ModuleDict() if path in numbered else nn.Module())
        root.get_submodule(parent).add_module(leaf, module)
    for name, tensor in tensors.items():
        parent, _, leaf = name.rpartition(".")
        holder = root.get_submodule(parent)
        if name in states or leaf in STATISTICS:
            holder.register_buffer(leaf, tensor.data)
        else:
            holder.register_parameter(leaf, tensor)
    return root

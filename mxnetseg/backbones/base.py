"""What every backbone publishes, and the call that builds one."""

from __future__ import annotations

import inspect
from typing import Any, Dict, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, Parameter

from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.errors import ConfigError
from mxnetseg.nn.norm import convert_norm
from mxnetseg.nn.surgery import Transparent, forget_graph, named_parameters
from mxnetseg.registry import Registry

BACKBONES = Registry("backbone", package="mxnetseg.backbones")


class Backbone(HybridBlock):
    """Base class: subclasses set `channels` and `strides` (one entry a level, shallow to deep)
    and return that many maps. The output strides a family offers are a fact of its registration.
    """

    # Networks of one make, for heads that choose by it.
    family = ""
    # Whether the levels are branches of one depth that belong together.
    parallel_branches = False
    # Whether layers run more than once in a pass, which synchronized batch norm cannot (see `nn.norm`).
    runs_twice = False
    # Images are padded at the right and at the bottom to a multiple of this many pixels; maps cover that.
    patch = 1
    # The name that it was built by, and the channels of its images.
    registered_name = ""
    in_channels = 3
    # The name whose ImageNet weights fit, where it is not the registered one.
    imagenet_name = ""
    # Channels of c0, the map one halving before c1, where the family has one.
    c0_channels = 0
    gives_c0 = False
    # Whether a side is halved by rounding down, so that a map may have a pixel more than twice the next one.
    rounds_down = False
    # Columns and rows that may be left out at the right and at the bottom, where they fill no cell of c1.
    leaves_out = 0
    # Side of an image that every level can be computed of.
    trace_size = 64
    # Names in files of ImageNet weights, and {GluonCV's prefix: ours} where its layers were numbered anew.
    imagenet = ImageNetNames()
    zoo_prefixes: Dict[str, str] = {}

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    @property
    def pretrainable(self) -> Backbone:
        """The network that ImageNet weights are for."""
        return self

    def parameters_by_name(self) -> Dict[str, Parameter]:
        """{name in files of ImageNet weights, after the rules: parameter}."""
        return named_parameters(self)

    def parameter_depths(self) -> Dict[str, int]:
        """{Gluon's name of a parameter: the number of the shallowest map that depends on it, from 1}."""
        depths: Dict[str, int] = {}
        for number, level in enumerate(self(mx.sym.var("data")), 0 if self.gives_c0 else 1):
            for name in level.list_inputs():
                depths.setdefault(name, max(1, number))
        return {name: depths[name] for name in self.collect_params() if name in depths}

    def decay_depths(self) -> Dict[str, int]:
        """The same as the authors count for learning rates that fall with depth; what is left out trains at
        the full rate."""
        return self.parameter_depths()

    def give_c0(self) -> None:
        """Return c0 before the other maps from now on, for decoders that go back to the size of the image;
        nothing changes for a family that has none."""
        if self.c0_channels and not self.gives_c0:
            self.gives_c0 = True
            self.channels = (self.c0_channels, *self.channels)
            self.strides = (self.strides[0] // 2, *self.strides)

    def _levels(self, c0, *maps):
        """What `hybrid_forward` returns: the maps, and c0 in front where it is asked for."""
        return (c0, *maps) if self.gives_c0 else maps

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Tensors of a file of ImageNet weights, {name: array}, brought to the parts that parameters hold."""
        return tensors

    def __call__(self, *args):
        # A hybridized block hands back a list where hybrid_forward returned a tuple.
        return tuple(super().__call__(*args))


class TwoPartBackbone(Backbone):
    """A backbone that can be run in two parts, so that a network may change the map between them (ICNet
    halves it). Its maps are those of the first part and of the second, run on the first's last."""

    def begin(self, F, x):
        """Image to c0, at stride 2."""
        raise NotImplementedError

    def proceed(self, F, c0):
        """c0 to `(c1, c2)`."""
        raise NotImplementedError

    def first_part(self, F, x):
        """Image to `(c1, c2)`."""
        return self.proceed(F, self.begin(F, x))

    def second_part(self, F, c2):
        """c2 to `(c3, c4)`."""
        raise NotImplementedError

    def hybrid_forward(self, F, x):
        c0 = self.begin(F, x)
        c1, c2 = self.proceed(F, c0)
        return self._levels(c0, c1, c2, *self.second_part(F, c2))


class Wrapper(Transparent, Backbone):
    """A backbone, `net`, that sees the image in another way: smaller, rescaled, at several sizes."""

    def __init__(
        self,
        net: Backbone,
        channels: Optional[Sequence[int]] = None,
        strides: Optional[Sequence[int]] = None,
    ) -> None:
        super().__init__(channels or net.channels, strides or net.strides)
        for fact in (
            "family",
            "parallel_branches",
            "runs_twice",
            "patch",
            "rounds_down",
            "leaves_out",
            "trace_size",
        ):
            setattr(self, fact, getattr(net, fact))
        self.registered_name = net.registered_name
        self.in_channels = net.in_channels
        self.net = net

    @property
    def pretrainable(self) -> Backbone:
        return self.net.pretrainable


def output_strides(name: str) -> Tuple[int, ...]:
    """The output strides that a backbone offers."""
    return BACKBONES.info(name).get("output_strides", (32,))


def nearest_stride(name: str, wanted: int) -> int:
    """The output stride that the backbone offers nearest to the one an architecture would like."""
    return min(output_strides(name), key=lambda s: (abs(s - wanted), s))


def of_one_stride(name: str) -> bool:
    """Whether a backbone's maps all have one stride, so that it can be given a pyramid."""
    return not BACKBONES.info(name).get("pyramid", True)


def accepted_options(name: str, options: Dict[str, Any]) -> Dict[str, Any]:
    """Those of `options` that the backbone's constructor takes: an architecture's taste in stems and
    dilation applies to the families that have them."""
    accepted = inspect.signature(BACKBONES.get(name)).parameters
    return {key: value for key, value in options.items() if key in accepted}


def create_backbone(
    name: str,
    output_stride: int = 32,
    norm: str = "bn",
    in_channels: int = 3,
    num_devices: int = 1,
    c0: bool = False,
    **options: Any,
) -> Backbone:
    """A registered backbone with parameter shapes known and nothing initialized yet.

    `output_stride`: stride of the deepest map. `norm`: `bn`, `syncbn` (over `num_devices`) or `gn`.
    `in_channels`: channels of the image. `c0`: whether the map at stride 2 comes before the others;
    a family that has none gives the others alone. `options` are the keywords of that backbone's own
    constructor. ImageNet weights are loaded afterwards, by `mxnetseg.weights.imagenet.load_backbone`. Raises
    RegistryError for an unknown name or option and ConfigError for an output stride that the family does not
    have.
    """
    offered = output_strides(name)
    if output_stride not in offered:
        raise ConfigError(
            f"backbone {name!r} has no output stride {output_stride}; "
            f"it offers {', '.join(map(str, offered))}"
        )
    if len(offered) > 1:
        options["output_stride"] = output_stride
    backbone = BACKBONES.build(name, **options)
    if c0:
        backbone.give_c0()
    # GluonCV leaves most input channels to be inferred; doing it here makes parameter shapes
    # known without a forward pass and lets the first convolution take any number of channels.
    backbone.infer_shape(mx.nd.zeros((1, in_channels, backbone.trace_size, backbone.trace_size)))
    forget_graph(backbone)
    for one in (backbone, backbone.pretrainable):
        one.in_channels = in_channels
        one.registered_name = name
    return convert_norm(backbone, norm, num_devices)

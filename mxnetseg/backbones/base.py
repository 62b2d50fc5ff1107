"""What every backbone publishes, and the call that builds one."""

from __future__ import annotations

import inspect

import mxnet as mx
from mxnet.gluon import HybridBlock

from mxnetseg.errors import ConfigError
from mxnetseg.nn.norm import convert_norm
from mxnetseg.registry import Registry

BACKBONES = Registry("backbone", package="mxnetseg.backbones")


class Backbone(HybridBlock):
    """Base class: subclasses set `channels` and `strides` (one entry a level, shallow to deep)
    and return that many maps. The output strides a family offers are a fact of its registration.
    """

    def __init__(self, channels, strides):
        super().__init__()
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    def parameters_by_name(self):
        """{name in files of ImageNet weights: parameter}."""
        return self._collect_params_with_prefix()

    def rearrange(self, tensors):
        """Tensors of a file of ImageNet weights, {name: array}, brought to the parts that parameters hold."""
        return tensors

    def __call__(self, *args):
        # A hybridized block hands back a list where hybrid_forward returned a tuple.
        return tuple(super().__call__(*args))


def nearest_stride(name, wanted):
    """The output stride that the backbone offers nearest to the one an architecture would like."""
    return min(BACKBONES.info(name).get("output_strides", (32,)), key=lambda s: (abs(s - wanted), s))


def accepted_options(name, options):
    """Those of `options` that the backbone's constructor takes: an architecture's taste in stems and
    dilation applies to the families that have them."""
    accepted = inspect.signature(BACKBONES.get(name)).parameters
    return {key: value for key, value in options.items() if key in accepted}


def create_backbone(
    name, output_stride=32, norm="bn", pretrained=False, in_channels=3, num_devices=1, **options
):
    """A registered backbone with parameter shapes known and nothing initialized yet.

    `output_stride`: stride of the deepest map. `norm`: `bn`, `syncbn` (over `num_devices`) or `gn`.
    `pretrained`: True takes ImageNet weights from the local weights folder, a path takes that file
    (loaded when the network is initialized, see `mxnetseg.models.create_model`). `in_channels`: channels of
    the image. `options` are the keywords of that backbone's own constructor. Raises RegistryError for
    an unknown name or option and ConfigError for an output stride that the family does not have.
    """
    offered = BACKBONES.info(name).get("output_strides", (32,))
    if output_stride not in offered:
        raise ConfigError(
            f"backbone {name!r} has no output stride {output_stride}; "
            f"it offers {', '.join(map(str, offered))}"
        )
    if len(offered) > 1:
        options["output_stride"] = output_stride
    backbone = BACKBONES.build(name, **options)
    # GluonCV leaves most input channels to be inferred; doing it here makes parameter shapes
    # known without a forward pass and lets the first convolution take any number of channels.
    side = backbone.trace_size = BACKBONES.info(name).get("trace_size", 64)
    backbone.infer_shape(mx.nd.zeros((1, in_channels, side, side)))
    backbone._clear_cached_op()
    backbone.pretrained = pretrained
    backbone.in_channels = in_channels
    backbone.registered_name = name
    return convert_norm(backbone, norm, num_devices)

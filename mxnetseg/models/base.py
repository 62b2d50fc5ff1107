"""The shape every network of the zoo has, and the call that builds one."""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, accepted_options, create_backbone, nearest_stride
from mxnetseg.errors import ConfigError
from mxnetseg.nn.layers import FCNHead
from mxnetseg.nn.norm import convert_norm
from mxnetseg.nn.resize import resize_like
from mxnetseg.registry import Registry

MODELS = Registry("model", package="mxnetseg.models")


class Head(HybridBlock):
    """Base of decode heads: `head(c1, c2, c3, c4)` (or one tuple of maps) gives a tuple, the main logits
    at the head's own resolution first, then the maps that auxiliary heads tap."""

    def __call__(self, *features):
        if len(features) == 1 and isinstance(features[0], (tuple, list)):
            features = features[0]
        maps = super().__call__(*features)
        return tuple(maps) if isinstance(maps, (tuple, list)) else (maps,)


class Segmentor(HybridBlock):
    """backbone -> head -> auxiliary heads; `(N, 3, H, W)` to a tuple of logits `(N, nclass, H, W)`.

    `aux` lists pairs (source, block): the source is `c1`..`c4` for a level of the backbone or
    `head.k` for the k-th map that the head returns after its logits. Logits come back main first, then
    in the order of `aux`, every one resized to the input. `predicts`: what each tells: `pixels`
    their class, or `presence`, the same all over the image, which classes are in it (as the head says).
    """

    def __init__(self, backbone, head, aux=(), align_corners=True):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.aux_heads = nn.HybridSequential()
        self._sources = []
        self._align_corners = align_corners
        for source, block in aux:
            self._sources.append(source)
            self.aux_heads.add(block)
        self.predicts = ("pixels", *(getattr(block, "predicts", "pixels") for _, block in aux))

    def __call__(self, *args):
        return tuple(super().__call__(*args))

    def hybrid_forward(self, F, x):
        features = self.backbone(x)
        maps = self.head(*features)
        logits = [maps[0]]
        for source, aux_head in zip(self._sources, self.aux_heads):
            logits.append(aux_head(_tap(source, features, maps)))
        return tuple(resize_like(F, y, x, self._align_corners) for y in logits)

    def deploy(self):
        """The same network over the same parameters, without auxiliary heads: a tuple of one."""
        return Segmentor(self.backbone, self.head, align_corners=self._align_corners)


def _tap(source, features, maps):
    kind, _, index = source.partition(".")
    if kind == "head":
        return maps[1 + int(index)]
    return features[int(kind[1:]) - 1]


def create_model(
    name,
    nclass,
    backbone=None,
    aux=None,
    output_stride=None,
    norm="bn",
    num_devices=1,
    pretrained=False,
    in_channels=3,
    backbone_options=None,
    init=True,
    **options,
):
    """Build and initialize (on the CPU) a registered architecture.

    `nclass`: number of logits (1: one sigmoid logit for binary masks). `backbone`, `output_stride`,
    `aux`: None takes the architecture's own default; `aux=False` leaves auxiliary heads out. `norm`: `bn`,
    `syncbn` over `num_devices` contexts, or `gn`. `pretrained`: see `create_backbone`. `backbone_options`:
    keywords of the backbone's constructor (`stem`, `dilation` of a ResNet). `init`: True draws the weights,
    an `mx.init.Initializer` fills them (zeros are quicker where a file fills them next), False gives them
    shapes only, which is all that counting and tracing need. `options`: the keywords of the architecture's
    constructor. Returns a `Segmentor`. Raises RegistryError for unknown names or options
    (nearest ones in the text) and ConfigError for impossible combinations.
    """
    if not isinstance(nclass, int) or isinstance(nclass, bool) or nclass < 1:
        raise ConfigError(f"nclass must be a whole number of at least 1, not {nclass!r}")
    facts = MODELS.info(name)
    backbone = backbone or facts["backbone"]
    if not BACKBONES.info(backbone).get("pyramid", True) and not facts.get("one_stride"):
        raise ConfigError(
            f"backbone {backbone!r} gives all its maps at one stride and model {name!r} needs a pyramid; "
            f"{backbone!r} is for {', '.join(_of_one_stride())}"
        )
    stride = output_stride or nearest_stride(backbone, facts.get("output_stride", 32))
    preset = accepted_options(backbone, facts.get("backbone_options", {}))
    features = create_backbone(
        backbone,
        stride,
        pretrained=pretrained,
        in_channels=in_channels,
        **{**preset, **(backbone_options or {})},
    )
    if aux is not None:
        options["aux"] = aux
    net = convert_norm(MODELS.build(name, nclass, features, **options), norm, num_devices)
    _settle(net, (1, in_channels, features.trace_size, features.trace_size))
    if init:
        net.initialize(mx.init.MSRAPrelu(slope=0) if init is True else init)
        load_pretrained(features)
    return net


def _of_one_stride():
    return [name for name in MODELS.names() if MODELS.info(name).get("one_stride")]


def _settle(net, data_shape):
    """Make every parameter's shape known, and freeze those that no output depends on.

    Heads that read some of the maps only leave parts of backbones like HRNet idle; an optimizer would
    stumble over gradients that never come.
    """
    symbol = mx.sym.Group(list(net(mx.sym.var("data"))))
    shapes, _, auxiliary = symbol.infer_shape(data=data_shape)
    known = dict(zip(symbol.list_arguments(), shapes))
    known.update(zip(symbol.list_auxiliary_states(), auxiliary))
    for name, parameter in net.collect_params().items():
        if name in known:
            parameter.shape = known[name]
        else:
            parameter.grad_req = "null"


def load_pretrained(backbone):
    """Fill the backbone from the ImageNet weights it was created with, if any."""
    if backbone.pretrained:
        from mxnetseg.weights.imagenet import load_backbone

        load_backbone(backbone, backbone.pretrained)


def aux_on_c3(backbone, nclass, width=256):
    """The auxiliary classifier of the dilated family: a plain head on c3."""
    channels = backbone.channels[2]
    return [("c3", FCNHead(channels, nclass, head_width(width, channels)))]


def head_width(width, in_channels):
    """`width` channels but no more than come in; a quarter of those for None."""
    return min(width, in_channels) if width else in_channels // 4

"""EoMT: Your ViT is Secretly an Image Segmentation Model (Kerssies et al., CVPR 2025, arXiv 2503.19108).

Set prediction without a decoder: queries join the tokens of a plain vision transformer before its last
blocks. From what comes out, one layer says the class of each query, or that it is of none, and three its
mask, the product with the patches, four times enlarged. The map of classes weighs the chances of the queries
by those of their masks at the size of the image.

The queries predict before each of the last blocks as well, and all are supervised in training. There the
authors first let a query read only patches inside its mask and give that up as training proceeds; here
attention is whole from the start, as it is when they are done.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.tokens import TokenBackbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_queries
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.queries import every_sample, masks_of, semantic_map
from mxnetseg.nn.resize import resize_by
from mxnetseg.nn.tokens import NARROW, to_map, to_tokens, token_dense

FORMS = {"paper": {}, "hf": {"cut": False, "backbone_options": {"class_position": False}}}


class Doubling(HybridBlock):
    """A 2x2 transposed convolution of stride 2, `(N, C, H, W)` at twice the size, as the product that it is:
    MXNet's operator fails in oneDNN where it runs several times in a pass."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = self.params.get("weight", shape=(channels, channels, 2, 2), init=NARROW)
        self.bias = self.params.get("bias", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, x, weight, bias):
        y = F.dot(to_tokens(F, x), F.reshape(weight, (0, -1)))
        y = F.reshape_like(y, x, lhs_begin=1, lhs_end=2, rhs_begin=2, rhs_end=4)
        # (N, H, W, C, 2, 2) to (N, C, H, 2, W, 2).
        y = F.reshape(F.reshape(y, (0, 0, 0, -4, -1, 4)), (0, 0, 0, 0, -4, 2, 2))
        y = F.reshape(F.transpose(y, (0, 3, 1, 4, 2, 5)), (0, 0, -3, -3))
        return F.broadcast_add(y, F.reshape(bias, (1, -1, 1, 1)))


class Enlarging(HybridBlock):
    """`(N, C, H, W)` at twice the size: transposed convolution, GELU, depthwise convolution, layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Doubling(channels)
        self.act = GELU()
        self.conv2 = nn.Conv2D(
            channels,
            3,
            padding=1,
            groups=channels,
            use_bias=False,
            in_channels=channels,
            weight_initializer=NARROW,
        )
        self.norm = nn.LayerNorm(epsilon=1e-6, in_channels=channels)

    def hybrid_forward(self, F, x):
        x = self.conv2(self.act(self.conv1(x)))
        # Channels last for the norm: it cannot take the gradient of a convolution in oneDNN's own layout.
        return F.transpose(self.norm(F.transpose(x, (0, 2, 3, 1))), (0, 3, 1, 2))


class MaskLayers(HybridBlock):
    """Three dense layers, GELU between them: queries `(N, Q, C)` to what is multiplied with the patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (token_dense(width, width) for _ in range(3))
        self.act = GELU()

    def hybrid_forward(self, F, x):
        return self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))


class EoMTHead(Head):
    """The tokens `(N, L, C)` before the backbone's last blocks, and the patches that they stand for, to the
    map of classes, then classes and masks of the queries, after the last block first."""

    def __init__(self, backbone: TokenBackbone, nclass: int, queries: int, blocks: int) -> None:
        super().__init__()
        width = backbone.token_channels
        self._queries = queries
        self._front = queries + backbone.front
        self._factor = backbone.patch / 4
        # The blocks stay the backbone's own children.
        self._last_blocks = lambda: (list(backbone.blocks)[-blocks:], backbone.norm)
        self.queries = self.params.get("queries", shape=(queries, width), init=NARROW)
        self.classifier = token_dense(nclass + 1, width)
        self.mask_layers = MaskLayers(width)
        self.enlarge = nn.HybridSequential()
        self.enlarge.add(Enlarging(width), Enlarging(width))

    def hybrid_forward(self, F, tokens, patches, queries):
        blocks, norm = self._last_blocks()
        tokens = F.concat(every_sample(F, queries, tokens), tokens, dim=1)
        found = []
        for block in blocks:
            found = self._predicted(F, norm(tokens), patches) + found
            tokens = block(tokens)
        found = self._predicted(F, norm(tokens), patches) + found
        classes, masks = found[:2]
        masks = resize_by(F, masks, self._factor, align_corners=False)
        return (semantic_map(F, classes, masks), *found)

    def _predicted(self, F, tokens, patches):
        queries = F.slice_axis(tokens, axis=1, begin=0, end=self._queries)
        x = to_map(F, F.slice_axis(tokens, axis=1, begin=self._front, end=None), patches)
        return [self.classifier(queries), masks_of(F, self.mask_layers(queries), self.enlarge(x))]


@MODELS.register(
    "eomt",
    forms=FORMS,
    paper="Your ViT is Secretly an Image Segmentation Model",
    venue="CVPR 2025",
    year=2025,
    link="https://arxiv.org/abs/2503.19108",
    backbone="dinov2_large",
    output_stride=16,
    one_stride=True,
    backbone_options={"patch": 16, "registers": 4, "resizing": "bicubic_antialias"},
    scores=[
        ("ADE20K val", "dinov2_large, 512x512", 58.4, "the paper"),
        ("Cityscapes val", "dinov2_large, 1024x1024", 84.2, "the paper"),
    ],
)
def eomt(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    queries: int = 100,
    blocks: int = 3,
    cut: bool = True,
) -> Segmentor:
    """`aux`: what training takes, classes and masks of the queries. `blocks`: the backbone's last ones, which
    the queries run through. `cut`: maps are cut to images whose sides are no multiples of a patch; else the
    padding is squeezed into them. The backbone is a vision transformer whose places are in its tokens."""
    if not isinstance(backbone, TokenBackbone) or backbone.places_for_attention or backbone.norm is None:
        raise ConfigError(
            "eomt needs a vision transformer with positions and a final norm, such as dinov2_small"
        )
    if not 0 < blocks < len(backbone.blocks):
        raise ConfigError(f"blocks must be from 1 to {len(backbone.blocks) - 1}, not {blocks}")
    backbone.stop_before_last(blocks)
    head = EoMTHead(backbone, nclass, queries, blocks)
    supervised = aux_on_queries(blocks + 1) if aux else ()
    return Segmentor(backbone, head, supervised, align_corners=False, patch=None if cut else 1)

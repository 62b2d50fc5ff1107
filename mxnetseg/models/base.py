"""The shape every network of the zoo has: backbone, neck, head, auxiliary heads."""

from __future__ import annotations

from typing import Literal, NamedTuple, Optional, Sequence

from mxnet import autograd
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.nn.layers import Dropped, FCNHead, Identity
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.surgery import layers
from mxnetseg.registry import Registry

MODELS = Registry("model", package="mxnetseg.models")


# Outputs that are of points or queries, not of the image's pixels.
UNSIZED = ("points", "queries", "masks")


class Head(HybridBlock):
    """Base of decode heads: `head(*maps)` gives a tuple, the main logits first, at the head's own
    resolution, then whatever maps auxiliary heads read."""

    def __call__(self, *maps):
        return _as_tuple(super().__call__(*maps))


class Neck(HybridBlock):
    """Base of what stands between backbone and head and is not pretrained on ImageNet: further paths over
    the image, fusions. `neck(image, c1, c2, c3, c4)` gives the tuple of maps that the head takes."""

    def __call__(self, image, *features):
        return _as_tuple(super().__call__(image, *features))


class WithImage(Neck):
    """The backbone's maps and behind them the image, for a head whose logits are of its size."""

    def hybrid_forward(self, F, image, *features):
        return (*features, image)


class Aux(NamedTuple):
    """An auxiliary head and what it reads.

    block       maps `(N, C, h, w)` to logits; they are resized to the image.
    of, index   reads the map at place `index`, counted from 0, of the tuple that `of` returns: c1 is 0 of
                the backbone; the main logits are 0 of the head, its further maps begin at 1.
    predicts    what its logits are: classes of `pixels`; `presence` of classes in the image, the same at
                every pixel; `boundary`, edges between classes; `detail`, the edges of STDC's detail loss;
                `points`, classes of single points (`mxnetseg.nn.points`); `queries`, classes
                `(N, Q, K + 1)` of queries, the last being none, and right after them their `masks`
                `(N, Q, h, w)`. The last three are not resized.
    corners     whether that resizing aligns corners; None: as for the main output.
    """

    block: HybridBlock
    of: Literal["backbone", "neck", "head"]
    index: int
    predicts: Literal["pixels", "presence", "boundary", "detail", "points", "queries", "masks"] = "pixels"
    corners: Optional[bool] = None


class Segmentor(HybridBlock):
    """Backbone, neck, head, auxiliary heads: `(N, 3, H, W)` to a tuple of logits `(N, nclass, H, W)`.

    Without a neck the head reads the backbone's maps. Logits come back main first, then in the order of
    `aux`, every one resized to the image; `align_corners` is of that last resizing, where `aux` says nothing
    else (`corners` lists all). `patch`: side of the patches that the backbone cut the image into, padded to
    whole ones, where logits are to be resized to all of them and cut to the image (None: the backbone's); 1
    resizes them to the image itself. `full_size`: the main logits are at the image's own resolution, padded
    where its sides are odd, and are cut to it instead (None among `corners`); where the backbone left pixels
    at the border out, the last ones are repeated. `predicts` says what each
    output is, main first (see `Aux`). Of all parameters, those of `backbone` alone may come from ImageNet.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        aux: Sequence[Aux] = (),
        *,
        neck: Optional[Neck] = None,
        align_corners: bool = True,
        patch: Optional[int] = None,
        full_size: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.aux_heads = nn.HybridSequential()
        self.predicts = ("pixels", *(one.predicts for one in aux))
        self._sources = [(one.of, one.index) for one in aux]
        self._align_corners = align_corners
        self._traced_in_training: Optional[bool] = None
        own = (align_corners if one.corners is None else one.corners for one in aux)
        self.corners = (None if full_size else align_corners, *own)
        self._patch = backbone.patch if patch is None else patch
        self._repeated = backbone.leaves_out if full_size else 0
        for one in aux:
            self.aux_heads.add(one.block)

    def __call__(self, *args):
        training = autograd.is_training()
        if self._traced_in_training not in (None, training) and self._differs_in_training():
            self._clear_cached_op()  # a hybridized network keeps the graph of its first call
        self._traced_in_training = training
        return _as_tuple(super().__call__(*args))

    def _differs_in_training(self):
        return any(getattr(layer, "differs_in_training", False) for layer in layers(self, HybridBlock))

    def hybrid_forward(self, F, x):
        maps = {"backbone": self.backbone(x)}
        maps["neck"] = self.neck(x, *maps["backbone"]) if self.neck is not None else maps["backbone"]
        maps["head"] = self.head(*maps["neck"])
        logits = [maps["head"][0]]
        for (of, index), aux_head in zip(self._sources, self.aux_heads):
            logits.append(aux_head(maps[of][index]))
        if self._repeated:
            logits[0] = F.pad(
                logits[0], mode="edge", pad_width=(0, 0, 0, 0, 0, self._repeated, 0, self._repeated)
            )
        if self._patch == 1:
            return tuple(
                y if kind in UNSIZED else _on_image(F, y, x, corners)
                for y, kind, corners in zip(logits, self.predicts, self.corners)
            )
        side = self._patch
        padded = F.pad(x, mode="constant", pad_width=(0, 0, 0, 0, 0, side - 1, 0, side - 1))
        one = F.slice_axis(F.BlockGrad(padded), axis=1, begin=0, end=1)
        patches = F.Pooling(one, kernel=(side, side), stride=(side, side), pool_type="max")
        padded = F.UpSampling(patches, scale=side, sample_type="nearest")
        logits = [
            y if corners is None or kind in UNSIZED else resize_like(F, y, padded, corners)
            for y, corners, kind in zip(logits, self.corners, self.predicts)
        ]
        return tuple(
            y if kind in UNSIZED else F.slice_like(y, x, axes=(2, 3))
            for y, kind in zip(logits, self.predicts)
        )

    def deploy(self) -> Segmentor:
        """The same network over the same parameters, without auxiliary heads: a tuple of one."""
        return Segmentor(
            self.backbone,
            self.head,
            neck=self.neck,
            align_corners=self._align_corners,
            patch=self._patch,
            full_size=self.corners[0] is None,
        )


def _on_image(F, logits, image, corners):
    """Logits resized to the image, or cut to it for `corners` None."""
    if corners is None:
        return F.slice_like(logits, image, axes=(2, 3))
    return resize_like(F, logits, image, corners)


def _as_tuple(maps):
    # A hybridized block hands back a list where hybrid_forward returned a tuple.
    return tuple(maps) if isinstance(maps, (tuple, list)) else (maps,)


def aux_on_queries(predictions: int) -> list[Aux]:
    """Supervision of a head of queries: after its main map come classes and masks, so many times."""
    places = range(1, 2 * predictions + 1)
    return [Aux(Identity(), "head", k, "queries" if k % 2 else "masks") for k in places]


def aux_on_c3(
    backbone: Backbone,
    nclass: int,
    width: Optional[int] = 256,
    dropped: Dropped = "channels",
    capped: bool = True,
    dilation: int = 1,
    level: int = 2,
) -> list[Aux]:
    """The auxiliary classifier of the dilated family: a plain head on c3, or another `level` from 0;
    `capped`: see `head_width`."""
    channels = backbone.channels[level]
    width = head_width(width, channels, capped)
    return [Aux(FCNHead(channels, nclass, width, dropped=dropped, dilation=dilation), "backbone", level)]


def head_width(width: Optional[int], in_channels: int, capped: bool = True) -> int:
    """`width` channels, if `capped` no more than come in; a quarter of those for None."""
    if not width:
        return in_channels // 4
    return min(width, in_channels) if capped else width

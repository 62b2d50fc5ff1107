"""SETR: Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers (Zheng
et al., CVPR 2021, arXiv 2012.15840).

A ViT and one of three decoders: `naive`, one unit; `pup`, progressive upsampling, four units with a
doubling after each; `mla`, multi-level aggregation, sums of four blocks from deep to shallow, joined.

Variants: `paper`, every head normalizes the tokens it reads, units are followed by resizing with unaligned
corners; `mxnetseg`, the tapped maps are normalized once for all heads, fewer maps are enlarged, corners are
aligned, and pup's classifier is a unit: its logits have a batch norm and a ReLU. Logits are cut to images
whose sides are no multiples of a patch; mmsegmentation and MXNetSeg squeeze the padding into them
(`cut=False`).
"""

from __future__ import annotations

from typing import Any, List, Literal, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, classifier
from mxnetseg.nn.resize import resize_by

FORMS = {
    "paper": {},
    "mmseg": {"cut": False, "backbone_options": {"patch_bias": False}},
    "mxnetseg": {
        "variant": "mxnetseg",
        "cut": False,
        "backbone_options": {"class_token": False},
        "dropped": "elements",
    },
}
Decoder = Literal["naive", "pup", "mla"]
Variant = Literal["paper", "mxnetseg"]


class MapNorm(HybridBlock):
    """Layer norm over the channels of `(N, C, H, W)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(axis=1, epsilon=1e-6, in_channels=channels)

    def hybrid_forward(self, F, x):
        return self.norm(x)


class Upsampler(HybridBlock):
    """Layer norm, then `units` times a unit and an enlargement by `factor`, then a classifier."""

    def __init__(
        self, in_channels: int, nclass: int, width: int, units: int, kernel: int, factor: int
    ) -> None:
        super().__init__()
        self._factor = factor
        self.norm = MapNorm(in_channels)
        self.units = nn.HybridSequential()
        for i in range(units):
            self.units.add(ConvUnit(width if i else in_channels, width, kernel))
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, x):
        x = self.norm(x)
        for unit in self.units:
            x = resize_by(F, unit(x), self._factor, align_corners=False)
        return self.classifier(x)


class DeepestHead(Head):
    """`naive` and `pup` of the paper: an `Upsampler` over the last block."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, **options: Any) -> None:
        super().__init__()
        self.upsample = Upsampler(channels[-1], nclass, width, **options)

    def hybrid_forward(self, F, t1, t2, t3, t4):
        return self.upsample(t4)


class Aggregation(HybridBlock):
    """Four maps, shallow to deep, to as many of `width` channels, deep to shallow: running sums."""

    def __init__(self, channels: Sequence[int], width: int, norm: bool) -> None:
        super().__init__()
        self.norms, self.reduce, self.refine = (nn.HybridSequential() for _ in range(3))
        for n in channels:
            if norm:
                self.norms.add(MapNorm(n))
            self.reduce.add(ConvUnit(n, width, 1))
            self.refine.add(ConvUnit(width, width))

    def hybrid_forward(self, F, *taps):
        if len(self.norms):
            taps = [norm(tap) for norm, tap in zip(self.norms, taps)]
        outputs, total = [], 0
        for reduce, refine, tap in reversed(list(zip(self.reduce, self.refine, taps))):
            total = reduce(tap) + total
            outputs.append(refine(total))
        return tuple(outputs)


class AggregationHead(Head):
    """`mla`: logits, then what came out of the aggregation, deep to shallow."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, variant: Variant) -> None:
        super().__init__()
        self._factor = 4 if variant == "paper" else 1
        self.fpn = Aggregation(channels, width, norm=variant == "paper")
        self.branches = nn.HybridSequential()
        for _ in channels:
            branch = nn.HybridSequential()
            branch.add(ConvUnit(width, width // 2), ConvUnit(width // 2, width // 2))
            self.branches.add(branch)
        self.classifier = classifier(len(channels) * (width // 2), nclass)

    def hybrid_forward(self, F, *taps):
        levels = self.fpn(*taps)
        parts = [branch(x) for branch, x in zip(self.branches, levels)]
        if self._factor > 1:
            parts = [resize_by(F, x, self._factor, align_corners=False) for x in parts]
        return (self.classifier(F.concat(*parts, dim=1)), *levels)


class ProgressiveUnits(HybridBlock):
    """MXNetSeg's pup: four 3x3 units with a doubling between them, and a fifth for the logits."""

    def __init__(self, in_channels: int, nclass: int, width: int) -> None:
        super().__init__()
        self.units = nn.HybridSequential()
        for i in range(4):
            self.units.add(ConvUnit(width if i else in_channels, width))
        self.classifier = ConvUnit(width, nclass)

    def hybrid_forward(self, F, x):
        first, *others = self.units
        x = first(x)
        for unit in others:
            x = unit(resize_by(F, x, 2))
        return self.classifier(x)


class NormalizedHead(Head):
    """MXNetSeg's decoders: logits, then the four normalized maps, which its auxiliary heads share."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, decoder: Decoder, dropped: Dropped
    ) -> None:
        super().__init__()
        self._aggregates = decoder == "mla"
        self.norms = nn.HybridSequential()
        for n in channels:
            self.norms.add(MapNorm(n))
        if decoder == "mla":
            self.decoder = AggregationHead(channels, nclass, width, "mxnetseg")
        elif decoder == "pup":
            self.decoder = ProgressiveUnits(channels[-1], nclass, width)
        else:
            self.decoder = FCNHead(channels[-1], nclass, width, kernel=1, dropped=dropped)

    def hybrid_forward(self, F, *taps):
        taps = [norm(tap) for norm, tap in zip(self.norms, taps)]
        logits = self.decoder(*taps)[0] if self._aggregates else self.decoder(taps[-1])
        return (logits, *taps)


@MODELS.register(
    "setr",
    forms=FORMS,
    paper="Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers",
    venue="CVPR 2021",
    year=2021,
    link="https://arxiv.org/abs/2012.15840",
    backbone="vit_large",
    output_stride=16,
    one_stride=True,
    scores=[
        ("Cityscapes val", "vit_large naive, 768x768, 80k", 78.1, "mmsegmentation"),
        ("Cityscapes val", "vit_large pup, 768x768, 80k", 79.21, "mmsegmentation"),
        ("Cityscapes val", "vit_large mla, 768x768, 80k", 77.0, "mmsegmentation"),
        ("ADE20K val", "vit_large naive, 512x512, 160k", 48.28, "mmsegmentation"),
        ("ADE20K val", "vit_large pup, 512x512, 160k", 48.24, "mmsegmentation"),
        ("ADE20K val", "vit_large mla, 512x512, 160k", 47.39, "mmsegmentation"),
    ],
)
def setr(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    decoder: Decoder = "pup",
    width: int = 256,
    variant: Variant = "paper",
    cut: bool = True,
    aux_units: int = 1,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`decoder`, `variant`, `cut`: see above; `width`: channels of the decoder. `aux`: heads on the other
    blocks tapped (`paper`), or MXNetSeg's. `aux_units`: units of `naive`'s auxiliary heads (mmsegmentation
    has two on ADE20K). `dropped`: what dropout drops, which only MXNetSeg's have."""
    if len(set(backbone.strides)) > 1:
        raise ConfigError("setr needs a backbone whose maps all have one stride, such as vit_large")
    channels = backbone.channels
    if decoder != "mla":
        # Blocks 10, 15, 20 and 24 of 24; the quarters' ends, which are the default, are for mla.
        backbone.tap([backbone.depth * block // 24 - 1 for block in (10, 15, 20, 24)])
    if variant == "paper":
        head, supervised = _paper(channels, nclass, width, decoder, aux_units)
        # mmsegmentation gives the classifiers of several auxiliary heads no start of their own.
        draw_as_pytorch(*(getattr(one.block, "classifier", one.block) for one in supervised))
    else:
        head, supervised = _mxnetseg(channels, nclass, width, decoder, dropped)
    return Segmentor(
        backbone,
        head,
        supervised if aux else (),
        align_corners=variant == "mxnetseg",
        patch=backbone.patch if cut else 1,
    )


def _paper(
    channels: Sequence[int], nclass: int, width: int, decoder: Decoder, aux_units: int
) -> Tuple[Head, List[Aux]]:
    if decoder == "mla":
        head = AggregationHead(channels, nclass, width, "paper")
        return head, [Aux(classifier(width, nclass), "head", k) for k in (1, 2, 3, 4)]
    if decoder == "naive":
        options = dict(units=1, kernel=1, factor=4)
        other = {**options, "units": aux_units}
    else:
        options, other = dict(units=4, kernel=3, factor=2), dict(units=2, kernel=3, factor=4)
    head = DeepestHead(channels, nclass, width, **options)
    return head, [Aux(Upsampler(channels[k], nclass, width, **other), "backbone", k) for k in (0, 1, 2)]


def _mxnetseg(
    channels: Sequence[int], nclass: int, width: int, decoder: Decoder, dropped: Dropped
) -> Tuple[Head, List[Aux]]:
    head = NormalizedHead(channels, nclass, width, decoder, dropped)
    deepest_first = (2, 1, 0) if decoder == "naive" else (3, 2, 1, 0)
    heads = [FCNHead(channels[k], nclass, width, kernel=1, dropped=dropped) for k in deepest_first]
    return head, [Aux(block, "head", 1 + k) for block, k in zip(heads, deepest_first)]

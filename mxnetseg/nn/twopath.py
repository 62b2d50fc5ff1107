"""Parts of two-path networks: BiSeNet (ECCV 2018, arXiv 1808.00897) and its heirs."""

from __future__ import annotations

from typing import Literal, Optional, Tuple

from mxnet.gluon import HybridBlock, contrib, nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import nearest_like, resize_like

GATES = ("bottleneck", "normed", "single")


class SpatialPath(HybridBlock):
    """Image to `(N, channels, H/8, W/8)`: three strided units of `width` channels, then a pointwise one."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.units = nn.HybridSequential()
        # Zero input channels: the image's are inferred when the network is created.
        self.units.add(
            ConvUnit(0, width, 7, 2),
            ConvUnit(width, width, 3, 2),
            ConvUnit(width, width, 3, 2),
            ConvUnit(width, channels, 1),
        )

    def hybrid_forward(self, F, x):
        return self.units(x)


class AttentionRefinement(HybridBlock):
    """3x3 unit, each channel scaled by a sigmoid of its normed global average mixed by a 1x1."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.unit = ConvUnit(in_channels, channels)
        self.gate = ConvUnit(channels, channels, 1, act="sigmoid")

    def hybrid_forward(self, F, x):
        x = self.unit(x)
        return F.broadcast_mul(x, self.gate(adaptive_avg_pool(F, x, 1)))


class ContextPath(HybridBlock):
    """Maps at strides 16 and 32 to one of `channels` at stride 8, and the map at 16 on the way.

    The globally pooled deepest map is added to its refinement; the sum goes up, is smoothed, joins the
    refinement of the finer map, and goes up and is smoothed again. `steps`: how many times finer each of the
    two targets is (2 and 2 but for dilated backbones), None where a target may be a pixel more than that.
    `upsample`: `nearest` or `bilinear` (corner-aligned) for each. Called with `(c3, c4, like)`; `like` has
    the final size.
    """

    def __init__(
        self,
        channels_c3: int,
        channels_c4: int,
        channels: int,
        steps: Optional[Tuple[int, int]] = (2, 2),
        upsample: Tuple[str, str] = ("bilinear", "bilinear"),
    ) -> None:
        super().__init__()
        if any(kind not in ("nearest", "bilinear") for kind in upsample):
            raise ConfigError(f"upsample takes nearest or bilinear, not {upsample!r}")
        self._steps = steps
        self._upsample = upsample
        self.pooled = ConvUnit(channels_c4, channels, 1)
        self.refine_c4 = AttentionRefinement(channels_c4, channels)
        self.refine_c3 = AttentionRefinement(channels_c3, channels)
        self.smooth_c4 = ConvUnit(channels, channels)
        self.smooth_c3 = ConvUnit(channels, channels)

    def hybrid_forward(self, F, c3, c4, like):
        context = F.broadcast_add(self.refine_c4(c4), self.pooled(adaptive_avg_pool(F, c4, 1)))
        context16 = self.smooth_c4(self._up(F, context, c3, 0))
        context8 = self.smooth_c3(self._up(F, self.refine_c3(c3) + context16, like, 1))
        return context8, context16

    def _up(self, F, x, like, step):
        if self._upsample[step] == "nearest":
            return nearest_like(F, x, like, self._steps and self._steps[step])
        return resize_like(F, x, like)


class FeatureFusion(HybridBlock):
    """`(spatial, context)` joined to `channels`; every channel x becomes x + gate * x.

    The gate comes from the global average. `gate`: `bottleneck`, two 1x1 convolutions around a ReLU (the
    paper); `normed`, the same with batch norm (MXNetSeg); `single`, one unit whose ReLU stands before the
    sigmoid, so that no gate falls below one half (mmsegmentation). `reduction` narrows the middle.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        gate: Literal["bottleneck", "normed", "single"] = "bottleneck",
        reduction: int = 1,
    ) -> None:
        super().__init__()
        if gate not in GATES:
            raise ConfigError(f"the fusion gate must be one of {', '.join(GATES)}, not {gate!r}")
        middle = channels // reduction
        self.join = ConvUnit(in_channels, channels, 1)
        self.gate = nn.HybridSequential()
        if gate == "bottleneck":
            self.gate.add(
                nn.Conv2D(middle, 1, use_bias=False, in_channels=channels, activation="relu"),
                nn.Conv2D(channels, 1, use_bias=False, in_channels=middle, activation="sigmoid"),
            )
        elif gate == "normed":
            self.gate.add(ConvUnit(channels, middle, 1), ConvUnit(middle, channels, 1, act="sigmoid"))
        else:
            self.gate.add(ConvUnit(channels, channels, 1), nn.Activation("sigmoid"))

    def hybrid_forward(self, F, spatial, context):
        x = self.join(F.concat(spatial, context, dim=1))
        return x + F.broadcast_mul(x, self.gate(adaptive_avg_pool(F, x, 1)))


class ShuffleHead(HybridBlock):
    """3x3 unit and a classifier that writes `factor` x `factor` pixels of logits for each it reads."""

    def __init__(self, in_channels: int, nclass: int, channels: int, factor: int) -> None:
        super().__init__()
        self.out_channels = nclass
        self.unit = ConvUnit(in_channels, channels)
        self.classifier = nn.Conv2D(nclass * factor * factor, 1, in_channels=channels)
        self.shuffle = contrib.nn.PixelShuffle2D(factor)

    def hybrid_forward(self, F, x):
        return self.shuffle(self.classifier(self.unit(x)))

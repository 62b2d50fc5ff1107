"""Pyramid pooling of networks that end at stride 64: overlapping windows (DDRNet, arXiv 2101.06085)."""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.preact import PreActUnit
from mxnetseg.nn.resize import resize_like

# (side, stride, padding) of the average pools; the padding counts.
WINDOWS = ((5, 2, 2), (9, 4, 4), (17, 8, 8))


class WindowPooling(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, H, W)`: the map, its averages over three windows and over all.

    `cascade=True` (DDRNet's DAPPM) blends each scale with the finer one before it; False (PIDNet's
    PAPPM, arXiv 2206.02066) adds the map to every scale and blends all at once, in groups.
    """

    def __init__(self, in_channels: int, width: int, channels: int, cascade: bool = True) -> None:
        super().__init__()
        self._cascade = cascade
        scales = len(WINDOWS) + 2
        self.scales = nn.HybridSequential()
        for _ in range(scales):
            self.scales.add(PreActUnit(in_channels, width, 1))
        self.blends = nn.HybridSequential()
        if cascade:
            for _ in range(scales - 1):
                self.blends.add(PreActUnit(width, width))
        else:
            self.blends.add(PreActUnit(width * (scales - 1), width * (scales - 1), groups=scales - 1))
        self.compress = PreActUnit(width * scales, channels, 1)
        self.shortcut = PreActUnit(in_channels, channels, 1)

    def hybrid_forward(self, F, x):
        maps = [self.scales[0](x)]
        pooled = [
            F.Pooling(x, kernel=(k, k), stride=(s, s), pad=(p, p), pool_type="avg", count_include_pad=True)
            for k, s, p in WINDOWS
        ]
        pooled.append(adaptive_avg_pool(F, x, 1))
        for index, y in enumerate(pooled):
            y = resize_like(F, self.scales[index + 1](y), x, align_corners=False)
            if self._cascade:
                maps.append(self.blends[index](y + maps[-1]))
            else:
                maps.append(y + maps[0])
        if not self._cascade:
            maps = [maps[0], self.blends[0](F.concat(*maps[1:], dim=1))]
        return self.compress(F.concat(*maps, dim=1)) + self.shortcut(x)

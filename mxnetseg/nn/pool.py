"""Adaptive average pooling, the only place that calls MXNet's operator for it."""

from __future__ import annotations


def adaptive_avg_pool(F, x, bins):
    """Average of `(N, C, H, W)` over a grid of `bins` (an int or `(rows, columns)`).

    Bin i covers rows floor(i*H/rows) to ceil((i+1)*H/rows), as in PyTorch; maps smaller than the
    grid repeat. One bin is written as a global pool, which every exporter understands.
    """
    if bins in (1, (1, 1)):
        return F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")
    return F.contrib.AdaptiveAvgPooling2D(x, output_size=bins)

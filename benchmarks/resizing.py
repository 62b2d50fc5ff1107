"""Bilinear resizing by MXNet's operator against the matrix products that training uses, gradient included.

    python benchmarks/resizing.py                                   # logits of 19 classes, 4x, batch 4
    python benchmarks/resizing.py --channels 128 --size 64 128 --factor 2 --ctx 0

Both are timed in turns in one process; the table gives medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import numpy as np

import mxnetseg  # noqa: F401  MXNet needs it first


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--channels", type=int, default=19)
    parser.add_argument("--size", type=int, nargs=2, default=[32, 64], metavar=("H", "W"))
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--ctx", nargs=1, default=["cpu"])
    options = parser.parse_args()

    import mxnet as mx

    from mxnetseg.compute.devices import contexts
    from mxnetseg.nn.resize import for_training, resize_by

    (context,) = contexts(options.ctx)
    shape = (options.batch, options.channels, *options.size)
    x = mx.nd.array(np.random.default_rng(0).normal(size=shape), ctx=context)
    x.attach_grad()
    larger = (*shape[:2], *(options.factor * side for side in options.size))
    gradient = mx.nd.array(np.random.default_rng(1).normal(size=larger), ctx=context)

    class Resize(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return resize_by(F, x, options.factor)

    forms = {"operator": (Resize(), nullcontext), "products": (Resize(), for_training)}
    times = {name: ([], []) for name in forms}
    for block, _ in forms.values():
        block.hybridize(static_alloc=True, static_shape=True)
    for run in range(options.runs + 2):
        for name, (block, inside) in forms.items():
            began = time.perf_counter()
            with inside(), mx.autograd.record():
                y = block(x)
            y.wait_to_read()
            between = time.perf_counter()
            y.backward(gradient)
            x.grad.wait_to_read()
            ended = time.perf_counter()
            if run > 1:
                times[name][0].append(between - began)
                times[name][1].append(ended - between)
    print(f"{' x '.join(map(str, shape))} to {larger[2]} x {larger[3]} on {context}")
    print(f"{'':<10}{'forward':>10}{'gradient':>10}  (milliseconds)")
    medians = {name: [1e3 * statistics.median(t) for t in pair] for name, pair in times.items()}
    for name, (forward, backward) in medians.items():
        print(f"{name:<10}{forward:>10.1f}{backward:>10.1f}")
    ratios = [a / b for a, b in zip(medians["operator"], medians["products"])]
    print(f"{'ratio':<10}{ratios[0]:>10.1f}{ratios[1]:>10.1f}")


if __name__ == "__main__":
    main()

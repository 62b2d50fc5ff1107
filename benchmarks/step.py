"""One training step by one engine, again and again: what `training.py --compare` runs for each side.

    python benchmarks/step.py mxnet --model sfnet --crop 512 512 --profile    # MXNet by operator

A side is `mxnet`, `torch` (this library's second engine) or `pytorch`: the same network as PyTorch's own
users would train it, channels last, `cross_entropy` and SGD of `torch`. Without `--profile` it waits for
lines and answers each by a step: {"cpu": seconds of the process, "wall": seconds}.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import sys
import tempfile
import time

import numpy as np

import mxnetseg  # noqa: F401  MXNet needs it first

NCLASS = 19


def network(options):
    from mxnetseg.models import create_model

    np.random.seed(0)
    return create_model(options.model, NCLASS, backbone=options.backbone)


def batch(options):
    draw = np.random.default_rng(0)
    size = (options.batch_size, *options.crop)
    images = draw.standard_normal((size[0], 3, *size[1:]), np.float32)
    return images, draw.integers(0, NCLASS, size).astype(np.int32)


def engine_side(name, options):
    from mxnetseg.compute import create_engine, training_devices
    from mxnetseg.recipe.fields import LossGroup, OptimizerGroup

    devices = training_devices(name, options.ctx)
    settings = OptimizerGroup(lr=0.01, momentum=0.9, weight_decay=1e-4)
    engine = create_engine(name, network(options), NCLASS, LossGroup(), settings, devices)
    images, labels = batch(options)

    def step():
        loss = engine.read(engine.step(images, labels, 0.01, 0)).loss
        engine.average_statistics()  # waits for the gradients and the update too
        return loss

    return step


def pytorch_side(options):
    import torch
    from torch.nn.functional import cross_entropy

    from mxnetseg.compute import to_torch

    device = torch.device("cuda" if torch.cuda.is_available() and options.ctx != ["cpu"] else "cpu")
    module = to_torch(network(options)).train().to(device, memory_format=torch.channels_last)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=1e-4)
    images, labels = (torch.from_numpy(x).to(device) for x in batch(options))
    images, labels = images.contiguous(memory_format=torch.channels_last), labels.long()

    def step():
        optimizer.zero_grad()
        main, *aux = module(images)
        loss = cross_entropy(main, labels) + 0.4 * sum(cross_entropy(y, labels) for y in aux)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def profile(step, steps):
    """Milliseconds of each MXNet operator in a step, the longest first; convolutions and the rest."""
    import mxnet as mx

    # MXNet writes its trace when it exits, and removes what has that name before: never a file of somebody's.
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    mx.profiler.set_config(
        filename=os.path.join(folder, "trace.json"),
        profile_symbolic=True,
        profile_imperative=True,
        aggregate_stats=True,
    )
    mx.profiler.set_state("run")
    start = time.process_time()
    for _ in range(steps):
        step()
    spent = time.process_time() - start
    mx.profiler.set_state("stop")
    found = json.loads(mx.profiler.dumps(format="json"))["Time"]["operator"]
    operators = {name: (v["Count"] / steps, v["Total"] / steps) for name, v in found.items() if v["Total"]}
    operators.pop("WaitForVar", None)
    total = sum(ms for _, ms in operators.values())
    print(f"{'operator':<44}{'calls':>7}{'ms':>10}{'share':>8}")
    for name, (calls, ms) in sorted(operators.items(), key=lambda one: -one[1][1]):
        if ms >= total / 1000:
            print(f"{name:<44}{calls:7.0f}{ms:10.1f}{ms / total:8.1%}")
    print(f"{'all':<44}{sum(c for c, _ in operators.values()):7.0f}{total:10.1f}")
    print(f"processor time of a step: {1e3 * spent / steps:.0f} ms")


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("side", choices=("mxnet", "torch", "pytorch"))
    p.add_argument("--model", default="sfnet")
    p.add_argument("--backbone", help="default: resnet18 where the architecture takes a ResNet")
    p.add_argument("--crop", type=int, nargs=2, default=[512, 512], metavar="PIXELS")
    p.add_argument("--batch-size", type=int, default=2)
    p.add_argument("--ctx", nargs="+", default=["cpu"], help="as for train.py")
    p.add_argument("--profile", action="store_true", help="MXNet's time by operator, over --steps steps")
    p.add_argument("--steps", type=int, default=5)
    return p


def main():
    options = parser().parse_args()
    if options.profile and options.side != "mxnet":
        sys.exit("--profile is MXNet's profiler: take side mxnet")
    if options.profile:
        # The profiler sees operators one by one only where MXNet does not run several as one.
        os.environ["MXNET_EXEC_BULK_EXEC_TRAIN"] = "0"
    step = pytorch_side(options) if options.side == "pytorch" else engine_side(options.side, options)
    for _ in range(2):  # graphs are built, kernels are chosen
        step()
    if options.profile:
        profile(step, options.steps)
        return
    print(json.dumps({"loss": step()}), flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()

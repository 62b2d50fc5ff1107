"""What several workers gain: measured with one and two here, on paper for eight machines of eight GPUs.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py                  # both engines that are installed
    python benchmarks/scaling.py --engines mxnet --model sfnet --crop 256 256 --batch-size 2
    python benchmarks/scaling.py --paper [--models sfnet fcn]       # bytes and seconds of a step, by network

Measured: `train.py` itself on drawn scenes, the same number of images and of compute threads for each worker,
so that two would give twice the images/s if exchanging gradients and sharing the machine cost nothing. The
two take turns, `--rounds` times; the table gives the median of all windows but the first of each run. On a
machine with fewer free cores than workers x threads it says nothing about the engine.

On paper: gradients are float32, 4 bytes for each trained parameter of the network as it is trained (19
classes, auxiliary heads included). Over n workers a ring all-reduce sends 2 (n - 1) / n of them through each
link. Here it is done in two stages, as NCCL does it: inside a machine over NVLink, and between machines,
where its GPUs share one network card; MXNet's servers, one on each machine, send as much. Bandwidths are
those of one direction, of which `--efficiency` is used; latency is left out, and so is overlap with the
backward pass, which hides what fits into it. The last columns are the shortest steps of which the exchange
takes a tenth.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import statistics
import sys
import tempfile
from pathlib import Path

import training

# Bytes per second in one direction: what a GPU has inside its machine, and a machine to others.
NVLINK = {"NVLink of an A100": 300e9, "NVLink of an H100": 450e9}
ETHERNET = {"10 GbE": 10e9 / 8, "25 GbE": 25e9 / 8, "100 GbE": 100e9 / 8}
MACHINES, GPUS = 8, 8
TENTH = 0.1


def launcher(engine, workers):
    """Arguments of Python that run what follows in so many workers, and those of train.py for it."""
    if workers == 1:
        return [], ["--engine", engine]
    if engine == "torch":
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
        return command, ["--engine", engine]
    return ["-m", "mxnetseg.launch", "--workers", str(workers)], ["--kvstore", "dist_sync"]


def measured(options):
    """{(engine, workers): images/s of each window}."""
    found = {(engine, workers): [] for engine in options.engines for workers in (1, 2)}
    share = options.batch_size
    for _ in range(options.rounds):
        for (engine, workers), speeds in found.items():
            before, behind = launcher(engine, workers)
            options.batch_size = share * workers
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                behind = ["model.norm=bn", *behind]
                speeds += training.measure(options.model, options, run, before, behind)
    options.batch_size = share
    return found


def print_measured(found):
    """Table of `measured`."""
    print(f"{'engine':<8} {'workers':>7} {'images/s':>9} {'range':>16} {'of one':>7}")
    for (engine, workers), speeds in found.items():
        median, alone = statistics.median(speeds), statistics.median(found[engine, 1])
        limits = f"{min(speeds):.2f} to {max(speeds):.2f}"
        print(f"{engine:<8} {workers:>7} {median:9.2f} {limits:>16} {median / alone:7.2f}", flush=True)


def gradient_bytes(name):
    """Bytes of a step's gradients: float32, of every trained parameter."""
    import numpy as np

    from mxnetseg.models import create_model

    gc.collect()  # the network before: its blocks know each other
    parameters = create_model(name, 19).collect_params().values()
    return 4 * sum(int(np.prod(p.shape)) for p in parameters if p.grad_req != "null")


def seconds(size, efficiency, nvlink, ethernet):
    """(inside machines, between them) of an all-reduce of so many bytes in two stages."""
    inside = 2 * (GPUS - 1) / GPUS * size / (nvlink * efficiency)
    between = 2 * (MACHINES - 1) / MACHINES * size / (ethernet * efficiency)
    return inside, between


def print_paper(models, efficiency):
    """Table of what a step sends and how long that takes."""
    count = MACHINES * GPUS
    print(f"{MACHINES} machines x {GPUS} GPUs, float32 gradients, {efficiency:.0%} of each link's bandwidth")
    print(
        f"ring: 2 x {count - 1} / {count} of the gradients through every link; milliseconds of an exchange;"
    )
    print("step: the shortest of which the exchange takes a tenth (H100), in milliseconds")
    heads = [*(name.split()[-1] for name in NVLINK), *ETHERNET, *(f"step {name}" for name in ETHERNET)]
    print(f"{'model':<16} {'M':>7} {'MB':>7} {'ring MB':>8}" + "".join(f"{head:>14}" for head in heads))
    for name in models:
        size = gradient_bytes(name)
        ring = 2 * (count - 1) / count * size
        cells = [seconds(size, efficiency, speed, 1.0)[0] for speed in NVLINK.values()]
        cells += [seconds(size, efficiency, 1.0, speed)[1] for speed in ETHERNET.values()]
        fastest = max(NVLINK.values())
        cells += [sum(seconds(size, efficiency, fastest, speed)) / TENTH for speed in ETHERNET.values()]
        row = "".join(f"{1e3 * cell:14.2f}" for cell in cells)
        print(f"{name:<16} {size / 4e6:7.2f} {size / 1e6:7.1f} {ring / 1e6:8.1f}{row}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    installed = ["mxnet"] + (["torch"] if importlib.util.find_spec("torch") else [])
    parser.add_argument("--engines", nargs="+", default=installed, choices=["mxnet", "torch"])
    parser.add_argument("--model", default="fcn")
    parser.add_argument("--backbone", help="default: the recipe's")
    parser.add_argument("--crop", type=int, nargs="+", default=[128, 256], metavar="PIXELS")
    parser.add_argument("--batch-size", type=int, default=2, help="images of one worker")
    parser.add_argument("--windows", type=int, default=4, help=f"of {training.WINDOW} steps, in each run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ctx", nargs="+", default=["cpu"], help="as for train.py")
    parser.add_argument("--paper", action="store_true", help="no measurement: bytes and bandwidths")
    parser.add_argument("--models", nargs="+", help="of --paper; default: all")
    parser.add_argument(
        "--efficiency", type=float, default=0.8, help="share of a link's bandwidth that is had"
    )
    options = parser.parse_args()
    if options.paper:
        import mxnetseg  # noqa: F401  MXNet needs it first
        from mxnetseg.facts import list_models

        print_paper(options.models or list_models(), options.efficiency)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    crop = " x ".join(map(str, options.crop))
    print(
        f"{options.model}, crops {crop}, {options.batch_size} images and {os.environ['OMP_NUM_THREADS']} "
        f"threads for each worker, {len(os.sched_getaffinity(0))} cores"
    )
    print_measured(measured(options))


if __name__ == "__main__":
    sys.path.insert(0, str(training.ROOT))
    main()

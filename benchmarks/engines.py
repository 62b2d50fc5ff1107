"""The torch engine beside the code that a network was published with, under the same options of PyTorch.

    git clone https://github.com/lxtGH/SFSegNets
    python benchmarks/engines.py --checkout SFSegNets                           # SFNet-R18, on the CPU
    python benchmarks/engines.py --checkout SFSegNets --ctx 0 --amp bf16 --crop 1024 1024 --batch-size 8 \\
        --size 1024 2048
    python benchmarks/engines.py --ctx 0 --model ddrnet --amp bf16                  # this library alone

A training step is forward, cross-entropy, backward and SGD of one batch of random pixels: by the engine of
`train.py`, and by the published module in the loop that its authors would write. Prediction is one picture.
Both sides are channels-last and take turns; each row has the least processor time of a step, which other work
on the machine burdens little, the median by the clock and, on a GPU, the most memory that was held.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
import types
from pathlib import Path

import numpy as np

import mxnetseg  # noqa: F401  MXNet needs it first

NCLASS, RATE = 19, 0.01


class Ours:
    """The torch engine on a network of this library."""

    name = "torch engine"

    def __init__(self, options, device):
        import torch

        from mxnetseg.compute import create_engine, to_torch
        from mxnetseg.compute.torch.inference import TorchInference
        from mxnetseg.models import create_model
        from mxnetseg.recipe.fields import ComputeGroup, OptimizerGroup
        from mxnetseg.recipe.loss import LossGroup

        np.random.seed(0)
        net = create_model(options.model, NCLASS, backbone=options.backbone)
        compute = ComputeGroup(amp=options.amp, compile=options.compile)
        settings = OptimizerGroup(lr=RATE, momentum=0.9, weight_decay=1e-4)
        self.engine = create_engine(
            "torch", net, NCLASS, LossGroup(), settings, [device], 255, compute=compute
        )
        module = to_torch(net.deploy(), folded=True).to(device, memory_format=torch.channels_last)
        self.inference = TorchInference([module], [device], compute=compute)

    def train(self, images, labels):
        self.engine.read(self.engine.step(images, labels, RATE, 0))

    def predict(self, image):
        scores = self.inference.scores(image)
        scores.wait()


class Published:
    """SFNet-R18 of a checkout of SFSegNets, trained as plain PyTorch."""

    name = "SFSegNets"

    def __init__(self, options, device):
        import torch

        self.torch, self.device, self.amp = torch, device, options.amp
        loss = functools.partial(torch.nn.functional.cross_entropy, ignore_index=255)
        self.module = published(Path(options.checkout), loss).to(device, memory_format=torch.channels_last)
        if options.compile:
            self.module.compile()
        self.optimizer = torch.optim.SGD(self.module.parameters(), RATE, momentum=0.9, weight_decay=1e-4)
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.amp == "fp16")

    def _tensor(self, array):
        return self.torch.from_numpy(array).to(self.device)

    def _autocast(self):
        from mxnetseg.compute.torch.precision import autocast

        return autocast(self.amp, self.device)

    def train(self, images, labels):
        self.module.train()
        self.optimizer.zero_grad()
        with self._autocast():
            loss = self.module(self._tensor(images), self._tensor(labels).long())
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss.item()

    def predict(self, image):
        self.module.eval()
        with self.torch.inference_mode(), self._autocast():
            self.module(self._tensor(image)).float()
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)


def published(folder, loss):
    """`network.sfnet_resnet` of the checkout, without the packages and files that only its training takes."""
    import torch

    if not (folder / "network" / "sfnet_resnet.py").is_file():
        sys.exit(f"--checkout {folder}: no network/sfnet_resnet.py, which a checkout of SFSegNets has")
    apex = types.ModuleType("apex")
    apex.amp = types.ModuleType("apex.amp")
    apex.amp.float_function = lambda function: function
    sys.modules.update({"apex": apex, "apex.amp": apex.amp})
    sys.path.insert(0, str(folder))
    from config import cfg

    cfg.immutable(False)
    cfg.MODEL.BNFUNC = torch.nn.BatchNorm2d
    from network import resnet_d, sfnet_resnet

    resnet_d.resnet18 = functools.partial(resnet_d.resnet18, pretrained=False)
    return sfnet_resnet.DeepR18_SF_deeply(NCLASS, loss)


def measure(sides, work, rounds, device):
    """{side: (least processor seconds, median seconds, GiB or None)} of `work(side)`, in turns."""
    import torch

    gpu = device.type == "cuda"
    spent = {side: [] for side in sides}
    memory = dict.fromkeys(sides)
    for number in range(rounds + 2):
        for side in sides:
            if gpu:
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
                before = torch.cuda.memory_allocated(device)
            cpu, wall = time.process_time(), time.perf_counter()
            work(side)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if gpu:
                memory[side] = (torch.cuda.max_memory_allocated(device) - before) / 2**30
            if number > 1:  # kernels are chosen and memory is taken in the first two
                spent[side].append((cpu, wall))
    return {
        side: (min(c for c, _ in rows), statistics.median(w for _, w in rows), memory[side])
        for side, rows in spent.items()
    }


def show(title, found, images):
    print(f"\n{title:<34} {'processor s':>12} {'clock s':>9} {'images/s':>9} {'GiB':>6}")
    for side, (cpu, wall, memory) in found.items():
        held = "-" if memory is None else f"{memory:.2f}"
        print(f"{side.name:<34} {cpu:12.3f} {wall:9.3f} {images / wall:9.2f} {held:>6}", flush=True)


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkout", help="folder of SFSegNets; default: this library alone")
    p.add_argument("--model", default="sfnet")
    p.add_argument("--backbone", help="default: the architecture's own")
    p.add_argument("--crop", type=int, nargs=2, default=[512, 512], metavar="PIXELS", help="of training")
    p.add_argument("--batch-size", type=int, default=2)
    p.add_argument("--size", type=int, nargs=2, default=[768, 1536], metavar="PIXELS", help="of prediction")
    p.add_argument("--amp", choices=("none", "bf16", "fp16"), default="none")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--ctx", default="cpu", help="a GPU's number, or cpu")
    return p


def main():
    options = parser().parse_args()
    if options.checkout and (options.model, options.backbone) not in (("sfnet", None), ("sfnet", "resnet18")):
        sys.exit("--checkout is of SFNet-R18: leave --model and --backbone out")
    import torch

    from mxnetseg.compute import training_devices
    from mxnetseg.errors import MxnetsegError
    from mxnetseg.recipe.fields import ComputeGroup

    compute = ComputeGroup(amp=options.amp, compile=options.compile)
    try:
        (device,) = training_devices("torch", [options.ctx], compute=compute)
    except MxnetsegError as error:
        sys.exit(f"error: {error}")
    sides = [Ours(options, device)] + ([Published(options, device)] if options.checkout else [])
    where = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} "
    )
    where += "" if device.type == "cuda" else "threads"
    print(f"PyTorch {torch.__version__} on {where}; amp {options.amp}" + ", compiled" * options.compile)
    draw = np.random.default_rng(0)
    shape = (options.batch_size, *options.crop)
    images = draw.standard_normal((shape[0], 3, *shape[1:]), np.float32)
    labels = draw.integers(0, NCLASS, shape).astype(np.int32)
    found = measure(sides, lambda side: side.train(images, labels), options.rounds, device)
    show(f"training, {shape[0]} x {shape[1]} x {shape[2]}", found, shape[0])
    picture = draw.standard_normal((1, 3, *options.size), np.float32)
    found = measure(sides, lambda side: side.predict(picture), options.rounds, device)
    show(f"prediction, {options.size[0]} x {options.size[1]}", found, 1)


if __name__ == "__main__":
    main()

"""Images per second of loading alone: this library against GluonCV's own segmentation transform.

Both read the same files and give normalized float32 crops with labels: long side drawn in
[base / 2, 2 base], random crop, flip, blur with probability 0.5. GluonCV's side is what each of its
segmentation data sets does (`SegmentationDataset._sync_transform`, then ToTensor and Normalize). One
process, one thread; what is counted is processor time, so that a busy machine burdens neither side. Inflating
PNGs takes both as long, hence the rows without reading. Then our loader with worker processes and threads,
by the clock.

    python benchmarks/loader.py                       Cityscapes-sized PNGs, generated in a temporary folder
    python benchmarks/loader.py --root path/to/camvid the files of CamVid
    python benchmarks/loader.py --data synthetic      no files: what drawing costs

The two sides take turns; the table gives the best round of each.
"""

from __future__ import annotations

import os
import sys

from mxnetseg.data.loading.worker import environment

# What loader processes run in, for both sides.
if __name__ == "__main__" and dict(os.environ) != environment():
    os.execve(sys.executable, [sys.executable, *sys.argv], environment())

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mxnetseg.data import create_dataset
from mxnetseg.data.loading.cache import CachedSamples
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.transforms import GaussianBlur, TrainTransform


def generate_cityscapes(root: Path, count: int) -> None:
    """`count` drawn scenes of 2048 x 1024 in the layout of Cityscapes."""
    scenes = create_dataset("synthetic", size=(1024, 2048), length=count)
    to_label_id = np.zeros(256, np.uint8)
    to_label_id[:19] = scenes.train_id_to_label_id
    images, labels = root / "leftImg8bit/train/drawn", root / "gtFine/train/drawn"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for index in range(count):
        sample = scenes[index]
        name = f"drawn_{index:06d}_000019"
        # Sensor noise: drawn areas are flat and would inflate faster than photographs do.
        noise = np.random.default_rng(index).integers(-3, 4, sample.image.shape, np.int16)
        image = np.clip(sample.image + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(images / f"{name}_leftImg8bit.png"), image[:, :, ::-1])
        ids = to_label_id[sample.label.astype(np.uint8)]
        cv2.imwrite(str(labels / f"{name}_gtFine_labelIds.png"), ids)


class GluonCV:
    """Reading and augmentation of GluonCV's segmentation data sets over the files of `dataset`."""

    def __init__(self, dataset, base: int, crop: int):
        from gluoncv.data.segbase import SegmentationDataset
        from mxnet.gluon.data.vision import transforms

        self.dataset = dataset
        self.source = SegmentationDataset(
            str(dataset.root), "train", "train", None, base_size=base, crop_size=crop
        )
        self.tensor = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(list(dataset.mean), list(dataset.std))]
        )

    def read(self, index: int):
        from PIL import Image

        item = self.dataset.items[index]
        image = Image.open(item.image).convert("RGB")
        label = Image.open(item.label)
        label.load()
        return image, label

    def transform(self, pictures) -> None:
        import mxnet as mx

        image, label = self.source._sync_transform(*pictures)
        image = self.tensor(image)
        # Ids are translated after the crop, as its Cityscapes class does.
        ids = self.dataset.decode_label(label.asnumpy().astype(np.uint8), "label")
        image.wait_to_read()
        mx.nd.array(ids).wait_to_read()


def seconds(read, indices) -> float:
    """Processor time: what a core spends, however busy the machine is with other things."""
    start = time.process_time()
    for index in indices:
        read(index)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=None, help="cityscapes, camvid or synthetic (default: by --root)")
    parser.add_argument("--root", default=None, help="files to read; without it PNGs are generated")
    parser.add_argument("--base", type=int, default=None, help="long side before cropping, pixels")
    parser.add_argument("--crop", type=int, default=None, help="side of the square crop, pixels")
    parser.add_argument("--images", type=int, default=24, help="images per round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data == "synthetic":
            dataset = create_dataset("synthetic", length=1000)
        elif arguments.root is None:
            print(f"drawing {arguments.images} PNGs of 2048 x 1024 ...", flush=True)
            generate_cityscapes(Path(folder), arguments.images)
            dataset = create_dataset("cityscapes", folder)
        else:
            dataset = create_dataset(arguments.data or "camvid", arguments.root)
        compare(dataset, arguments)


def compare(dataset, arguments) -> None:
    base, crop = arguments.base or dataset.base, arguments.crop or dataset.crop
    transform = TrainTransform(crop=crop, base=base, photometric=(GaussianBlur(0.5, (0.0, 1.0)),))
    image = np.empty((3, crop, crop), np.float32)
    count = min(arguments.images, len(dataset))

    def ours(sample, index: int) -> None:
        transform(sample, np.random.default_rng(index), out=image)

    sample = dataset[0]
    kept = CachedSamples(dataset, 4 << 30)
    sides = {
        "mxnetseg, reading and transform": lambda index: ours(dataset[index], index),
        "mxnetseg, from data.cache, and transform": lambda index: ours(kept[index], index),
        "mxnetseg, transform alone": lambda index: ours(sample, index),
    }
    if dataset.name != "synthetic":
        other = GluonCV(dataset, base, crop)
        pictures = other.read(0)
        sides["gluoncv, reading and transform"] = lambda index: other.transform(other.read(index))
        sides["gluoncv, transform alone"] = lambda index: other.transform(pictures)
    best = dict.fromkeys(sides, float("inf"))
    np.random.seed(0)
    for round_number in range(arguments.rounds):
        indices = range(round_number % 2, count)
        for side, read in sides.items():
            best[side] = min(best[side], seconds(read, indices) / len(indices))
    print(f"\n{dataset.name}: {count} images, base {base}, crop {crop} x {crop}, best of {arguments.rounds}")
    print(f"{'':44}{'CPU ms/image':>14}{'images/s per core':>20}")
    for side, spent in best.items():
        print(f"{side:44}{1e3 * spent:14.1f}{1 / spent:20.1f}")
    for what in ("reading and transform", "transform alone"):
        if f"gluoncv, {what}" in best:
            ratio = best[f"gluoncv, {what}"] / best[f"mxnetseg, {what}"]
            print(f"{what}: mxnetseg does {ratio:.1f} times the images per core of gluoncv")
    if "gluoncv, reading and transform" in best:
        ratio = best["gluoncv, reading and transform"] / best["mxnetseg, from data.cache, and transform"]
        print(f"from data.cache: {ratio:.1f} times")
    batch = max(1, min(8, len(dataset) // 2))
    for mode, workers in (("process", 1), ("process", arguments.workers), ("thread", arguments.workers)):
        with TrainLoader(dataset, transform, batch, workers=workers, mode=mode) as loader:
            next(loader.epoch(0))
            start, made, epoch = time.perf_counter(), 0, 0
            while time.perf_counter() - start < 4.0:
                epoch += 1
                made += sum(len(b.names) for b in loader.epoch(epoch))
            rate = made / (time.perf_counter() - start)
        print(f"{f'TrainLoader, {workers} x {mode}, batch {batch}':44}{1e3 / rate:14.1f}{rate:20.1f} in all")


if __name__ == "__main__":
    main()

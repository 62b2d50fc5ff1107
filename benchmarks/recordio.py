"""Images per second of training batches from loose files against RecordIO packs of the same samples.

Augmentation and loader are the same on every side (scale, crop, flip, blur; one process, in line).
The sides take turns and the table gives the median round. Counted by the processor's clock, so that a
busy machine burdens no side; the wall clock beside it includes the disk. `--cold` asks the kernel to
forget the files before each round.

    python benchmarks/recordio.py --root path/to/camvid
    python benchmarks/recordio.py --data voc2012 --root path/to/VOC2012 --samples 200
"""

# ruff: noqa: E402 - the thread counts have to be set before NumPy is imported
from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import statistics
import tempfile
import time

import cv2

from mxnetseg.data import create_dataset
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.pack import pack
from mxnetseg.data.transforms import GaussianBlur, TrainTransform

FORMATS = ("original", "png", "jpeg", "raw")


def forget(paths) -> None:
    """Drop files from the page cache."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def files_of(dataset) -> list:
    """Every file that reading the data set opens."""
    if hasattr(dataset, "shards"):
        return dataset.shards
    return [path for item in dataset.items for path in (item.image, item.label)]


def one_round(loader, epoch: int) -> tuple:
    """(images per second of processor time, per second of wall clock) of one epoch."""
    images = 0
    wall, processor = time.perf_counter(), time.process_time()
    for batch in loader.epoch(epoch):
        images += len(batch.names)
    return (
        images / (time.process_time() - processor),
        images / (time.perf_counter() - wall),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="camvid")
    parser.add_argument("--root", help="folder of the data set")
    parser.add_argument("--split", default="train")
    parser.add_argument("--samples", type=int, help="only the first so many (default: all)")
    parser.add_argument("--crop", type=int, default=360)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="drop the files from memory before each round")
    arguments = parser.parse_args()

    cv2.setNumThreads(0)
    loose = create_dataset(arguments.data, arguments.root, arguments.split)
    loose.items = loose.items[: arguments.samples]
    transform = TrainTransform(
        arguments.crop,
        photometric=[GaussianBlur(0.5)],
        mean=loose.mean,
        std=loose.std,
        ignore_index=loose.ignore_index,
    )
    with tempfile.TemporaryDirectory() as folder:
        sides = {"loose files": loose}
        sizes = {"loose files": sum(os.path.getsize(path) for path in files_of(loose))}
        for image_format in FORMATS:
            name = f"pack, {image_format}"
            target = os.path.join(folder, image_format)
            sizes[name] = pack(loose, target, image_format=image_format).bytes
            sides[name] = create_dataset("recordio", target, arguments.split)
        loaders = {name: TrainLoader(side, transform, 4, workers=0) for name, side in sides.items()}
        rates = {name: [] for name in sides}
        for number in range(arguments.rounds):
            for name, loader in loaders.items():
                if arguments.cold:
                    forget(files_of(sides[name]))
                rates[name].append(one_round(loader, number))
    print(
        f"{loose.title}, {len(loose)} samples, crop {arguments.crop}, one core, "
        f"{'cold' if arguments.cold else 'warm'} cache, median of {arguments.rounds} rounds\n"
    )
    print(f"{'':<16}{'MB':>8}{'images/s (processor)':>22}{'ratio':>7}{'images/s (clock)':>18}{'ratio':>7}")
    base = None
    for name, rounds in rates.items():
        processor, wall = (statistics.median(column) for column in zip(*rounds))
        base = base or (processor, wall)
        print(
            f"{name:<16}{sizes[name] / 1e6:>8.1f}{processor:>22.1f}{processor / base[0]:>7.2f}"
            f"{wall:>18.1f}{wall / base[1]:>7.2f}"
        )


if __name__ == "__main__":
    main()

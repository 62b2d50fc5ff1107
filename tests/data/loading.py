"""Data sets that misbehave, at the top of a module so that worker processes can import them."""

from __future__ import annotations

import os
import time

import numpy as np

from mxnetseg.data import Sample
from mxnetseg.errors import DatasetError


class Numbers:
    """Sample k is a small picture of the value k."""

    name = "numbers"
    split = "train"

    channels = 3

    def __init__(self, length=20, size=(24, 32)):
        self.length = length
        self.size = size

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        image = np.full((*self.size, 3), index, np.uint8)
        image[::3] += 40
        return Sample(image, np.full(self.size, index % 5, np.int32), f"n{index}")


class Logged(Numbers):
    """Each reading of sample k adds a line `k` to a file."""

    def __init__(self, log, length=20):
        super().__init__(length)
        self.log = log

    def __getitem__(self, index):
        with open(self.log, "a") as file:
            file.write(f"{index}\n")
        return super().__getitem__(index)


class Damaged(Numbers):
    """Samples 3 and 4 cannot be read."""

    def __getitem__(self, index):
        if index in (3, 4):
            raise DatasetError(f"file{index}.png: image is truncated")
        return super().__getitem__(index)


class Defective(Numbers):
    def __getitem__(self, index):
        raise ZeroDivisionError("a defect in the code")


class Deadly(Numbers):
    """The worker that gets sample 7 dies as if the kernel had killed it."""

    def __getitem__(self, index):
        if index == 7:
            os.kill(os.getpid(), 9)
        return super().__getitem__(index)


class Stuck(Numbers):
    """Sample 7 is never read to its end."""

    def __getitem__(self, index):
        if index == 7:
            time.sleep(3600)
        return super().__getitem__(index)


class Slow(Numbers):
    def __getitem__(self, index):
        time.sleep(0.05)
        return super().__getitem__(index)


class Unlabelled(Numbers):
    def __getitem__(self, index):
        return super().__getitem__(index)._replace(label=None)


class Curious(Numbers):
    """Its names tell what the worker is like."""

    def __getitem__(self, index):
        import sys

        import cv2

        name = f"mxnet={'mxnet' in sys.modules} threads={cv2.getNumThreads()} pid={os.getpid()}"
        return super().__getitem__(index)._replace(name=name)

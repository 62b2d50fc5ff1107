"""Memory of a long prediction in which every picture has a size of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, whose memory is that of prediction alone.
PROGRAM = """
import os
import mxnetseg
import mxnet as mx
import numpy as np
from mxnetseg.models import create_model

net = create_model("fcn", 19, backbone="resnet18")
net.hybridize()
rng = np.random.default_rng(0)
sizes = [(32 * h, 32 * w) for h in range(1, 14) for w in range(1, 14)]
for index, place in enumerate(rng.permutation(len(sizes)), 1):
    net(mx.nd.zeros((1, 3, *sizes[place])))[0].wait_to_read()
    if index in (60, 120):
        with open("/proc/self/statm") as handle:
            print(int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
    if index == 120:
        break
"""


@pytest.mark.slow
def test_memory_hardly_grows_with_the_number_of_sizes():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    print(f"{first} MB after 60 sizes, {second} MB after 120")
    assert second - first < 140  # without a limit some 210

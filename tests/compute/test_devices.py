"""Names of devices, and the errors for those that are not there."""

from __future__ import annotations

import mxnet as mx
import pytest

from mxnetseg.compute import devices
from mxnetseg.errors import DeviceError


def test_the_cpu_serves_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    assert devices.contexts() == [mx.cpu()]
    assert devices.contexts(["cpu"]) == [mx.cpu(0)]


def test_every_gpu_is_taken_by_default(monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    assert devices.contexts() == [mx.gpu(0), mx.gpu(1)]
    assert devices.contexts(["1", "gpu0"]) == [mx.gpu(1), mx.gpu(0)]
    assert devices.contexts(["0,1"]) == [mx.gpu(0), mx.gpu(1)]


def test_cpu_named_twice_is_two_contexts():
    assert devices.contexts(["cpu", "cpu"]) == [mx.cpu(0), mx.cpu(1)]


@pytest.mark.parametrize(
    ("names", "gpus", "expected"),
    [
        (["0"], 0, "no GPU can be used|has no GPU that MXNet can use"),
        (["2"], 2, "there is no GPU 2; this machine has GPUs 0 to 1"),
        (["gpu"], 0, "use cpu"),
        (["tpu"], 0, "'tpu' is not a device: give GPU numbers"),
        (["-1"], 0, "not a device"),
        (["0", "cpu"], 1, "cannot train or predict together"),
        (["0", "0"], 1, "named twice"),
    ],
)
def test_a_device_that_cannot_be_had_is_reported(monkeypatch, names, gpus, expected):
    monkeypatch.setattr(devices, "gpu_count", lambda: gpus)
    with pytest.raises(DeviceError, match=expected):
        devices.contexts(names)

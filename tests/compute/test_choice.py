"""`auto`: MXNet where it can compute on the devices, PyTorch where it cannot."""

from __future__ import annotations

import pytest

from mxnetseg.compute import choice
from mxnetseg.compute.choice import choose_engine
from mxnetseg.errors import EngineError

H200 = {"index": 0, "name": "NVIDIA H200", "compute_capability": "9.0"}
A10 = {"index": 1, "name": "NVIDIA A10", "compute_capability": "8.6"}


@pytest.fixture
def machine(monkeypatch):
    """A function that makes a machine of these GPUs, this MXNet and a PyTorch with CUDA or without."""

    def make(gpus, mxnet="mxnet-cu112", torch_cuda=True):
        monkeypatch.setattr(choice, "list_gpus", lambda: (gpus, None))
        monkeypatch.setattr(choice, "mxnet_distribution", lambda: (mxnet, "1.9.1"))
        monkeypatch.setattr(choice, "_torch_has_cuda", lambda: torch_cuda)

    return make


def test_a_gpu_that_mxnet_cannot_use_goes_to_torch_with_a_line(machine):
    machine([H200])
    engine, note = choose_engine("auto")
    assert engine == "torch" and "NVIDIA H200" in note and "9.0" in note and "\n" not in note
    assert choose_engine("auto", ["0"]).engine == "torch"


def test_a_gpu_that_mxnet_can_use_and_the_cpu_stay_with_mxnet(machine):
    machine([H200, A10])
    assert choose_engine("auto", ["1"]) == ("mxnet", None)
    assert choose_engine("auto", ["cpu"]) == ("mxnet", None)
    machine([])
    assert choose_engine("auto") == ("mxnet", None)


def test_without_a_torch_for_gpus_it_is_mxnet(machine):
    machine([H200], torch_cuda=False)
    assert choose_engine("auto").engine == "mxnet"


def test_beside_the_cpu_build_of_mxnet_a_gpu_is_torchs(machine):
    machine([A10], mxnet="mxnet")
    engine, note = choose_engine("auto")
    assert engine == "torch" and "CPU build" in note


def test_what_is_asked_for_is_taken_and_an_exported_file_runs_on_onnxruntime(machine):
    machine([H200])
    assert choose_engine("mxnet", ["0"]) == ("mxnet", None)
    assert choose_engine("openvino", None, "net.onnx") == ("openvino", None)
    assert choose_engine("auto", ["0"], "net.onnx") == ("onnxruntime", None)
    with pytest.raises(EngineError, match=r"net\.onnx: the torch engine reads no ONNX files"):
        choose_engine("torch", None, "net.onnx")

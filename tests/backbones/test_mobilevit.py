"""MobileViT's two versions: sizes of the papers, and patches taken apart and put together."""

from __future__ import annotations

import math

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.models import create_model
from mxnetseg.nn.patches import put_together, take_apart
from mxnetseg.weights import imagenet
from mxnetseg.weights.layouts import layout

# Millions of parameters in the papers' tables, and channels in front of the classifier of 1000 classes, which
# the first version widens to.
PUBLISHED = {
    "mobilevit_xxs": (1.3, 320),
    "mobilevit_xs": (2.3, 384),
    "mobilevit_s": (5.6, 640),
    "mobilevitv2_0.5": (1.4, None),
    "mobilevitv2_1.0": (4.9, None),
    "mobilevitv2_2.0": (18.5, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    millions, closing = PUBLISHED[name]
    backbone = create_backbone(name)
    trained = [p for p in backbone.collect_params().values() if p.grad_req != "null"]
    count, width = sum(math.prod(p.shape) for p in trained), backbone.channels[-1]
    if closing:
        count, width = count + closing * (width + 2), closing
    assert abs((count + 1000 * (width + 1)) / 1e6 - millions) < 0.06


def test_a_map_taken_apart_lists_the_pixels_at_each_place_of_its_patches():
    x = mx.nd.arange(2 * 3 * 4 * 6).reshape((2, 3, 4, 6))
    parts = take_apart(mx.nd, x)
    assert parts.shape == (2, 3, 4, 6)
    np.testing.assert_array_equal(parts[0, 0, 1].asnumpy(), [1, 3, 5, 13, 15, 17])
    np.testing.assert_array_equal(put_together(mx.nd, parts, x).asnumpy(), x.asnumpy())


@pytest.mark.parametrize("name", ["mobilevit_xxs", "mobilevitv2_0.5"])
def test_every_engine_computes_the_same_at_odd_sizes(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from mxnetseg.compute import to_torch
    from mxnetseg.export.onnx_model import Form, Input, build

    mx.random.seed(0)
    net = create_model("deeplabv3", 5, backbone=name, aux=False, width=16)
    model = build(net, Form(), Input((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    module = to_torch(net)
    for size in ((64, 96), (97, 131)):
        x = np.random.RandomState(1).standard_normal((2, 3, *size)).astype(np.float32)
        expected = net(mx.nd.array(x))[0].asnumpy()
        (exported,) = session.run(["logits"], {"image": x})
        with torch.inference_mode():
            found = module(torch.from_numpy(x))[0].numpy()
        for other in (exported, found):
            assert np.abs(other - expected).max() < 1e-3 * expected.std()


def test_files_of_transformers_whose_stem_reads_bgr_give_one_that_reads_rgb(monkeypatch):
    names = [n for n in layout("hf_mobilevit-small_deeplabv3").shapes if n.startswith("mobilevit.")]
    shapes = layout("hf_mobilevit-small_deeplabv3").shapes
    file = {name: np.random.RandomState(0).uniform(size=shapes[name]).astype("float32") for name in names}
    monkeypatch.setattr(imagenet, "read_tensors", lambda path: file)
    net = create_backbone("mobilevit_s")
    net.initialize()
    imagenet.load_backbone(net, "a file")
    stem = file["mobilevit.conv_stem.convolution.weight"]
    np.testing.assert_array_equal(net.stem.unit.conv.weight.data().asnumpy(), stem[:, ::-1])

"""Networks whose map of classes is made of queries, in mmsegmentation's form."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.predict.bands import resize_map


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", ["maskformer", "mask2former"])
@pytest.mark.parametrize("size", [(64, 96), (47, 61)])
def test_masks_are_enlarged_to_the_image_before_they_are_summed_up_to_classes(name, size):
    options = dict(backbone="resnet18", width=64, queries=5, layers=3)
    mx.random.seed(1)
    net = create_model(name, 4, form="mmseg", **options)
    image = mx.nd.random.normal(shape=(1, 3, *size))
    found, classes, masks = (x.asnumpy()[0] for x in net(image)[:3])
    chances = 1 / (1 + np.exp(-resize_map(masks, size, align_corners=False)))
    expected = np.einsum("qk,qhw->khw", softmax(classes)[:, :-1], chances)
    assert found.shape == (4, *size) and abs(found - expected).max() < 1e-4
    assert abs(net.deploy()(image)[0].asnumpy()[0] - expected).max() < 1e-4


def test_a_linear_decoder_classifies_one_class_too_and_every_patch_by_itself():
    net = create_model("segmenter", 1, form="mmseg", decoder="linear")
    first, second = (mx.nd.random.normal(shape=(1, 192, 2, 3)) for _ in range(2))
    second[:, :, 0, 0] = first[:, :, 0, 0]
    logits = [net.head(x, x, x, x)[0].asnumpy()[0] for x in (first, second)]
    same = np.isclose(*logits, atol=1e-6)
    assert same.shape == (1, 2, 3) and same[0, 0, 0] and same.sum() == 1

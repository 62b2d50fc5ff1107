"""Options that single published networks need."""

from __future__ import annotations

import mxnet as mx

from mxnetseg.models import create_model
from mxnetseg.nn.surgery import settings


def test_both_heads_of_fcn_d6_are_dilated_and_keep_the_size():
    net = create_model(
        "fcn", 3, "mmseg", "resnet18_v1c", output_stride=16, dilation=6, width=16, aux_width=16
    )
    (aux,) = net.aux_heads
    for head in (net.head.classifier, aux):
        convolutions = [unit.conv for unit in head.units]
        assert {settings(conv)["dilate"] for conv in convolutions} == {(6, 6)}
        assert {settings(conv)["pad"] for conv in convolutions} == {(6, 6)}
    assert settings(net.head.classifier.join.conv)["dilate"] == (1, 1)


def test_the_fine_map_of_deeplabv3plus_can_be_narrower():
    net = create_model("deeplabv3plus", 3, "mmseg", "resnet18_v1c", low_width=12, width=32)
    assert net.head.low.conv.weight.shape[0] == 12


def test_naive_auxiliary_heads_of_two_units_come_out_at_the_size_of_the_image():
    net = create_model("setr", 3, "mmseg", "vit_tiny", decoder="naive", aux_units=2)
    assert [len(head.units) for head in net.aux_heads] == [2, 2, 2]
    outputs = net(mx.nd.random.normal(shape=(1, 3, 32, 32)))
    assert {y.shape for y in outputs} == {(1, 3, 32, 32)}

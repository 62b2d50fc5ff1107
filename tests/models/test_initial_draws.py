"""Layers that published code draws otherwise than their neighbours."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters

# (model, form, ending of a name, standard deviation): uniform within 1 / sqrt(fan_in) where PyTorch drew it.
DRAWS = [
    ("ddrnet", "mmseg", "stem_down.0.down.conv.weight", (3 * 32) ** -0.5),
    ("ddrnet", "mmseg", "stem_down.0.units.1.conv.weight", (2 / (9 * 64)) ** 0.5),
    ("ddrnet", "paper", "stem_down.0.down.conv.weight", (2 / 64) ** 0.5),
    ("knet", "mmseg", "updates.0.gate.out.weight", (3 * 256) ** -0.5),
    ("knet", "mmseg", "updates.0.ffn.fc2.weight", (3 * 2048) ** -0.5),
    ("knet", "mmseg", "updates.0.attention.k.weight", (2 / (4 * 512)) ** 0.5),
    ("knet", "mmseg", "updates.0.transform.weight", (2 / 512) ** 0.5),
    ("pointrend", "mmseg", "head.coarse.classifier.weight", (3 * 128) ** -0.5),
    ("pointrend", "mmseg", "head.points.classifier.weight", (3 * 260) ** -0.5),
    ("segmenter", "mmseg", "head.blocks.0.mlp.fc1.bias", 0.0),
]


@pytest.mark.parametrize("model, form, ending, deviation", DRAWS)
def test_a_layer_is_drawn_as_its_publisher_draws_it(model, form, ending, deviation):
    mx.random.seed(3)
    backbone = {"ddrnet": "ddrnet23_slim", "segmenter": "vit_tiny"}.get(model, "resnet18")
    net = create_model(model, 4, form=form, backbone=backbone)
    (name,) = (n for n in named_parameters(net) if n.endswith(ending))
    values = named_parameters(net)[name].data().asnumpy()
    assert values.std() == pytest.approx(deviation, rel=6 / np.sqrt(2 * values.size))

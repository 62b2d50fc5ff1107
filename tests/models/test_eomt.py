"""EoMT: trained by matching its queries with the classes of a picture, and what it is not for."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.train import one_step

# Two blocks, of which the queries run through the last.
SHORT = {"taps": (0, 0, 0, 1), "grid": (2, 3)}


def test_the_queries_of_every_prediction_learn_from_the_classes_of_a_picture():
    mx.random.seed(0)
    net = create_model(
        "eomt", 3, backbone="dinov2_small", backbone_options=SHORT, blocks=1, queries=4, aux=True
    )
    assert net.predicts == ("pixels", "queries", "masks", "queries", "masks")
    images = np.random.RandomState(0).standard_normal((2, 3, 32, 48)).astype(np.float32)
    labels = np.repeat([0, 1, 2], 16)[None, None] * np.ones((2, 32, 1))
    points = {"name": "mask_set", "options": {"points": None}}
    loss = {"outputs": [[], [], [points], [], [points]]}

    def total():
        return one_step(net, loss, images, labels.astype(np.int32))["total"]

    before = total()
    gradients = {n: p.grad().asnumpy() for n, p in named_parameters(net).items() if p.grad_req != "null"}
    for part in ("head.queries", "head.enlarge.1.conv1.weight", "head.mask_layers.fc3.weight"):
        assert np.abs(gradients[part]).max() > 0
    assert np.abs(gradients["backbone.blocks.0.attn.qkv.weight"]).max() > 0
    norm = sum(float((g**2).sum()) for g in gradients.values()) ** 0.5
    for name, parameter in named_parameters(net).items():
        if name in gradients:
            parameter.set_data(parameter.data() - mx.nd.array(gradients[name]) * (0.01 / norm))
    assert np.isfinite(before) and total() < before


def test_backbones_whose_places_are_told_to_attention_are_refused():
    for backbone in ("dinov3_small", "vit_tiny", "resnet18"):
        with pytest.raises(ConfigError, match="eomt needs a vision transformer"):
            create_model("eomt", 3, backbone=backbone, init=False)
    with pytest.raises(ConfigError, match="blocks must be from 1 to 11, not 12"):
        create_model("eomt", 3, backbone="dinov2_small", blocks=12, init=False)

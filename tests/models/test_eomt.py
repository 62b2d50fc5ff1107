"""EoMT: trained by matching its queries with the classes of a picture, and what it is not for."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

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


# The authors' steps for 4 blocks (39,153 steps, ADE20K) and for 3 (88,692, COCO), starts and ends.
STEPS = {
    (39120, 4): ([6520, 13040, 19560, 26080], [13040, 19560, 26080, 32600]),
    (88692, 3): ([14782, 36955, 59128], [29564, 51737, 73910]),
}


@pytest.mark.parametrize("whole, blocks", STEPS)
def test_masks_are_given_up_block_by_block_when_the_authors_do(whole, blocks):
    net = create_model("eomt", 3, backbone="dinov2_small", blocks=blocks, init=False)
    for step in range(0, whole, 489):
        over = [(step - start) / (end - start) for start, end in zip(*STEPS[whole, blocks])]
        expected = [(1 - min(max(share, 0), 1)) ** 0.9 for share in over]
        np.testing.assert_allclose(net.scheduled(step / whole)["head.masked"], expected, atol=1e-4)


def test_queries_read_masked_patches_in_training_alone_and_all_of_them_at_its_end():
    mx.random.seed(0)
    net = create_model("eomt", 3, backbone="dinov2_small", backbone_options=SHORT, blocks=1, queries=4)
    net.hybridize()
    image = mx.nd.random.normal(shape=(1, 3, 32, 48))
    whole = net(image)[1].asnumpy()
    found = {}
    for done in (0.0, 1.0):
        net.head.masked.set_data(mx.nd.array(net.scheduled(done)["head.masked"]))
        np.testing.assert_array_equal(net(image)[1].asnumpy(), whole)
        with autograd.train_mode():
            found[done] = net(image)[1].asnumpy()
    assert np.abs(found[0.0] - whole).max() > 1e-3 * np.abs(whole).max()
    np.testing.assert_allclose(found[1.0], whole, rtol=1e-5, atol=1e-6)


def test_backbones_whose_places_are_told_to_attention_are_refused():
    for backbone in ("dinov3_small", "vit_tiny", "resnet18"):
        with pytest.raises(ConfigError, match="eomt needs a vision transformer"):
            create_model("eomt", 3, backbone=backbone, init=False)
    with pytest.raises(ConfigError, match="blocks must be from 1 to 11, not 12"):
        create_model("eomt", 3, backbone="dinov2_small", blocks=12, init=False)

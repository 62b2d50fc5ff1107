"""Losses: what they compute against PyTorch, and that every weight acts on gradients."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.losses import LOSSES, PixelLoss
from mxnetseg.losses.criterion import Criterion
from mxnetseg.losses.mining import hard_pixels
from mxnetseg.losses.plan import Mining
from mxnetseg.models import create_model
from mxnetseg.recipe.loss import LossGroup
from tests.losses.scores import IGNORE, loss_of
from tests.train.tiny import TinyNet, gradients, tiny


def batch(n=2, nclass=4, size=(16, 24), seed=0, ignored=0.2):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 3, *size)).astype(np.float32)
    labels = rng.integers(0, nclass, (n, *size)).astype(np.int32)
    labels[rng.random(labels.shape) < ignored] = IGNORE
    return images, labels


def backward(net, images, labels, parts=1, seed=None, **settings):
    """Loss and gradients of one batch on one context, in `parts` pieces."""
    criterion = Criterion(net, LossGroup(**settings), 4, IGNORE)
    criterion.graph.hybridize()
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            parameter.grad_req = "add"
            parameter.zero_grad()
    reported = criterion.backward(images, labels, [mx.cpu()], parts, seed)
    return sum(criterion.read(reported).values()), gradients(net)


def logit_gradient(logits, labels, **settings):
    """Loss and gradient of the logits, in float32 as training has it."""
    losses, (gradient,) = loss_of(logits, labels, dtype="float32", **settings)
    return sum(losses.values()), gradient


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 0.2]])
def test_cross_entropy_and_its_gradient_are_those_of_pytorch(weights, smoothing):
    torch = pytest.importorskip("torch")
    if weights and smoothing:
        pytest.skip("PyTorch weights the smoothed part by class, which is a different loss")
    logits = np.random.default_rng(3).normal(size=(2, 4, 5, 7)).astype(np.float32) * 4
    labels = batch(size=(5, 7))[1]
    value, gradient = logit_gradient(logits, labels, class_weights=weights, label_smoothing=smoothing)
    x = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        x,
        torch.tensor(labels.astype(np.int64)),
        weight=torch.tensor(weights) if weights else None,
        ignore_index=IGNORE,
        label_smoothing=smoothing,
    )
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_binary_cross_entropy_is_that_of_pytorch_and_survives_large_logits():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(3).normal(size=(2, 1, 5, 7)).astype(np.float32) * 50
    labels = batch(nclass=2, size=(5, 7))[1]
    value, gradient = logit_gradient(logits, labels)
    keep = torch.tensor(labels != IGNORE)
    x = torch.tensor(logits, requires_grad=True)
    target = torch.tensor(labels, dtype=torch.float32)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(x[:, 0][keep], target[keep])
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_ignored_pixels_give_no_loss_and_no_gradient():
    logits = np.random.default_rng(0).normal(size=(1, 4, 6, 6)).astype(np.float32)
    labels = batch(n=1, size=(6, 6), ignored=0)[1]
    labels[:, :, 3:] = IGNORE
    for settings in (dict(), dict(ohem_threshold=0.7, ohem_min_kept=4), dict(name="focal")):
        _, gradient = logit_gradient(logits, labels, **settings)
        assert np.all(gradient[..., 3:] == 0)
        assert np.abs(gradient[..., :3]).sum() > 0


def test_a_batch_without_one_valid_pixel_gives_zero_instead_of_nan():
    logits = np.random.default_rng(0).normal(size=(1, 4, 6, 6)).astype(np.float32)
    labels = np.full((1, 6, 6), IGNORE, np.int32)
    for settings in (dict(), dict(ohem_threshold=0.7)):
        value, gradient = logit_gradient(logits, labels, **settings)
        assert value == 0 and not gradient.any()


def test_the_auxiliary_weight_scales_the_gradient_of_the_auxiliary_head():
    images, labels = batch()
    found = {}
    for weight in (0.0, 0.4, 4.0):
        _, found[weight] = backward(tiny(), images, labels, aux_weights=weight)
    assert np.abs(found[0.4]["aux_heads.0.weight"]).max() > 0
    assert not found[0.0]["aux_heads.0.weight"].any()
    np.testing.assert_allclose(
        found[4.0]["aux_heads.0.weight"], 10 * found[0.4]["aux_heads.0.weight"], rtol=1e-4
    )
    np.testing.assert_allclose(found[4.0]["head.weight"], found[0.4]["head.weight"], rtol=1e-5)


def test_a_wrong_number_of_auxiliary_weights_is_an_error():
    images, labels = batch()
    with pytest.raises(ConfigError, match="2 numbers but the network has 1 auxiliary"):
        backward(tiny(), images, labels, aux_weights=[0.4, 0.4])


def hard_pixels_by_definition(losses, threshold, min_kept):
    p = np.exp(-losses[losses >= 0].astype(np.float64))
    if p.size <= min_kept:
        return np.ones(p.size, bool)
    return p <= max(threshold, np.sort(p)[min_kept - 1]) + 1e-9


@pytest.mark.parametrize("min_kept", [1, 10, 60, 1000])
def test_mining_keeps_the_pixels_of_the_definition_whatever_the_number_of_devices(min_kept):
    rng = np.random.default_rng(1)
    losses = rng.exponential(0.3, (4, 6, 7)).astype(np.float32)
    losses[rng.random(losses.shape) < 0.3] = -1.0
    expected = hard_pixels_by_definition(losses, 0.7, min_kept)
    for parts in (1, 2, 4):
        maps = [mx.nd.array(part) for part in np.split(losses, parts)]
        masks = hard_pixels(maps, Mining(0.7, min_kept, "batch", "at_most"), 4, losses.size)
        chosen = np.concatenate([mask.asnumpy() for mask in masks]) > 0
        assert chosen.sum() == expected.sum()
        np.testing.assert_array_equal(chosen[losses >= 0], expected)
        assert not chosen[losses < 0].any()


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 0.0], [1e-4, 5e-5, 3e-4, 0.0]])
def test_mined_loss_is_the_weighted_mean_over_the_kept_pixels(weights):
    logits = np.random.default_rng(4).normal(size=(2, 4, 5, 7)).astype(np.float32) * 2
    labels = batch(size=(5, 7))[1]
    settings = dict(ohem_threshold=0.5, ohem_min_kept=5, class_weights=weights)
    value, gradient = logit_gradient(logits, labels, **settings)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    valid = labels != IGNORE
    losses = np.where(valid, -np.take_along_axis(log_p, np.where(valid, labels, 0)[:, None], 1)[:, 0], -1)
    kept = losses >= -np.log(0.5)
    counts = np.array(weights or [1.0] * 4)[np.where(valid, labels, 0)]
    assert value == pytest.approx(np.average(losses[kept], weights=counts[kept]), rel=1e-5)
    assert np.all((np.abs(gradient).sum(1) > 0) == kept & (counts > 0))


def test_focal_loss_of_gamma_zero_is_cross_entropy():
    logits = np.random.default_rng(4).normal(size=(2, 4, 5, 7)).astype(np.float32)
    labels = batch(size=(5, 7))[1]
    plain = logit_gradient(logits, labels)
    focal = logit_gradient(logits, labels, name="focal", options=dict(gamma=0.0))
    assert focal[0] == pytest.approx(plain[0], rel=1e-6)
    np.testing.assert_allclose(focal[1], plain[1], atol=1e-7)


def test_focal_loss_has_the_gradient_of_its_formula():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(4).normal(size=(1, 4, 3, 3)).astype(np.float32) * 3
    labels = batch(n=1, size=(3, 3), ignored=0)[1]
    value, gradient = logit_gradient(logits, labels, name="focal")
    x = torch.tensor(logits, requires_grad=True)
    log_p = torch.log_softmax(x, 1).gather(1, torch.tensor(labels.astype(np.int64))[:, None])
    expected = (-((1 - log_p.exp()) ** 2) * log_p).mean()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), atol=1e-6)


def test_networks_are_trained_with_the_form_of_resizing_whose_gradient_is_quick():
    net = create_model("fcn", 4, backbone="mobilenetv2_0.25", init=False)
    graph = Criterion(net, LossGroup(), 4, IGNORE).graph
    for block, products in ((graph, True), (net, False)):
        inputs = [mx.sym.var("x"), mx.sym.var("y")][: 2 if products else 1]
        nodes = json.loads(mx.sym.Group(list(block(*inputs))).tojson())["nodes"]
        operators = {node["op"] for node in nodes}
        assert ("dot" in operators, "_contrib_BilinearResize2D" in operators) == (products, not products)


def test_encnet_says_which_of_its_outputs_is_presence():
    net = create_model("encnet", 4, backbone="resnet18", init=False)
    assert net.predicts == ("pixels", "presence", "pixels")
    assert net.deploy().predicts == ("pixels",)
    assert create_model("encnet", 4, backbone="resnet18", aux=False, init=False).predicts == ("pixels",)


def test_presence_is_binary_cross_entropy_of_the_classes_in_each_image():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 4))
    labels = np.array([[[0, 0, 2], [2, IGNORE, 0]], [[3, 3, 3], [IGNORE, IGNORE, IGNORE]]])
    there = np.array([[1, 0, 1, 0], [0, 0, 0, 1]])  # an ignored pixel is no pixel of class 0
    p = 1 / (1 + np.exp(-x))
    expected = -(there * np.log(p) + (1 - there) * np.log(1 - p)).mean()
    # Class 1 weighs nothing as a pixel; hard pixels are chosen on the main output: presence knows of neither.
    settings = dict(class_weights=[1.0, 0.0, 1.0, 1.0], ohem_threshold=0.5, aux_weights=0.2)
    arrays = [rng.normal(size=(2, 4, 2, 3)), x[:, :, None, None]]
    losses, (_, gradient) = loss_of(arrays, labels, predicts=["pixels", "presence"], **settings)
    assert losses["aux_1"] == pytest.approx(0.2 * expected, rel=1e-9)
    np.testing.assert_allclose(gradient[..., 0, 0], 0.2 * (p - there) / 8, rtol=1e-9)


def test_presence_of_a_binary_network_is_whether_class_1_is_there():
    labels = np.array([[[0, 0], [IGNORE, 0]], [[0, 1], [1, 1]]])
    arrays = [np.zeros((2, 1, 2, 2)), np.array([0.3, 0.7]).reshape(2, 1, 1, 1)]
    losses, _ = loss_of(arrays, labels, predicts=["pixels", "presence"], aux_weights=1.0)
    assert losses["aux_1"] == pytest.approx((np.log1p(np.exp(0.3)) + np.log1p(np.exp(-0.7))) / 2)


SPLIT = {
    "cross-entropy": dict(),
    "class weights": dict(class_weights=[1.0, 0.5, 3.0, 0.2]),
    "mined by threshold": dict(ohem_threshold=0.3, ohem_min_kept=5),
    "mined by count": dict(ohem_threshold=0.01, ohem_min_kept=300),
    "mined by share": dict(ohem_threshold=0.3, ohem_min_kept=0.4, ohem_rule="below", normalizer="all"),
    "top k": dict(ohem_min_kept=70, ohem_per="image", class_weights=[1.0, 0.5, 3.0, 0.2]),
    "lovasz": dict(name="lovasz"),
    "dice": dict(name="dice", options=dict(per_image=False)),
    "tversky": dict(name="tversky", options=dict(per_image=False)),
    "distances": dict(name="boundary_aware_focal", normalizer="pixels"),
    "sum": dict(
        outputs=[
            [dict(ohem_threshold=0.3, ohem_min_kept=9), dict(name="dice", weight=0.5)],
            [dict(weight=0.4)],
        ]
    ),
}


@pytest.mark.parametrize("settings", SPLIT.values(), ids=SPLIT)
def test_accumulated_parts_have_the_loss_and_the_gradients_of_the_whole_batch(settings):
    images, labels = batch(n=4)
    labels[0, 2:] = IGNORE
    outcomes = []
    for parts in (1, 2, 4):
        net = tiny()
        # Statistics of a part differ from those of the batch: that is batch norm, not the loss.
        net.backbone[1]._kwargs["use_global_stats"] = True
        outcomes.append(backward(net, images, labels, parts, **settings))
    for loss, found in outcomes[1:]:
        assert loss == pytest.approx(outcomes[0][0], rel=1e-5)
        for name, gradient in outcomes[0][1].items():
            np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=1e-6, err_msg=name)


class Dropping(TinyNet):
    """TinyNet with dropout in front of its head."""

    def __init__(self):
        super().__init__()
        self.backbone.add(mx.gluon.nn.Dropout(0.5))


def test_the_look_ahead_of_accumulated_parts_leaves_statistics_and_dropout_as_without_it():
    images, labels = batch(n=4)
    found = []
    # The second keeps all pixels: what remains different is that its parts are run forward twice.
    for settings in (dict(), dict(ohem_threshold=1.0, ohem_min_kept=1)):
        net = Dropping()
        mx.random.seed(2)
        net.initialize(mx.init.Normal(0.3))
        loss, gradient = backward(net, images, labels, 2, seed=5, **settings)
        statistics = [p.data().asnumpy() for p in net.collect_params(".*running.*").values()]
        found.append((loss, gradient, statistics))
    (plain, plain_gradient, plain_statistics), (mined, mined_gradient, mined_statistics) = found
    assert mined == pytest.approx(plain, rel=1e-5)
    assert np.abs(plain_statistics[0]).max() > 0
    for one, two in zip(plain_statistics, mined_statistics):
        np.testing.assert_allclose(two, one, rtol=1e-6)
    for name, gradient in plain_gradient.items():
        np.testing.assert_allclose(mined_gradient[name], gradient, rtol=1e-3, atol=1e-6)


def test_pixels_count_only_where_another_output_says_so():
    rng = np.random.default_rng(6)
    scores, edges = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 1, 4, 5)) * 3
    labels = rng.integers(0, 3, (2, 4, 5))
    labels[0, 0] = IGNORE
    outputs = [[dict(where=dict(output=1, above=0.8))], [dict(name="balanced_cross_entropy", weight=0)]]
    losses, gradients = loss_of([scores, edges], labels, predicts=["pixels", "boundary"], outputs=outputs)
    counted = (labels != IGNORE) & (edges[:, 0] > np.log(0.8 / 0.2))
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    picked = -np.take_along_axis(log_p, np.where(counted, labels, 0)[:, None], 1)[:, 0]
    assert 0 < counted.sum() < 15
    assert losses["main"] == pytest.approx(picked[counted].mean())
    assert ((np.abs(gradients[0]).sum(axis=1) > 0) == counted).all() and not gradients[1].any()


def test_a_loss_that_somebody_registers_is_the_loss_that_trains():
    @LOSSES.register("dummy_of_a_test")
    class Dummy(PixelLoss):
        def __init__(self, factor: float = 1.0):
            self._factor = factor

        def pixels(self, F, logits, target, weights=None):
            return self._factor * F.sum(logits, axis=1)

    try:
        scores = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
        labels = np.zeros((2, 4, 5), int)
        losses, (gradient,) = loss_of(scores, labels, name="dummy_of_a_test", options=dict(factor=3.0))
    finally:
        del LOSSES._entries["dummy_of_a_test"]
    assert losses["main"] == pytest.approx(3 * scores.sum() / 40)
    np.testing.assert_allclose(gradient, 3 / 40)

"""Losses: what they compute against PyTorch, and that every weight acts on gradients."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.errors import ConfigError
from mxnetseg.losses import LOSSES, Criterion, Presence, median_frequency_weights, select_hard_pixels
from mxnetseg.models import create_model
from mxnetseg.recipe.fields import LossGroup
from tests.train.tiny import gradients, tiny

IGNORE = 255


def batch(n=2, nclass=4, size=(16, 24), seed=0, ignored=0.2):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 3, *size)).astype(np.float32)
    labels = rng.integers(0, nclass, (n, *size)).astype(np.int32)
    labels[rng.random(labels.shape) < ignored] = IGNORE
    return images, labels


def backward(net, criterion, images, labels, parts=1):
    """Loss and gradients of one batch on one context, in `parts` pieces."""
    graph = criterion.graph(net)
    graph.hybridize()
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            parameter.grad_req = "add"
            parameter.zero_grad()
    mass = criterion.pixel_mass(labels)
    total = 0.0
    for x, y in zip(np.split(images, parts), np.split(labels, parts)):
        with autograd.record():
            outputs = [graph(mx.nd.array(x), mx.nd.array(y))]
        heads, values = criterion.head_gradients(outputs, mass)
        autograd.backward(outputs[0], heads[0])
        total += sum(float(v.sum().asscalar()) for v in values)
    return total, gradients(net)


def criterion_of(nclass=4, weights=None, **settings):
    return Criterion(LossGroup(**settings), nclass, IGNORE, weights)


class Logits(mx.gluon.HybridBlock):
    """A network whose output is its input: gradients of the logits become visible."""

    def hybrid_forward(self, F, x):
        return (x,)


def logit_gradient(criterion, logits, labels):
    x = mx.nd.array(logits)
    x.attach_grad()
    graph = criterion.graph(Logits())
    graph.hybridize()
    with autograd.record():
        outputs = [graph(x, mx.nd.array(labels))]
    heads, values = criterion.head_gradients(outputs, criterion.pixel_mass(labels))
    autograd.backward(outputs[0], heads[0])
    return float(values[0].sum().asscalar()), x.grad.asnumpy()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 0.2]])
def test_cross_entropy_and_its_gradient_are_those_of_pytorch(weights, smoothing):
    torch = pytest.importorskip("torch")
    if weights and smoothing:
        pytest.skip("PyTorch weights the smoothed part by class, which is a different loss")
    logits = np.random.default_rng(3).normal(size=(2, 4, 5, 7)).astype(np.float32) * 4
    labels = batch(size=(5, 7))[1]
    value, gradient = logit_gradient(criterion_of(weights=weights, label_smoothing=smoothing), logits, labels)
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
    value, gradient = logit_gradient(criterion_of(nclass=1), logits, labels)
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
        _, gradient = logit_gradient(criterion_of(**settings), logits, labels)
        assert np.all(gradient[..., 3:] == 0)
        assert np.abs(gradient[..., :3]).sum() > 0


def test_a_batch_without_one_valid_pixel_gives_zero_instead_of_nan():
    logits = np.random.default_rng(0).normal(size=(1, 4, 6, 6)).astype(np.float32)
    labels = np.full((1, 6, 6), IGNORE, np.int32)
    for settings in (dict(), dict(ohem_threshold=0.7)):
        value, gradient = logit_gradient(criterion_of(**settings), logits, labels)
        assert value == 0 and not gradient.any()


def test_the_auxiliary_weight_scales_the_gradient_of_the_auxiliary_head():
    images, labels = batch()
    found = {}
    for weight in (0.0, 0.4, 4.0):
        _, found[weight] = backward(tiny(), criterion_of(aux_weights=weight), images, labels)
    assert np.abs(found[0.4]["aux_heads.0.weight"]).max() > 0
    assert not found[0.0]["aux_heads.0.weight"].any()
    np.testing.assert_allclose(
        found[4.0]["aux_heads.0.weight"], 10 * found[0.4]["aux_heads.0.weight"], rtol=1e-4
    )
    np.testing.assert_allclose(found[4.0]["head.weight"], found[0.4]["head.weight"], rtol=1e-5)


def test_a_wrong_number_of_auxiliary_weights_is_told():
    images, labels = batch()
    with pytest.raises(ConfigError, match="2 numbers but the network has 1 auxiliary"):
        backward(tiny(), criterion_of(aux_weights=[0.4, 0.4]), images, labels)


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 0.2]])
def test_two_parts_give_the_loss_of_the_whole_batch_when_valid_pixels_are_uneven(weights):
    images, labels = batch(n=2)
    labels[0, 2:] = IGNORE
    # Statistics of a part differ from those of the batch: that is batch norm, not the loss.
    outcomes = []
    for parts in (1, 2):
        net = tiny()
        net.backbone[1]._kwargs["use_global_stats"] = True
        outcomes.append(backward(net, criterion_of(weights=weights), images, labels, parts))
    assert outcomes[0][0] == pytest.approx(outcomes[1][0], rel=1e-5)
    for name, gradient in outcomes[0][1].items():
        np.testing.assert_allclose(outcomes[1][1][name], gradient, rtol=1e-4, atol=1e-6)


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
        masks, kept = select_hard_pixels(maps, 0.7, min_kept)
        chosen = np.concatenate([mask.asnumpy() for mask in masks]) > 0
        assert kept == chosen.sum() == expected.sum()
        np.testing.assert_array_equal(chosen[losses >= 0], expected)
        assert not chosen[losses < 0].any()


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 0.0], [1e-4, 5e-5, 3e-4, 0.0]])
def test_mined_loss_is_the_weighted_mean_over_the_kept_pixels(weights):
    logits = np.random.default_rng(4).normal(size=(2, 4, 5, 7)).astype(np.float32) * 2
    labels = batch(size=(5, 7))[1]
    criterion = criterion_of(ohem_threshold=0.5, ohem_min_kept=5, weights=weights)
    value, gradient = logit_gradient(criterion, logits, labels)
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
    plain = logit_gradient(criterion_of(), logits, labels)
    focal = logit_gradient(criterion_of(name="focal", focal_gamma=0.0), logits, labels)
    assert focal[0] == pytest.approx(plain[0], rel=1e-6)
    np.testing.assert_allclose(focal[1], plain[1], atol=1e-7)


def test_focal_loss_has_the_gradient_of_its_formula():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(4).normal(size=(1, 4, 3, 3)).astype(np.float32) * 3
    labels = batch(n=1, size=(3, 3), ignored=0)[1]
    value, gradient = logit_gradient(criterion_of(name="focal", focal_gamma=2.0), logits, labels)
    x = torch.tensor(logits, requires_grad=True)
    log_p = torch.log_softmax(x, 1).gather(1, torch.tensor(labels.astype(np.int64))[:, None])
    expected = (-((1 - log_p.exp()) ** 2) * log_p).mean()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), atol=1e-6)


def test_median_frequency_weights_are_one_at_the_median_and_for_absent_classes():
    weights = median_frequency_weights(np.array([100, 10, 0, 1000]))
    np.testing.assert_allclose(weights, [1.0, 10.0, 1.0, 0.1])


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0, 2.0], "2 numbers but there are 4"), ([0, 0, 0, 0], "one at least above 0")],
)
def test_class_weights_that_cannot_be_are_told(weights, message):
    with pytest.raises(ConfigError, match=message):
        criterion_of(weights=weights)


def test_an_unknown_loss_offers_the_nearest_name():
    with pytest.raises(ConfigError, match="cross_entropy"):
        criterion_of(name="cross_entropie")
    assert "focal" in LOSSES.names()


def test_networks_are_trained_with_the_form_of_resizing_whose_gradient_is_quick():
    net = create_model("fcn", 4, backbone="mobilenetv2_0.25", init=False)
    for block, products in ((criterion_of().graph(net), True), (net, False)):
        inputs = [mx.sym.var("x"), mx.sym.var("y")][: 2 if products else 1]
        nodes = json.loads(mx.sym.Group(list(block(*inputs))).tojson())["nodes"]
        operators = {node["op"] for node in nodes}
        assert ("dot" in operators, "_contrib_BilinearResize2D" in operators) == (products, not products)


def test_encnet_tells_which_of_its_outputs_is_presence():
    net = create_model("encnet", 4, backbone="resnet18", init=False)
    assert net.presence_outputs == (1,)
    assert net.deploy().presence_outputs == ()
    assert create_model("encnet", 4, backbone="resnet18", aux=False, init=False).presence_outputs == ()


def test_presence_is_binary_cross_entropy_of_the_classes_in_each_image():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 4)).astype(np.float32)
    labels = np.array([[[0, 0, 2], [2, IGNORE, 0]], [[3, 3, 3], [IGNORE, IGNORE, IGNORE]]])
    there = np.array([[1, 0, 1, 0], [0, 0, 0, 1]])  # an ignored pixel is no pixel of class 0
    p = 1 / (1 + np.exp(-x))
    expected = -(there * np.log(p) + (1 - there) * np.log(1 - p)).mean(axis=1)

    class Net(mx.gluon.HybridBlock):
        presence_outputs = (1,)

        def hybrid_forward(self, F, images):
            spread = F.broadcast_axis(F.reshape(images, (0, 0, 1, 1)), axis=(2, 3), size=(2, 3))
            return spread, spread

    criterion = Criterion(LossGroup(aux_weights=[0.2]), 4, IGNORE)
    graph = criterion.graph(Net())
    graph.hybridize()
    images = mx.nd.array(x)
    images.attach_grad()
    with mx.autograd.record():
        outputs = [graph(images, mx.nd.array(labels))]
    mass = criterion.pixel_mass(labels)
    _, (values,) = criterion.head_gradients(outputs, mass)
    valid = np.array([5, 3])
    mean = (expected * valid).sum() / valid.sum()
    assert float(values[1].asscalar()) == pytest.approx(0.2 * mean, rel=1e-5)
    outputs[0][0].backward(mx.nd.array([0, 1]))
    gradient = (p - there) / 4 * valid[:, None]
    np.testing.assert_allclose(images.grad.asnumpy(), gradient, rtol=1e-4, atol=1e-6)


def test_presence_of_a_binary_network_and_of_classes_without_weight():
    x, labels = mx.nd.array([[[[0.3]]]]), np.array([[[0, 1], [IGNORE, 1]]])
    there = mx.nd.array(labels != IGNORE)
    found = Presence(1)(x, mx.nd.array(labels) * there, there).asnumpy()
    np.testing.assert_allclose(found, np.full((1, 2, 2), np.log1p(np.exp(-0.3))), rtol=1e-5)

    class Net(mx.gluon.HybridBlock):
        presence_outputs = (0,)

        def hybrid_forward(self, F, images):
            return [F.broadcast_axis(images, axis=(2, 3), size=(2, 2))]

    # Class 1 weighs nothing as a pixel; that it is in the image stays true.
    criterion = criterion_of(nclass=2, weights=[1.0, 0.0])
    (sums,) = criterion.graph(Net())(mx.nd.array([[[[0.4]], [[0.7]]]]), mx.nd.array(labels))
    expected = (np.log1p(np.exp(-0.4)) + np.log1p(np.exp(-0.7))) / 2
    assert float(sums.asscalar()) == pytest.approx(expected, rel=1e-5)


def test_mining_pixels_of_a_presence_output_is_refused():
    class Net(mx.gluon.HybridBlock):
        presence_outputs = (1,)

    with pytest.raises(ConfigError, match="which classes are in the image"):
        Criterion(LossGroup(ohem_threshold=0.7), 4, IGNORE).graph(Net())

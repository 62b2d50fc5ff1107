"""The contract that every registered architecture keeps, on the smallest backbone it takes."""

from __future__ import annotations

import functools

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxnetseg.backbones import list_backbones
from mxnetseg.models import create_model, list_models, model_info
from mxnetseg.models.base import UNSIZED
from mxnetseg.nn.surgery import named_parameters

# Fifty networks, several seconds each.
pytestmark = pytest.mark.slow

NCLASS = 5
# Ends of the names of parameters that no gradient can reach.
STILL = {
    # Four units behind a ReLU in the gate of a skip, none of them above zero on these images.
    "manet": tuple(
        f"blocks.3.skip_gate.{part}" for part in ("squeeze.weight", "squeeze.bias", "excite.weight")
    ),
    # The batch norm behind a convolution takes its bias out.
    "pan": ("conv.bias",),
    # The batch norm after the next convolution takes out any shift of this one.
    "bisenetv2": ("embed.bn.beta",),
    # Whitening takes the biases of query and key out, the softmax that of the unary scores.
    "dnlnet": ("block.theta.bias", "block.phi.bias", "block.unary.bias"),
    # A bias before a softmax over all positions changes nothing.
    "gcnet": ("block.mask.bias",),
    # The deepest map has one row of these images, which attends to itself wherever it is.
    "seaformer": tuple(f"transformers.1.{k}.attn.rows.place_{of}.pos_embed" for k in (0, 1) for of in "qk"),
    # Published with biases before batch norms, which take them out.
    "segnext": ("conv.bias",),
    # A bias of the keys adds the same to every score of a query: the softmax takes it out.
    "knet": ("attention.k.bias",),
    "mask2former": ("attention.k.bias",),
    # Its queries start as zeros, so the first layer has nothing to choose from.
    "maskformer": (
        "attention.k.bias",
        *(f"layers.0.self_attention.{part}" for part in ("q.weight", "q.bias", "k.weight", "v.weight")),
    ),
    "nonlocal": ("block.phi.bias",),
}
SIZE = (64, 96)
ODD_SIZE = (97, 131)


def smallest_backbone(name):
    """resnet18 where the architecture's default is a ResNet, the smallest of the family for ViT and DenseNet,
    else its own default."""
    default = model_info(name)["backbone"].replace("vit_large", "vit_tiny").replace("net161", "net121")
    default = default.replace("dinov2_large", "dinov2_small")
    return default.replace("101", "18").replace("50", "18") if default.startswith("resnet") else default


@functools.lru_cache(maxsize=2)
def network(name):
    mx.random.seed(0)
    np.random.seed(0)
    return create_model(name, NCLASS, backbone=smallest_backbone(name))


def image(size, count=1, seed=0):
    return mx.nd.array(np.random.RandomState(seed).standard_normal((count, 3, *size)))


def outputs(net, x):
    """All but points, which are drawn anew each time."""
    return [y.asnumpy() for y, kind in zip(net(x), net.predicts) if kind != "points"]


def worst(a, b):
    return max(float(np.abs(p - q).max() / (q.std() + 1e-12)) for p, q in zip(a, b))


@pytest.fixture(params=list_models())
def name(request):
    return request.param


def test_logits_have_the_size_of_the_image_at_two_sizes_and_odd_ones(name):
    net = network(name)
    for size, count in ((SIZE, 1), (ODD_SIZE, 2)):
        for y, kind in zip(net(image(size, count)), net.predicts):
            assert kind in UNSIZED or y.shape == (count, NCLASS, *size)
            assert np.isfinite(y.asnumpy()).all()


def test_hybridized_equals_imperative_also_at_a_second_size(name):
    net = network(name).deploy()
    images = [image(SIZE), image(ODD_SIZE, 2, seed=1)]
    expected = [outputs(net, x) for x in images]
    net.hybridize(static_alloc=True, static_shape=True)
    try:
        for x, y in zip(images, expected):
            assert worst(outputs(net, x), y) < 1e-3
    finally:
        net.hybridize(False)


def test_deploy_gives_the_main_logits_without_auxiliary_parameters(name):
    net = network(name)
    deployed = net.deploy()
    x = image(SIZE)
    main = net(x)[0].asnumpy()
    only = deployed(x)
    assert len(only) == 1
    np.testing.assert_allclose(only[0].asnumpy(), main, rtol=1e-4, atol=1e-4 * main.std())
    full = set(named_parameters(net))
    kept = set(named_parameters(deployed))
    assert kept == {n for n in full if not n.startswith("aux_heads.")}


def test_gradients_reach_every_parameter(name):
    net = network(name)
    x = image(SIZE, 2)
    for parameter in net.collect_params().values():
        # Branches that start at zero let nothing through until they have moved.
        if parameter.grad_req != "null" and not parameter.data().asnumpy().any():
            parameter.set_data(mx.nd.random.normal(scale=0.1, shape=parameter.shape))
    with autograd.record():
        loss = sum((y * mx.nd.random.normal(shape=y.shape)).mean() for y in net(x))
    loss.backward()
    dead = [
        n
        for n, p in named_parameters(net).items()
        if p.grad_req != "null" and not np.abs(p.grad().asnumpy()).any()
    ]
    assert [n for n in dead if not n.endswith(STILL.get(name, ()))] == []


def test_a_training_step_lowers_the_loss_on_two_images(name):
    mx.random.seed(1)
    net = create_model(name, NCLASS, backbone=smallest_backbone(name))
    x = image(SIZE, 2)
    label = mx.nd.array(np.random.RandomState(3).randint(0, NCLASS, (2, 4, 6)).repeat(16, 1).repeat(16, 2))
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 1e-3})
    losses = []
    net.hybridize()
    for _ in range(6):
        with autograd.record():
            logits = [y for y, kind in zip(net(x), net.predicts) if kind not in UNSIZED]
            loss = sum(-mx.nd.pick(mx.nd.log_softmax(y, axis=1), label, axis=1).mean() for y in logits)
        loss.backward()
        trainer.step(1)
        losses.append(float(loss.asscalar()))
    assert np.isfinite(losses).all()
    assert min(losses[3:]) < losses[0]


def test_parameters_survive_a_round_trip_through_a_file(name, tmp_path):
    net = network(name)
    file = str(tmp_path / "net.params")
    net.save_parameters(file)
    mx.random.seed(99)
    twin = create_model(name, NCLASS, backbone=smallest_backbone(name))
    twin.load_parameters(file)
    x = image(SIZE)
    for a, b in zip(outputs(net, x), outputs(twin, x)):
        np.testing.assert_array_equal(a, b)


def test_two_contexts_compute_what_one_does(name):
    net = network(name)
    x = image(SIZE, 2)
    expected = outputs(net, x)
    contexts = [mx.cpu(0), mx.cpu(1)]
    net.collect_params().reset_ctx(contexts)
    try:
        parts = gluon.utils.split_and_load(x, contexts)
        found = [np.concatenate(ys) for ys in zip(*(outputs(net, part) for part in parts))]
    finally:
        net.collect_params().reset_ctx(mx.cpu(0))
    assert worst(found, expected) < 1e-3


def test_facts_name_a_paper_and_a_default_backbone_that_exists(name):
    facts = model_info(name)
    assert facts["paper"] and 2014 < facts["year"] < 2026 and facts["link"].startswith("https://")
    assert facts["backbone"] in list_backbones()

"""The torch engine trains as the MXNet engine does: losses, gradients, update rules, saved state."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.compute import create_engine, list_engines, training_devices
from mxnetseg.errors import DeviceError
from mxnetseg.losses.criterion import Criterion as MxnetCriterion
from mxnetseg.losses.plan import plan
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import layers
from mxnetseg.recipe.fields import OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests.train.tiny import TinyNet, gradients, tiny

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute.torch import arrays  # noqa: E402
from mxnetseg.compute.torch.criterion import Criterion  # noqa: E402
from mxnetseg.compute.torch.translate import parameters_of, translate  # noqa: E402
from mxnetseg.symbols import trace  # noqa: E402

NCLASS, IGNORE = 4, 255
RULES = [
    dict(name="sgd", momentum=0.9, weight_decay=1e-2),
    dict(name="sgd", momentum=0.0, weight_decay=1e-2, head_lr_mult=10.0),
    dict(name="nag", momentum=0.9, weight_decay=1e-2, no_decay=["norm", "bias"]),
    dict(name="adam", weight_decay=1e-2),
    dict(name="adamw", weight_decay=0.1, head_lr_mult=5.0),
    dict(name="sgd", momentum=0.9, clip_grad_norm=0.05),
    dict(name="lars", momentum=0.9, weight_decay=1e-2, trust=0.1),
    dict(name="lamb", weight_decay=0.1),
    dict(name="sgd", momentum=0.9, ema=0.9, backbone_weight_decay=0.1),
]
LOSSES = [
    dict(name="cross_entropy", label_smoothing=0.1),
    dict(name="cross_entropy", class_weights=[1.0, 0.5, 2.0, 0.0]),
    dict(name="cross_entropy", class_weights=[1.0, 0.5, 2.0, 0.0], normalizer="pixels"),
    dict(name="cross_entropy", normalizer="all"),
    dict(name="cross_entropy", ohem_threshold=0.3, ohem_min_kept=40),
    dict(name="cross_entropy", ohem_threshold=0.1, ohem_min_kept=0.5, ohem_rule="below"),
    dict(name="cross_entropy", ohem_min_kept=100, class_weights=[1.0, 0.5, 2.0, 1.0]),
    dict(name="focal", options={"gamma": 1.5}),
    dict(name="boundary_aware_focal"),
    dict(name="sigmoid_cross_entropy"),
    dict(name="sigmoid_focal"),
    dict(name="dice"),
    dict(name="dice", options={"activation": "sigmoid", "per_image": False, "squared": False}),
    dict(name="tversky"),
    dict(name="lovasz"),
    dict(name="lovasz", options={"per_image": True, "classes": "all"}),
    dict(outputs=[[dict(name="cross_entropy", weight=0.5), dict(name="dice", weight=2.0)], None]),
]


def batch(size=4, seed=0, sides=(18, 22)):
    draw = np.random.RandomState(seed)
    images = draw.standard_normal((size, 3, *sides)).astype(np.float32)
    labels = draw.randint(0, NCLASS, (size, sides[0] // 2, sides[1] // 2)).repeat(2, 1).repeat(2, 2)
    labels[:, :2] = IGNORE
    return images, labels.astype(np.int32)


def translated(net):
    parameters = parameters_of(net)
    return translate(trace(net), parameters).train()


def compared(net, settings, accumulate=1, nclass=NCLASS, labels=None):
    """Losses and gradients of both engines for one batch."""
    images, drawn = batch()
    labels = drawn if labels is None else labels
    module = translated(net)
    mxnet = MxnetCriterion(net, settings, nclass, IGNORE)
    mxnet.graph.hybridize()
    if accumulate > 1:
        net.collect_params().setattr("grad_req", "add")
        for name in ("running_mean", "running_var"):
            for p in net.collect_params(f".*{name}").values():
                p.grad_req = "null"
    reported = mxnet.backward(images, labels, [mx.cpu()], accumulate)
    expected = list(mxnet.read(reported).values())
    found = Criterion(module, mxnet.terms, IGNORE).backward(images, labels, torch.device("cpu"), accumulate)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    state = dict(module.named_parameters())
    for name, gradient in gradients(net).items():
        mine = state[name].grad.numpy()
        np.testing.assert_allclose(mine, gradient, rtol=1e-3, atol=2e-4 * abs(gradient).max(), err_msg=name)
    for name, value in module.named_buffers():
        theirs = net._collect_params_with_prefix()[name].data().asnumpy()
        np.testing.assert_allclose(value.numpy(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("settings", LOSSES, ids=[str(k) for k in range(len(LOSSES))])
def test_losses_and_their_gradients_are_those_of_mxnet(settings, accumulate):
    compared(tiny(), LossGroup(**settings), accumulate)


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "lovasz"])
def test_losses_of_one_logit_are_those_of_mxnet(name):
    _, labels = batch()
    compared(tiny(1), LossGroup(name=name), nclass=1, labels=np.where(labels == IGNORE, IGNORE, labels % 2))


@pytest.mark.parametrize(
    "kind, logits", [("presence", NCLASS), ("boundary", 1), ("detail", 1), ("points", NCLASS + 2)]
)
def test_losses_of_other_outputs_are_those_of_mxnet(kind, logits):
    net = tiny()
    net.predicts = ("pixels", kind)
    if logits != NCLASS:
        net.aux_heads._children["0"] = type(net.head)(logits, 1, in_channels=6)
        net.aux_heads.initialize(mx.init.Normal(0.3))
    compared(net, LossGroup())


def test_a_loss_that_counts_where_another_output_says_so():
    net = tiny()
    net.predicts = ("pixels", "boundary")
    net.aux_heads._children["0"] = type(net.head)(1, 1, in_channels=6)
    net.aux_heads.initialize(mx.init.Normal(0.3))
    where = dict(name="cross_entropy", where=dict(output=1, above=0.5), label="edges")
    compared(net, LossGroup(outputs=[[dict(name="cross_entropy"), where], None]))
    edges = dict(name="balanced_cross_entropy", options=dict(twice=True), target="contour", weight=25.0)
    compared(net, LossGroup(outputs=[None, [edges]]))


def test_a_network_that_draws_points_trains():
    net = create_model("fapn", NCLASS, backbone="resnet18", width=8, branch_width=8, points=24)
    terms = MxnetCriterion(net, LossGroup(), NCLASS, IGNORE).terms
    module = translated(net)
    images, labels = batch(2, sides=(64, 64))
    _, points = module(torch.from_numpy(images))
    assert points.shape == (2, NCLASS + 2, 1, 24)
    assert 0 <= points[:, -2:].min() < 0.5 < points[:, -2:].max() <= 1
    losses = Criterion(module, terms, IGNORE).backward(images, labels, torch.device("cpu"))
    assert losses[1] == pytest.approx(0.4 * np.log(NCLASS), rel=0.1)


def engines(optimizer, loss=None, net=tiny):
    """Both engines over networks of the same weights."""
    settings = OptimizerGroup(lr=0.05, **optimizer)
    return [
        create_engine(name, net(), NCLASS, loss or LossGroup(), settings, training_devices(name, ["cpu"]))
        for name in ("mxnet", "torch")
    ]


def run(engine, steps, start=0):
    return [engine.read(engine.step(*batch(seed=k), 0.05, seed=k)) for k in range(start, start + steps)]


def agree(one, two, tolerance=2e-4):
    a, b = one.network_arrays(), two.network_arrays()
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_allclose(b[name], a[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule['name']}-{k}" for k, rule in enumerate(RULES)])
def test_update_rules_are_those_of_mxnet(rule):
    mxnet, ours = engines(rule)
    for a, b in zip(run(mxnet, 5), run(ours, 5)):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
        assert (a.gradient_norm is None) == (b.gradient_norm is None)
        if a.gradient_norm is not None:
            assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-3)
    agree(mxnet, ours)
    assert ours.trained_parameters == mxnet.trained_parameters


@pytest.mark.parametrize(
    "rule",
    [RULES[0], RULES[1], RULES[3], RULES[4], RULES[6], RULES[8]],
    ids=["sgd", "plain", "adam", "adamw", "lars", "average"],
)
@pytest.mark.parametrize("first, second", [(0, 1), (1, 0)], ids=["mxnet-to-torch", "torch-to-mxnet"])
def test_a_run_changes_engines_in_the_middle(rule, first, second):
    pair, fresh = engines(rule), engines(rule)
    run(pair[first], 3)
    fresh[second].load_state_arrays(pair[first].state_arrays())
    run(pair[first], 3, start=3)
    run(fresh[second], 3, start=3)
    agree(pair[first], fresh[second])


def test_a_resumed_run_is_bit_for_bit_the_same():
    def with_dropout():
        mx.random.seed(1)
        return create_model("fastscnn", NCLASS)

    one, two = (engines(RULES[0], net=with_dropout)[1] for _ in range(2))
    torch.set_num_threads(1)
    run(one, 2)
    two.load_state_arrays(one.state_arrays())
    run(one, 2, start=2)
    run(two, 2, start=2)
    for name, value in one.network_arrays().items():
        np.testing.assert_array_equal(two.network_arrays()[name], value)
    assert not np.array_equal(
        *(e.step(*batch(), 0.0, seed=s).losses.numpy() for e, s in ((one, 0), (two, 1)))
    )


@pytest.mark.slow
def test_fifty_steps_of_both_engines_stay_together():
    def smooth():
        mx.random.seed(3)
        net = create_model("segformer", NCLASS)
        for layer in layers(net, mx.gluon.nn.Dropout):
            layer._rate = 0
        return net

    rule = dict(name="adamw", weight_decay=0.01)
    curves = []
    for engine in engines(rule, net=smooth):
        results = []
        for k in range(50):
            images, labels = batch(2, seed=k % 5, sides=(64, 64))
            results.append(engine.read(engine.step(images, labels, 1e-4, seed=k)).loss)
        curves.append(np.array(results))
    assert curves[0][-5:].mean() < 0.95 * curves[0][:5].mean()
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)


def test_frozen_stages_stay_as_they_are():
    def real():
        mx.random.seed(1)
        return create_model("bisenet", NCLASS, backbone="resnet18")

    mxnet, ours = engines(dict(name="sgd", momentum=0.9, frozen_stages=1), net=real)
    before = ours.network_arrays()
    assert ours.trained_parameters == mxnet.trained_parameters
    images, labels = batch(2, sides=(64, 64))
    for engine in (mxnet, ours):
        engine.read(engine.step(images, labels, 0.01, seed=0))
    kept = {name for name, value in ours.network_arrays().items() if np.array_equal(value, before[name])}
    theirs = mxnet.network_arrays()
    assert kept == {name for name, value in theirs.items() if np.array_equal(value, before[name])}
    assert any("running_mean" in name for name in kept) and not all("running_mean" in n for n in kept)


def test_states_of_another_network_are_refused():
    ours = engines(RULES[0])[1]
    arrays_ = ours.state_arrays()
    with pytest.raises(KeyError):
        ours.load_state_arrays({k: v for k, v in arrays_.items() if "head" not in k})
    with pytest.raises(ValueError, match=r"head\.weight"):
        ours.load_state_arrays({**arrays_, "net:0:head.weight": np.zeros((1, 1), np.float32)})


def test_inference_sees_the_parameters_as_they_are_later():
    ours = engines(RULES[0])[1]
    seen = ours.inference()
    images, _ = batch()
    before = seen.scores(images).read()
    run(ours, 1)
    after = seen.scores(images).read()
    assert before.shape == after.shape == (4, NCLASS, 18, 22) and not np.allclose(before, after)
    net = TinyNet(NCLASS)
    net.initialize()
    for name, value in ours.network_arrays().items():
        net._collect_params_with_prefix()[name].set_data(mx.nd.array(value))
    np.testing.assert_allclose(after, net(mx.nd.array(images))[0].asnumpy(), rtol=1e-3, atol=1e-4)


def test_the_engine_is_listed_and_refuses_what_it_cannot_use():
    assert "torch" in list_engines()
    with pytest.raises(DeviceError, match="no GPU 7"):
        training_devices("torch", ["7"])
    with pytest.raises(DeviceError, match="not a device"):
        training_devices("torch", ["tpu"])
    with pytest.raises(DeviceError, match="once"):
        training_devices("torch", ["cpu", "cpu"])


def test_comparisons_of_arrays_are_numbers():
    x = arrays.array(torch.tensor([1.0, 2.0, 3.0]))
    assert (1 - (x > 2)).tolist() == [1, 1, 0] and (x >= 2).dtype == torch.float32
    assert ((x == 2) + (x != 2) + (x < 2) + (x <= 2)).tolist() == [3, 2, 1]
    assert plan(LossGroup(), ("pixels",), 4)[0].output == 0

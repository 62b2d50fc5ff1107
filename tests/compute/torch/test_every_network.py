"""Every network of the zoo in both engines: outputs, gradients and statistics in double precision."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import list_backbones
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model, list_models
from mxnetseg.models.base import UNSIZED
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.symbols import image_shape, trace
from mxnetseg.weights import reference_info, references
from mxnetseg.weights.checkpoint import network_arrays
from tests.goldens.golden import description, differences
from tests.models.test_every_model import smallest_backbone

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute import to_torch  # noqa: E402
from mxnetseg.compute.torch import operators  # noqa: E402
from mxnetseg.compute.torch.layers import BatchNorm  # noqa: E402
from mxnetseg.compute.torch.translate import translate  # noqa: E402
from tests.compute.torch import reference  # noqa: E402

# A flow warp, a transformer, and a network whose layers run at three scales.
FEW = ("sfnet", "segformer", "swiftnetpr")
ZOO = [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in list_models()]
# ICNet, EPRNet ... pool small maps: their sizes leave something to normalize. Sides are odd.
SIZE = (97, 131)
# What remains between two correct engines: MXNet's GELU computes in float32.
TOLERANCE = 1e-4
# Of each kind of convolution: depthwise ones, dilated ones, deconvolutions.
FOLDED = ("fastscnn", "deeplabv3", "erfnet")


def network(name, **options):
    mx.random.seed(0)
    np.random.seed(0)
    return create_model(name, 5, backbone=smallest_backbone(name), **options)


@pytest.mark.parametrize("name", ZOO)
def test_outputs_are_those_of_mxnet_at_odd_sizes_and_several_batches(name, monkeypatch):
    monkeypatch.setattr(operators, "bilinear_resize", reference.resize_as_mxnet)
    net = network(name).deploy()
    module = to_torch(net)
    for size, count in ((SIZE, 1), ((64, 96), 3)):
        x = reference.images(size, count)
        expected = reference.run_mxnet(net, x, training=False).outputs
        found = reference.run_torch(module, x, training=False).outputs
        assert [y.shape for y in found] == [(count, 5, *size)]
        for a, b in zip(expected, found):
            assert reference.difference(a, b) < TOLERANCE


@pytest.mark.parametrize("name", ["sfnet", *(pytest.param(n, marks=pytest.mark.slow) for n in FOLDED)])
def test_folded_norms_change_nothing_but_the_speed(name):
    net = network(name).deploy()
    for key, parameter in net.collect_params().items():
        if key.endswith(("gamma", "beta", "running_mean", "running_var")):
            parameter.set_data(mx.nd.random.uniform(0.5, 2, parameter.shape))
    x = reference.images(SIZE, 1)
    plain, folded = to_torch(net).double(), to_torch(net, folded=True)
    norms, left = (sum(isinstance(m, BatchNorm) for m in n.modules()) for n in (plain, folded))
    assert left < norms / 2
    assert sum(p.numel() for p in folded.parameters()) < sum(p.numel() for p in plain.parameters())
    expected = plain(torch.from_numpy(x))[0].detach().numpy()
    found = folded(torch.from_numpy(x).float())[0].detach().numpy()
    assert reference.difference(expected, found) < 1e-3


@pytest.mark.parametrize("name", ZOO)
def test_gradients_and_statistics_of_a_training_step_are_those_of_mxnet(name, monkeypatch):
    monkeypatch.setattr(operators, "bilinear_resize", reference.resize_as_mxnet)
    net = network(name)
    for parameter in net.collect_params().values():
        # Behind a layer that starts at zero, rounding alone decides which pixels a ReLU lets through.
        if parameter.grad_req != "null" and not parameter.data().asnumpy().any():
            parameter.set_data(mx.nd.random.normal(scale=0.1, shape=parameter.shape))
    module = to_torch(net)
    x = reference.images(SIZE, 3)
    expected = reference.run_mxnet(net, x, training=True)
    found = reference.run_torch(module, x, training=True)
    for a, b in zip(expected.outputs, found.outputs):
        assert reference.difference(a, b) < TOLERANCE
    assert set(found.gradients) <= set(expected.gradients)
    assert reference.relative(expected.gradients, found.gradients) < TOLERANCE
    whole = max(float(np.abs(g).max()) for g in expected.gradients.values())
    for parameter, gradient in found.gradients.items():
        apart = np.abs(gradient - expected.gradients[parameter]).max()
        scale = np.abs(expected.gradients[parameter]).max()
        assert apart < TOLERANCE * max(scale, 1e-6 * whole), parameter
    for state, value in expected.states.items():
        np.testing.assert_allclose(found.states[state], value, rtol=1e-5, atol=1e-6, err_msg=state)


@pytest.mark.parametrize("norm", ["gn", "syncbn"])
@pytest.mark.parametrize("name", ["bisenet", pytest.param("sfnet", marks=pytest.mark.slow)])
def test_other_norms_give_the_gradients_of_mxnet(name, norm, monkeypatch):
    monkeypatch.setattr(operators, "bilinear_resize", reference.resize_as_mxnet)
    net = network(name, norm=norm)
    twin = net
    if norm == "syncbn":
        # MXNet's synchronized layer is for float32 only; over one device it is the plain one.
        twin = network(name)
    module = to_torch(net)
    x = reference.images((64, 96), 2)
    expected = reference.run_mxnet(twin, x, training=True)
    found = reference.run_torch(module, x, training=True)
    assert reference.relative(expected.gradients, found.gradients) < TOLERANCE


def _translates(net):
    """Shapes alone: the translation runs on PyTorch's device `meta`, which computes nothing."""
    parameters = {
        name: torch.nn.Parameter(torch.empty(p.shape, device="meta"), requires_grad=False)
        for name, p in named_parameters(net).items()
    }
    module = translate(trace(net), parameters)
    assert set(module.state_dict()) == set(parameters)
    _, channels, height, width = image_shape(net)
    for size in ((height, width), (height + 33, width + 67)):
        found = module(torch.empty(2, channels, *size, device="meta"))
        maps = [y for y, kind in zip(found, net.predicts) if kind not in UNSIZED]
        assert [tuple(y.shape) for y in maps] == [(2, found[0].shape[1], *size)] * len(maps)


@pytest.mark.slow
@pytest.mark.parametrize("reference_id", references())
def test_every_published_form_has_a_translation(reference_id):
    entry = reference_info(reference_id)
    for norm in ("bn", "syncbn", "gn"):
        try:
            net = create_model(entry.model, 19, init=False, norm=norm, **entry.options)
        except (ConfigError, TypeError, mx.MXNetError):
            assert norm == "gn"  # some heads have norms that groups do not fit
            continue
        _translates(net)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list_backbones())
def test_every_backbone_has_a_translation(backbone):
    for name in ("fcn", "segmenter"):
        try:
            net = create_model(name, 19, backbone=backbone, init=False)
        except ConfigError:
            continue
        _translates(net)
        return
    raise AssertionError(f"no model takes {backbone}")


def test_keys_of_the_state_are_the_names_of_a_params_file_in_both_directions():
    net = network("sfnet")
    module = to_torch(net)
    arrays = network_arrays(net)
    assert set(module.state_dict()) == set(arrays)
    changed = {name: torch.from_numpy(np.full_like(v, 0.25)) for name, v in arrays.items()}
    module.load_state_dict(changed, strict=True)
    assert all((v == 0.25).all() for v in module.state_dict().values())
    assert (network_arrays(net)["head.classifier.bias"] != 0.25).all()  # copies


# A flow warp with side outputs, a transformer, bases that move like statistics.
@pytest.mark.golden
@pytest.mark.parametrize(
    "reference_id", ["sfnet_resnet18_dsn", "mmseg_segformer_mit-b0", "mmseg_emanet_r50-d8"]
)
def test_outputs_agree_with_the_published_network(reference_id, golden_dir):
    if not description(golden_dir, reference_id).exists():
        pytest.skip(f"no golden file for {reference_id}")
    found = differences(golden_dir, reference_id, engine="torch")
    assert {k: d for k, (d, limit) in found.items() if not d <= limit} == {}
    assert found

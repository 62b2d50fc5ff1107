"""Translated networks as PyTorch modules, and what cannot be translated."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.surgery import named_parameters

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute import to_torch  # noqa: E402
from mxnetseg.compute.torch.layers import BatchNorm, Dropout  # noqa: E402
from tests.compute.torch import reference  # noqa: E402


class Small(nn.HybridBlock):
    """Convolution, batch norm, dropout, dense layer over positions; a parameter under two names."""

    def __init__(self, rate=0.5):
        super().__init__()
        self.units = nn.HybridSequential()
        self.units.add(nn.Conv2D(8, 3, padding=1, in_channels=3), nn.BatchNorm(in_channels=8))
        self.up = nn.Conv2DTranspose(4, 3, strides=2, padding=1, output_padding=1, in_channels=8)
        self.drop = nn.Dropout(rate)
        self.again = self.units[0]

    def hybrid_forward(self, F, x):
        return self.drop(self.up(self.units(x))), self.again(x)


@pytest.fixture
def net():
    mx.random.seed(0)
    small = Small()
    small.initialize(mx.init.Xavier())
    return small


def test_a_deconvolution_and_a_layer_under_two_names(net):
    module = to_torch(net)
    x = reference.images((6, 9), 2)
    expected, found = reference.run_mxnet(net, x, False), reference.run_torch(module, x, False)
    for a, b in zip(expected.outputs, found.outputs):
        np.testing.assert_allclose(a, b, atol=1e-10)
    state = module.state_dict()
    assert set(state) == set(named_parameters(net))
    assert state["again.weight"].data_ptr() == state["units.0.weight"].data_ptr()
    assert len(list(module.parameters())) == 6


def test_copies_and_pickles_compute_the_same(net):
    module = to_torch(net)
    x = torch.from_numpy(reference.images((6, 9), 2)).float()
    expected = module(x)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert all(torch.equal(a, b) for a, b in zip(expected, twin(x)))
        twin.units["0"].weight.data.zero_()
    assert all(torch.equal(a, b) for a, b in zip(expected, module(x)))


def test_the_code_is_there_to_read_and_maps_are_let_go(net):
    source = to_torch(net).source
    assert 'self.units["1"](' in source and "self.up(" in source and "del " in source


def test_dropout_acts_in_training_only_and_keeps_the_mean(net):
    module = to_torch(net)
    x = torch.ones((1, 3, 64, 64))
    assert torch.equal(module(x)[0], module(x)[0])
    module.train()
    torch.manual_seed(0)
    y = Dropout(0.25)(torch.ones(100_000))
    assert set(y.tolist()) == {0.0, torch.tensor(1 / 0.75).item()} and abs(y.mean() - 1) < 0.02
    whole = Dropout(0.5, axes=(2, 3))(torch.ones((4, 64, 3, 3))).flatten(2)
    assert (whole == whole[:, :, :1]).all() and 0 < whole.mean() < 2
    assert (module(x)[0] == 0).float().mean() > 0.4


def test_batch_norm_keeps_the_biased_variance_and_takes_a_single_value():
    norm = BatchNorm(eps=1e-5, momentum=0.75, fix_gamma=False)
    norm.gamma, norm.beta = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.full((2,), 3.0))
    norm.register_buffer("running_mean", torch.zeros(2))
    norm.register_buffer("running_var", torch.ones(2))
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    norm(x)
    assert norm.running_mean.tolist() == [0.5, 1.0]
    assert norm.running_var.tolist() == [0.75 + 0.25 * 1, 0.75 + 0.25 * 4]
    assert norm(x[:1]).tolist() == [[3.0, 3.0]]
    assert torch.isfinite(norm.running_var).all()


def test_a_fixed_scale_is_one_whatever_the_parameter_says():
    norm = nn.BatchNorm(in_channels=3, scale=False)
    norm.initialize()
    norm.gamma.set_data(mx.nd.array([5.0, 5.0, 5.0]))
    x = reference.images((4, 4), 2)
    block = nn.HybridSequential()
    block.add(norm)
    expected = block(mx.nd.array(x)).asnumpy()
    np.testing.assert_allclose(
        to_torch(block)(torch.from_numpy(x).float())[0].detach().numpy(), expected, 1e-5
    )


class Moving(nn.HybridBlock):
    """A state that is read, and moves in training as the mean of a batch norm."""

    def __init__(self):
        super().__init__()
        self.bases = self.params.get("bases", shape=(3,), grad_req="null", init="ones")
        self.spread = self.params.get("spread", shape=(3,), grad_req="null", init="ones")
        self.scale = self.params.get("scale", shape=(1, 3, 1, 1), init="ones")

    def hybrid_forward(self, F, x, bases, spread, scale):
        x = F.broadcast_mul(x, scale)
        y = F.BatchNorm(x, F.ones((3,)), F.zeros((3,)), bases, spread, momentum=0.5, fix_gamma=False)
        return F.broadcast_mul(y, F.reshape(bases, (1, 3, 1, 1)))


def test_a_state_that_the_network_reads_is_what_it_was_before_the_step():
    net = Moving()
    net.initialize()
    module = to_torch(net)
    x = reference.images((4, 6), 2)
    for _ in range(2):
        expected, found = reference.run_mxnet(net, x, True), reference.run_torch(module, x, True)
        np.testing.assert_allclose(found.outputs[0], expected.outputs[0], atol=1e-5)
        for state, value in expected.states.items():
            np.testing.assert_allclose(found.states[state], value, atol=1e-6)
            named_parameters(net)[state].set_data(mx.nd.array(value))


def test_what_is_frozen_and_what_no_output_needs_stays_in_the_state(net):
    net.up.collect_params().setattr("grad_req", "null")

    class First(nn.HybridBlock):
        def __init__(self):
            super().__init__()
            self.inner = net

        def hybrid_forward(self, F, x):
            return self.inner(x)[1]

    first = First()
    module = to_torch(first)
    assert set(module.state_dict()) == set(named_parameters(first))
    assert "up" not in module.source
    assert not module.inner.up.weight.requires_grad and module.inner.units["0"].weight.requires_grad


def test_an_operator_without_a_translation_is_named_with_its_layer():
    class Odd(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.arctan(x, name="angle")

    with pytest.raises(ConfigError, match=r"arctan of layer \S*angle has no PyTorch form"):
        to_torch(Odd())


def test_an_attribute_without_a_translation_is_named():
    class Odd(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.softmax(x, temperature=2.0, name="soft")

    with pytest.raises(ConfigError, match=r"softmax of layer \S*soft: its temperature has no PyTorch form"):
        to_torch(Odd())


def test_a_network_without_values_is_one_line():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(3, 1, in_channels=3))
    with pytest.raises(ConfigError, match=r"0\.weight has no values yet"):
        to_torch(net)


def test_pytorch_is_not_imported_unless_asked_for():
    code = (
        "import mxnetseg.compute, mxnetseg.compute.torch, mxnetseg.models, mxnetseg.cli.train, sys;"
        "mxnetseg.models.create_model('erfnet', 3); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_dynamo_takes_a_network_as_one_graph(net):
    explained = torch._dynamo.explain(to_torch(net))(torch.zeros((1, 3, 8, 8)))
    assert explained.graph_count == 1 and explained.graph_break_count == 0


class Activated(nn.HybridBlock):
    """A ReLU whose input is read once, and one whose input is read again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(4, 3, padding=1, in_channels=3)
        self.norm = nn.BatchNorm(in_channels=4)

    def hybrid_forward(self, F, x):
        y = self.first(x)
        return F.relu(self.norm(y)), F.relu(y)


def test_only_what_nothing_else_reads_is_overwritten():
    net = Activated()
    net.initialize(mx.init.Xavier())
    module = to_torch(net)
    assert module.source.count("relu_in_place") == 1 and module.source.count("operators.relu(") == 1
    x = reference.images((6, 9), 2)
    expected, found = reference.run_mxnet(net, x, True), reference.run_torch(module, x, True)
    for a, b in zip(expected.outputs, found.outputs):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert reference.relative(expected.gradients, found.gradients) < 1e-5

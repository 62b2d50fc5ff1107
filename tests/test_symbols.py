"""Tracing: the nodes of a network, by place and not by name."""

from __future__ import annotations

import mxnet as mx
import pytest
from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.complexity import complexity
from mxnetseg.models import create_model
from mxnetseg.models.base import Segmentor
from mxnetseg.symbols import VARIABLE, image_shape, trace


class Twice(nn.HybridBlock):
    """One convolution at two sizes of the same image: two nodes of one name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 3, padding=1, in_channels=3, use_bias=False)

    def hybrid_forward(self, F, x):
        small = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")
        return self.conv(x), self.conv(small)


def test_a_block_that_runs_twice_has_each_of_its_shapes():
    net = Twice()
    graph = trace(net)
    shapes = graph.shapes((1, 3, 8, 12))
    convolutions = [(k, node) for k, node in graph.operators() if node.operator == "Convolution"]
    assert len({node.name for _, node in convolutions}) == 1
    assert sorted(shapes[k, 0] for k, _ in convolutions) == [(1, 3, 4, 6), (1, 3, 8, 12)]
    assert [shapes[entry] for entry in graph.outputs] == [(1, 3, 8, 12), (1, 3, 4, 6)]


def test_a_block_that_runs_twice_counts_at_each_of_its_sizes():
    class Two(Backbone):
        def __init__(self):
            super().__init__((3,), (1,))
            self.both = Twice()

        def hybrid_forward(self, F, x):
            return (F.concat(*[F.flatten(y) for y in self.both(x)], dim=1),)

    class Plain(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return (F.reshape(F.sum(x), shape=(1, 1, 1, 1)),)

    net = Segmentor(Two(), Plain())
    net.initialize()
    assert complexity(net, (8, 12)).operations["Convolution"] == 27 * 3 * (8 * 12 + 4 * 6)


def test_attributes_are_values_and_parameters_have_their_structural_names():
    graph = trace(Twice())
    (node, _) = [node for _, node in graph.operators() if node.operator == "Convolution"]
    assert node.attributes["kernel"] == (3, 3) and node.attributes["no_bias"] is True
    assert node.attributes["layout"] == "NCHW"
    assert graph.parameter(node.inputs[1]) == "conv.weight" and graph.parameter(node.inputs[0]) is None


@pytest.mark.parametrize("model", ["psanet", "fapn"])
def test_shapes_of_every_entry_are_those_that_mxnet_computes(model):
    net = create_model(model, 3, backbone="resnet18")
    graph = trace(net)
    shape = image_shape(net)
    shapes = graph.shapes(shape)
    for entry, y in zip(graph.outputs, net(mx.nd.zeros(shape))):
        assert shapes[entry] == y.shape
    assert all(entry in shapes for node in graph.nodes for entry in node.inputs)
    assert set(graph.types().values()) <= {"float32", "int32"}
    for k, node in enumerate(graph.nodes):
        if node.operator == VARIABLE and node.name != graph.data:
            assert shapes[k, 0] == net.collect_params()[node.name].shape

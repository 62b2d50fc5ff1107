"""A map that many layers read gets the sum of all their gradients."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import nn

from mxnetseg.models import create_model
from mxnetseg.nn.surgery import layers, named_parameters


@pytest.mark.parametrize("name", ["apcnet", pytest.param("dmnet", marks=pytest.mark.slow)])
def test_a_planned_graph_adds_as_many_gradients_as_there_are_readers(name):
    # Nine layers read their c4; see MXNET_EXEC_INPLACE_GRAD_SUM_CAP in compat.
    mx.random.seed(0)
    net = create_model(name, 5, backbone="resnet18")
    for layer in layers(net, nn.Dropout):
        layer._rate = 0
    net.cast("float64")
    x = mx.nd.array(np.random.RandomState(1).standard_normal((3, 3, 64, 96)), dtype="float64")
    found = []
    for planned in (False, True):
        net.hybridize(planned, static_alloc=planned, static_shape=planned)
        with autograd.record():
            y = net(x)[0]
            loss = (
                y * mx.nd.array(np.random.RandomState(2).standard_normal(y.shape), dtype="float64")
            ).mean()
        loss.backward()
        found.append(named_parameters(net)["backbone.layer4.1.conv2.weight"].grad().asnumpy())
    apart = np.linalg.norm(found[1] - found[0]) / np.linalg.norm(found[0])
    assert apart < 1e-6

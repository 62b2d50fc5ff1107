"""What reads what: backbone, neck, head, auxiliary heads."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone, Wrapper
from mxnetseg.models import Aux, Head, Neck, Segmentor, create_model
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.symbols import trace
from mxnetseg.weights.imagenet import load_backbone


class Constant(Backbone):
    """Four maps that hold 1, 2, 3, 4 times the image's first channel."""

    def __init__(self):
        super().__init__((1,) * 4, (1,) * 4)

    def hybrid_forward(self, F, x):
        x = F.slice_axis(x, axis=1, begin=0, end=1)
        return x, 2 * x, 3 * x, 4 * x


class Tens(Neck):
    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        return 10 * c1 + F.slice_axis(image, axis=1, begin=1, end=2), 10 * c2


class Hundreds(Head):
    def hybrid_forward(self, F, first, second, *more):
        return 100 * first, 100 * second


IMAGE = mx.nd.array(np.stack([np.ones((4, 6)), np.full((4, 6), 5.0), np.zeros((4, 6))])[None])


def values(net):
    return [float(y[0, 0, 0, 0].asscalar()) for y in net(IMAGE)]


def test_auxiliary_heads_read_the_place_that_they_name():
    taps = [("backbone", 0), ("backbone", 3), ("neck", 0), ("neck", 1), ("head", 0), ("head", 1)]
    aux = [Aux(Identity(), of, index) for of, index in taps]
    net = Segmentor(Constant(), Hundreds(), aux, neck=Tens())
    assert values(net) == [1500, 1, 4, 15, 20, 1500, 2000]
    net.hybridize()
    assert values(net) == [1500, 1, 4, 15, 20, 1500, 2000]


def test_without_a_neck_the_head_reads_the_backbone():
    net = Segmentor(Constant(), Hundreds(), [Aux(Identity(), "head", 1)])
    assert values(net) == [100, 200]


def test_a_deployed_network_keeps_its_neck():
    net = Segmentor(Constant(), Hundreds(), [Aux(Identity(), "neck", 1)], neck=Tens())
    assert values(net.deploy()) == [1500]


def test_outputs_say_what_they_predict():
    aux = [Aux(Identity(), "backbone", 0, "presence"), Aux(Identity(), "backbone", 1)]
    net = Segmentor(Constant(), Hundreds(), aux)
    assert net.predicts == ("pixels", "presence", "pixels")
    assert net.deploy().predicts == ("pixels",)
    assert create_model("stdcseg", 3, detail=1, init=False).predicts[-1] == "detail"
    assert create_model("pidnet", 3, boundary=1, init=False).predicts[-1] == "boundary"


class Brighter(Wrapper):
    def hybrid_forward(self, F, x):
        return self.net(2 * x)


def test_a_wrapped_backbone_keeps_the_names_of_its_parameters():
    class Convolved(Backbone):
        def __init__(self):
            super().__init__((1,), (1,))
            self.conv = nn.Conv2D(1, 1, in_channels=3)

    plain, wrapped = Convolved(), Brighter(Brighter(Convolved()))
    assert list(named_parameters(wrapped)) == list(named_parameters(plain))
    outer = Segmentor(wrapped, Hundreds())
    assert "backbone.conv.weight" in named_parameters(outer)
    assert wrapped.pretrainable is wrapped.net.net


@pytest.mark.parametrize(
    "name", ["bialign", "bisenet", "bisenetv2", "erfnet", "fastscnn", "icnet", "stdcseg"]
)
def test_only_layers_that_imagenet_can_fill_stand_in_the_backbone(name):
    from mxnetseg.backbones import create_backbone

    net = create_model(name, 3, init=False)
    published = create_backbone(net.backbone.registered_name, net.backbone.pretrainable.strides[-1])
    ours = set(named_parameters(net.backbone))
    assert ours == set(named_parameters(published))


def test_imagenet_weights_fill_a_backbone_behind_a_wrapper(tmp_path):
    net = create_model("icnet", 3, backbone="resnet18")
    file = tmp_path / "resnet18.npz"
    drawn = {n: p.data().asnumpy() + 1 for n, p in named_parameters(net.backbone).items()}
    np.savez(file, **drawn)
    load_backbone(net.backbone, file)
    for name, parameter in named_parameters(net.backbone).items():
        np.testing.assert_array_equal(parameter.data().asnumpy(), drawn[name])


@pytest.mark.parametrize("name", ["linknet", "manet", "unet", "unetplusplus"])
def test_decoders_that_double_maps_serve_backbones_that_leave_border_pixels_out(name):
    net = create_model(name, 2, backbone="convnextv2_atto", init=False)
    symbol = net(mx.sym.var("data"))[0]
    for size in ((64, 64), (66, 71), (97, 131)):
        assert symbol.infer_shape(data=(1, 3, *size))[1] == [(1, 2, *size)]


class Cut(Constant):
    """Its maps leave out what fills no cell of 4 x 4 pixels, but count single pixels."""

    leaves_out = 3

    def hybrid_forward(self, F, x):
        x = F.slice_axis(x, axis=1, begin=0, end=1)
        cells = F.Pooling(x, kernel=(4, 4), stride=(4, 4), pool_type="max")
        x = F.slice_like(x, F.UpSampling(cells, scale=4, sample_type="nearest"), axes=(2, 3))
        return x, x, x, x


def test_where_the_backbone_left_pixels_out_the_last_logits_are_repeated():
    net = Segmentor(Cut(), Hundreds(), full_size=True)
    image = mx.nd.arange(6 * 7).reshape((1, 1, 6, 7))
    expected = 100 * image.asnumpy()[:, :, [0, 1, 2, 3, 3, 3]][:, :, :, [0, 1, 2, 3, 3, 3, 3]]
    np.testing.assert_array_equal(net(image)[0].asnumpy(), expected)


def test_a_hybridized_network_changes_its_graph_between_training_and_inference():
    class Halved(HybridBlock):
        differs_in_training = True

        def hybrid_forward(self, F, x):
            return x if autograd.is_training() else x / 2

    class Scaled(Head):
        def __init__(self):
            super().__init__()
            self.scale = Halved()

        def hybrid_forward(self, F, first, *more):
            return self.scale(first)

    net = Segmentor(Constant(), Scaled())
    net.hybridize()
    assert values(net) == [0.5]
    with autograd.train_mode():
        assert values(net) == [1]
        assert values(net.deploy()) == [1]
    assert values(net) == [0.5]


def test_dfseg_of_sfsegnets_sees_whole_images_in_training_and_halved_ones_in_use():
    net = create_model("dfseg", 3, form="sfsegnets", backbone="dfnetv1")
    sizes = {}
    for training in (True, False):
        graph = trace(net.backbone, training=training)
        sizes[training] = graph.shapes((1, 3, 64, 96))[graph.outputs[1]][2:]
    assert sizes == {True: (4, 6), False: (2, 3)}


def test_segnext_factorizes_in_one_round_less_in_training():
    net = create_model("segnext", 3, backbone="mscan_tiny", rounds=2)
    products = {}
    for training in (True, False):
        nodes = trace(net.head.hamburger.ham, training=training).nodes
        products[training] = sum(node.operator == "batch_dot" for node in nodes)
    # Of a round: three for the shares, three for the bases.
    assert products[False] - products[True] == 6

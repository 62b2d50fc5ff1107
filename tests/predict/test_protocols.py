"""Published protocols, rule by rule, against their words and, for GluonCV, against its own code."""

from __future__ import annotations

import math

import cv2
import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo.segbase import MultiEvalModel

from mxnetseg.errors import ConfigError
from mxnetseg.predict.bands import resize_map
from mxnetseg.predict.evaluation import make_protocol
from mxnetseg.predict.views import Normalizer, Picture, lay_windows, resize_picture, scaled_size
from mxnetseg.recipe.protocol import RULES, Protocol
from tests.predict.stand_ins import network, picture, predictor
from tests.predict.test_predictor import forward, normalized, softmax


def resolved(**fields):
    return make_protocol(**fields).resolved()


def shrink(maps, size):
    return np.stack([cv2.resize(m, size[::-1], interpolation=cv2.INTER_LINEAR) for m in maps])


@pytest.mark.parametrize("size", [(360, 480), (241, 241), (100, 700), (402, 403)])
def test_mmsegmentations_windows_start_at_multiples_of_the_stride_and_end_flush(size):
    crop, stride = 241, 161
    windows = lay_windows(
        resolved(protocol="mmseg", mode="slide", crop=crop, stride=stride), size, 1.0, slides=True
    )
    for side, spans in zip(size, (windows.rows, windows.columns)):
        expected = []
        for k in range(max(side - crop + stride - 1, 0) // stride + 1):
            end = min(k * stride + crop, side)
            expected.append((max(end - crop, 0), end))
        assert spans == expected


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.75])
def test_sfsegnets_windows_grow_with_the_scale_and_its_stride_rounds_up(scale):
    protocol = resolved(protocol="sfsegnets", mode="slide", crop=200)
    size = scaled_size(protocol, (333, 500), scale)
    assert size == (int(333 * scale), int(500 * scale))
    windows = lay_windows(protocol, size, scale, slides=True)
    tile = int(200 * max(scale, 1))
    stride = math.ceil(tile * (1 - 1 / 3))
    for side, spans in zip(size, (windows.rows, windows.columns)):
        ends = [min(k * stride + tile, side) for k in range(math.ceil((side - tile) / stride) + 1)]
        assert spans == [(max(end - tile, 0), end) for end in ends]


def test_sfsegnets_count_takes_classes_for_rows_and_rows_for_columns():
    protocol = resolved(protocol="sfsegnets", mode="slide", crop=64)
    windows = lay_windows(protocol, (100, 150), 1.0, slides=True)
    counts = np.zeros((19, 100, 150))
    for top, bottom in windows.rows:
        for left, right in windows.columns:
            counts[top:bottom, left:right, :] += 1
    rows, columns = windows.weights(19)
    assert (rows[:, :, None] * columns == np.maximum(counts, 1)).all()
    assert len(np.unique(counts)) > 1


def test_sizes_round_as_each_publisher_rounds():
    assert scaled_size(resolved(protocol="mmseg", resize=(2048, 512)), (333, 500), 1.0) == (512, 769)
    assert scaled_size(resolved(protocol="mmseg", resize=(600, 512)), (333, 500), 1.0) == (400, 600)
    # Two steps: the target is 167 x 250, the smaller of its two factors counts.
    assert scaled_size(resolved(protocol="mmseg"), (333, 500), 0.5) == (167, 250)
    assert scaled_size(resolved(protocol="sfsegnets"), (333, 501), 0.5) == (166, 250)
    assert scaled_size(resolved(protocol="gluoncv", base=521), (333, 501), 1.5) == (520, 782)
    assert scaled_size(resolved(base=200), (50, 100), 1.0) == (100, 200)


def test_probabilities_are_taken_of_each_view_at_the_pictures_size_after_windows_are_averaged_as_logits():
    net, image = network(), picture(48, 80)
    large = resize_picture(image, (72, 120), "opencv")
    total = np.zeros((5, 48, 80))
    for view in (large, large[:, ::-1]):
        planes, logits, visits = normalized(view), np.zeros((5, 72, 120)), np.zeros((72, 120))
        for left in (0, 40, 56):
            for top in (0, 8):
                window = np.s_[top : top + 64, left : left + 64]
                logits[(slice(None), *window)] += forward(net, planes[(slice(None), *window)])
                visits[window] += 1
        logits = (logits / visits).astype(np.float32)
        if view is not large:
            logits = np.ascontiguousarray(logits[:, :, ::-1])
        total += softmax(shrink(logits, (48, 80)))
    made = predictor(net, protocol="mmseg", scales=[1.5], flip=True, mode="slide", crop=64, stride=40)
    np.testing.assert_allclose(made.scores(image), total / 2, atol=2e-5)
    assert (made.predict(image) == total.argmax(0)).mean() > 0.999


def test_sfsegnets_averages_logits_with_corners_aligned():
    net, image = network(), picture(48, 80)
    total = forward(net, normalized(image))
    small = resize_picture(image, (24, 40), "pillow")
    maps = mx.nd.array(forward(net, normalized(small))[None])
    total = total + mx.nd.contrib.BilinearResize2D(maps, height=48, width=80, align_corners=True).asnumpy()[0]
    result = predictor(net, protocol="sfsegnets", scales=[1, 0.5]).scores(image)
    np.testing.assert_allclose(result, total / 2, atol=2e-4)


class Evaluated(type(network())):
    """What GluonCV's evaluator asks of a network, with logits small enough for its exponentials."""

    base_size, crop_size = 90, 64

    def evaluate(self, x):
        return self(x)[0]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scales", [[1.0], [0.5, 1.25]])
@pytest.mark.parametrize("size", [(47, 83), (83, 47)])
def test_gluoncvs_protocol_gives_the_scores_of_gluoncvs_own_evaluator(flip, scales, size):
    net = Evaluated(5)
    net.initialize()
    rng = np.random.default_rng(3)
    for parameter in net.collect_params().values():
        parameter.set_data(mx.nd.array(rng.normal(0, 0.1, parameter.shape)))
    image = picture(*size)
    theirs = MultiEvalModel(net, 5, [mx.cpu()], flip=flip, scales=scales)(mx.nd.array(normalized(image)))
    made = predictor(net, protocol="gluoncv", base=90, crop=64, flip=flip, scales=scales)
    np.testing.assert_allclose(made.scores(image) * len(scales), theirs.asnumpy()[0], rtol=2e-4)


@pytest.mark.parametrize("name", [name for name in RULES if name != "own"])
def test_published_protocols_show_the_network_no_padding_to_a_multiple_of_32(name):
    protocol = resolved(protocol=name, crop=50)
    for slides in (True, False):
        assert lay_windows(protocol, (61, 83), 1.0, slides).inputs in ((61, 83), (50, 50))


@pytest.mark.parametrize("corners", [True, False])
def test_maps_are_resized_as_mxnets_operator_resizes_them(corners):
    maps = np.random.default_rng(0).normal(0, 1, (3, 17, 23)).astype(np.float32)
    for size in ((40, 31), (9, 12), (17, 23)):
        expected = mx.nd.contrib.BilinearResize2D(
            mx.nd.array(maps[None]), height=size[0], width=size[1], align_corners=corners
        )
        np.testing.assert_allclose(resize_map(maps, size, corners), expected.asnumpy()[0], atol=1e-5)


def test_a_picture_of_four_channels_is_resized_by_pillow_channel_by_channel():
    image = np.concatenate([picture(30, 40), picture(30, 40, 1)[..., :1]], axis=2)
    resized = resize_picture(image, (21, 17), "pillow")
    assert (
        resized[..., :3] == resize_picture(np.ascontiguousarray(image[..., :3]), (21, 17), "pillow")
    ).all()
    assert resized.shape == (21, 17, 4)


def test_padding_has_the_colour_that_is_asked_for():
    normalize = Normalizer((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    image = np.full((10, 10, 3), 255, np.uint8)
    for fill, value in ((None, 0.0), ([0, 0, 0], -2.0), ([255, 0, 0], 2.0)):
        protocol = resolved(fill=fill)
        view = Picture(image, (10, 10), protocol, normalize).view((0, 10), (0, 10), False, (12, 12))
        assert view[0, 11, 11] == pytest.approx(value) and view[0, 9, 9] == pytest.approx(2.0)


def test_the_protocol_in_words_names_everything_that_a_score_depends_on():
    words = resolved(protocol="mmseg", mode="slide", crop=769, stride=513, resize=(2048, 512)).describe()
    assert words == (
        "sliding windows of 769 x 769 every 513 pixels, fitted into 2048 x 512, scale 1, no flip, scored at "
        "label size; mmseg protocol: logits averaged over windows, probabilities over views, no padding"
    )
    assert "own protocol with changes: logits averaged" in resolved(average="logits").describe()
    black = resolved(protocol="gluoncv").describe()
    assert (
        "gluoncv windows, exact resizing, aligned corners, padded to the window with colour 0, 0, 0" in black
    )
    assert "Pillow's resizing" in resolved(protocol="sfsegnets").describe()


def test_taking_another_protocol_keeps_scales_and_sizes_and_replaces_the_rules():
    changed = Protocol(scales=[0.5, 1], base=640, divisor=8, average="logits").under("mmseg")
    assert (changed.scales, changed.base, changed.divisor) == ([0.5, 1.0], 640, None)
    assert changed.resolved().average == "view_probabilities"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(stride=1.5), r"evaluation\.stride 1\.5: stride must be a share"),
        (dict(base=640, resize=(2048, 512)), "either base or resize"),
        (dict(protocol="mmsegmentation"), r"evaluation\.protocol 'mmsegmentation'"),
        (dict(fill=[300, 0, 0]), "colours are 0 to 255"),
        (dict(scales=[0]), "scales must be positive"),
    ],
)
def test_impossible_settings_are_one_line(fields, message):
    with pytest.raises(ConfigError, match=message):
        make_protocol(**fields)


def test_sfsegnets_sliding_over_several_scales_is_what_its_steps_say():
    net, image = network(), picture(60, 90)
    total = np.zeros((5, 60, 90))
    for scale in (0.5, 1.0, 1.5):
        height, width = int(60 * scale), int(90 * scale)
        tile = int(40 * max(scale, 1))
        stride = math.ceil(tile * (1 - 1 / 3))
        scaled = image if scale == 1 else resize_picture(image, (height, width), "pillow")
        for mirrored in (False, True):
            planes = normalized(scaled[:, ::-1] if mirrored else scaled)
            logits, count = np.zeros((5, height, width)), np.zeros((5, height, width))
            for j in range(math.ceil((height - tile) / stride) + 1):
                for i in range(math.ceil((width - tile) / stride) + 1):
                    bottom, right = min(j * stride + tile, height), min(i * stride + tile, width)
                    top, left = max(bottom - tile, 0), max(right - tile, 0)
                    window = planes[:, top:bottom, left:right]
                    logits[:, top:bottom, left:right] += forward(net, np.ascontiguousarray(window))
                    count[top:bottom, left:right, :] += 1
            logits /= count
            if mirrored:
                logits = np.ascontiguousarray(logits[:, :, ::-1])
            total += np.stack([cv2.resize(m, (90, 60), interpolation=cv2.INTER_LINEAR) for m in logits]) / 6
    made = predictor(net, protocol="sfsegnets", mode="slide", crop=40, scales=[0.5, 1.0, 1.5], flip=True)
    np.testing.assert_allclose(made.scores(image), total, atol=2e-4)
    assert (made.predict(image) == total.argmax(0)).mean() > 0.999

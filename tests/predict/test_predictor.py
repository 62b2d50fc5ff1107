"""Predictions: exact on simple networks, whatever the size, the scales, the windows and the contexts."""

from __future__ import annotations

import threading

import cv2
import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.predict.bands import most_probable
from tests.predict.stand_ins import Drawn, network, picture, predictor

PROTOCOLS = {
    "plain": {},
    "flip": dict(flip=True),
    "scales": dict(scales=(0.5, 1, 1.75)),
    "base": dict(base=100),
    "windows": dict(mode="slide", crop=32),
    "windows, scales and flip": dict(mode="slide", crop=(24, 40), scales=(0.75, 1.5), flip=True, batch=3),
    "mmseg": dict(protocol="mmseg", scales=(0.75, 1.5), flip=True),
    "mmseg's windows": dict(protocol="mmseg", mode="slide", crop=24, stride=(10, 16), flip=True),
    "sfsegnets": dict(protocol="sfsegnets", scales=(0.75, 1), flip=True),
}


def softmax(logits):
    exponentials = np.exp(logits - logits.max(0))
    return exponentials / exponentials.sum(0)


def normalized(image):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((image / 255 - mean) / std).transpose(2, 0, 1).astype(np.float32)


def forward(net, planes):
    return net(mx.nd.array(planes[None]))[0].asnumpy()[0]


def test_a_plain_prediction_is_the_argmax_of_the_logits_at_a_size_that_nothing_divides():
    net, image = network(), picture(61, 83)
    padded = np.zeros((3, 64, 96), np.float32)  # the mean colour is 0 after normalization
    padded[:, :61, :83] = normalized(image)
    expected = forward(net, padded)[:, :61, :83].argmax(0)
    prediction = predictor(net).predict(image)
    assert prediction.shape == (61, 83) and prediction.dtype == np.uint8
    assert (prediction == expected).mean() > 0.999


def test_flip_is_the_mean_with_the_mirrored_picture_mirrored_back():
    net, image = network(), picture(64, 96)
    straight = softmax(forward(net, normalized(image)))
    mirrored = softmax(forward(net, normalized(image[:, ::-1])))[:, :, ::-1]
    result = predictor(net, flip=True).scores(image)
    np.testing.assert_allclose(result, (straight + mirrored) / 2, atol=1e-5)


def test_scales_average_probabilities_brought_back_to_the_size_of_the_picture():
    net, image = network(), picture(64, 96)
    total = softmax(forward(net, normalized(image)))
    large = cv2.resize(image, (192, 128), interpolation=cv2.INTER_LINEAR)
    maps = softmax(forward(net, normalized(large)))
    total += np.stack([cv2.resize(m, (96, 64), interpolation=cv2.INTER_LINEAR) for m in maps])
    result = predictor(net, scales=(1, 2)).scores(image)
    np.testing.assert_allclose(result, total / 2, atol=1e-5)


def test_base_is_the_long_side_at_scale_one_of_any_orientation():
    made = predictor(network(), base=200)
    assert made._scaled((50, 100), 1.0) == (100, 200)
    assert made._scaled((100, 50), 0.5) == (100, 50)
    assert made.predict(picture(50, 100)).shape == (50, 100)


def test_windows_of_a_network_that_sees_one_pixel_give_what_the_whole_picture_gives():
    net, image = network(kernel=1), picture(75, 131)
    whole = predictor(net).scores(image)
    for crop, stride, batch in ((32, 0.5, 1), ((40, 24), 2 / 3, 4), (32, 1.0, 2), (400, 0.5, 1)):
        windows = predictor(net, mode="slide", crop=crop, stride=stride, batch=batch).scores(image)
        np.testing.assert_allclose(windows, whole, atol=1e-5)


def test_overlapping_windows_are_averaged_with_equal_weight():
    net, image = network(), picture(64, 96)
    left = softmax(forward(net, normalized(image[:, :64])))
    right = softmax(forward(net, normalized(image[:, 32:])))
    expected = np.zeros((5, 64, 96), np.float32)
    expected[:, :, :64] += left
    expected[:, :, 32:] += right
    expected[:, :, 32:64] /= 2
    result = predictor(net, mode="slide", crop=64, stride=0.5).scores(image)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_probabilities_sum_to_one_and_the_label_map_is_their_argmax(protocol):
    made, image = predictor(network(), **protocol), picture(61, 83)
    scores = made.scores(image)
    if "probabilities" in made.protocol.average:
        np.testing.assert_allclose(scores.sum(0), 1, atol=1e-4)
    assert (made.predict(image) == scores.argmax(0)).mean() > 0.999


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_reducing_on_the_device_gives_the_same_labels_as_on_the_host(protocol):
    net, image = network(), picture(61, 83)
    host = predictor(net, reduce="host", **protocol).predict(image)
    device = predictor(net, reduce="device", **protocol).predict(image)
    assert (host == device).mean() > 0.999


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_two_contexts_give_exactly_the_predictions_of_one_in_order(protocol):
    data = Drawn(5)
    samples = [data[i] for i in range(5)]
    one = list(predictor(network(), [mx.cpu(0)], **protocol).stream(samples))
    two = list(predictor(network(), [mx.cpu(0), mx.cpu(1)], **protocol).stream(samples))
    assert [s.name for s, _ in two] == [s.name for s in samples]
    assert all((a == b).all() for (_, a), (_, b) in zip(one, two))


def test_maps_too_large_for_the_device_are_reduced_on_the_host(monkeypatch):
    made, image = predictor(network(), reduce="device"), picture(40, 50)
    on_device = made.predict(image)
    assert made._reduces_on_device(image.shape[:2], 0)
    monkeypatch.setattr("mxnetseg.predict.predictor.DEVICE_MAP_BYTES", 4 * 5 * 40 * 50 - 1)
    assert not made._reduces_on_device(image.shape[:2], 0)
    assert (made.predict(image) == on_device).all()


def test_pictures_of_many_sizes_go_through_one_network():
    made = predictor(network(), flip=True)
    for height, width in ((33, 64), (64, 33), (128, 40), (33, 64), (1, 1), (5, 200)):
        assert made.predict(picture(height, width)).shape == (height, width)


def test_bands_of_rows_resize_like_the_whole_map():
    net, image = network(kernel=1), picture(50, 70)
    for scales in ((0.6,), (1.7,), (0.6, 2.3)):
        whole = predictor(net, scales=scales, mode="whole").scores(image)
        bands = predictor(net, scales=scales, mode="slide", crop=(16, 4000), stride=0.5).scores(image)
        np.testing.assert_allclose(bands, whole, atol=2e-5)


def test_auto_takes_small_pictures_whole_and_slides_over_large_ones_and_says_which():
    made = predictor(network(), mode="auto", crop=32, pixel_budget=64 * 64)
    made.predict(picture(60, 60))
    assert made.describe().startswith("whole images, own size")
    made.predict(picture(60, 80))
    assert "windows of 32 x 32" in made.describe()


def test_one_logit_is_a_probability_against_the_threshold():
    net, image = network(nclass=1), picture(40, 50)
    padded = np.zeros((3, 64, 64), np.float32)
    padded[:, :40, :50] = normalized(image)
    probability = 1 / (1 + np.exp(-forward(net, padded)[0, :40, :50]))
    for threshold in (0.3, 0.5, 0.8):
        for options in ({}, dict(reduce="device"), dict(mode="slide", crop=64)):
            labels = predictor(net, threshold=threshold, **options).predict(image)
            assert (labels == (probability > threshold)).mean() > 0.999
    flipped = predictor(net, flip=True)
    assert (flipped.predict(image) == (flipped.scores(image)[0] > 0.5)).all()
    device = predictor(net, flip=True, reduce="device").predict(image)
    assert (device == flipped.predict(image)).mean() > 0.999


@pytest.mark.parametrize("nclass", [2, 19, 256, 300])
def test_the_fast_argmax_is_numpys_argmax_ties_included(nclass):
    rng = np.random.default_rng(nclass)
    scores = rng.integers(0, 12, (nclass, 23, 45)).astype(np.float32)  # integers: many ties
    labels = most_probable(scores)
    assert (labels == scores.argmax(0)).all()
    assert labels.dtype == (np.uint8 if nclass <= 256 else np.int16)


def test_threads_may_share_a_predictor():
    made, images = predictor(network(), flip=True), [picture(40 + i, 50, i) for i in range(8)]
    expected = [made.predict(image) for image in images]
    results = [None] * 8

    def work(i):
        results[i] = made.predict(images[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert all((a == b).all() for a, b in zip(expected, results))


@pytest.mark.parametrize(
    "wrong",
    [
        dict(scales=()),
        dict(scales=(0,)),
        dict(stride=0),
        dict(stride=1.5),
        dict(mode="tiles"),
        dict(crop=0),
        dict(base=0),
        dict(threshold=1),
        dict(batch=0),
        dict(std=(0, 1, 1)),
        dict(reduce="gpu"),
    ],
    ids=str,
)
def test_an_impossible_protocol_is_refused_in_words(wrong):
    with pytest.raises(ConfigError):
        predictor(network(), **wrong)


def test_memory_of_windows_over_a_tall_picture_follows_the_window():
    tall = picture(3000, 64)
    made = predictor(network(), mode="slide", crop=64)
    rows = [band.shape[1] for _, band, _ in made._bands(tall, 1.0, False, 0)]
    assert sum(rows) == 3000 and max(rows) <= 64

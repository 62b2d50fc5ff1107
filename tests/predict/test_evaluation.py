"""Scoring a split: the whole of it, exactly, and with errors that help."""

from __future__ import annotations

import json
import threading

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.data.datasets.base import Sample
from mxnetseg.errors import CheckpointError, DatasetError
from mxnetseg.metrics import ConfusionMatrix
from mxnetseg.predict.evaluation import evaluate, predict, read_ahead
from mxnetseg.predict.predictor import Predictor
from tests.predict.stand_ins import Drawn, network


def test_scores_are_those_of_the_predictions_at_label_size():
    data, net = Drawn(), network()
    matrix = ConfusionMatrix(5)
    for i in range(len(data)):
        matrix.update(Predictor(net).predict(data[i].image), data[i].label)
    scores = evaluate(net, data, progress=False)
    assert scores["confusion"] == matrix.matrix.tolist()
    assert scores["miou"] == matrix.scores()["miou"]
    assert scores["images"] == 4 and scores["classes"] == list(data.classes)
    json.dumps(scores)


@pytest.mark.parametrize("settings", [None, dict(flip=True, scales=(0.5, 1.0)), dict(mode="slide", crop=32)])
def test_scores_do_not_depend_on_the_number_of_contexts(settings):
    net = network()
    one = evaluate(net, Drawn(7), [mx.cpu(0)], settings, progress=False)
    three = evaluate(net, Drawn(7), [mx.cpu(0), mx.cpu(1), mx.cpu(2)], settings, progress=False)
    assert one["confusion"] == three["confusion"]


def test_settings_may_be_an_object_and_none_of_it_means_the_default():
    class Group:
        scales, flip, mode, crop, stride, base = [0.5, 1.0], True, "slide", None, None, None

    protocol = evaluate(network(), Drawn(1), settings=Group(), progress=False)["protocol"]
    assert "32 x 32" in protocol  # the data set's own crop
    assert "0.5, 1" in protocol and "with flip" in protocol


def test_every_sample_is_handed_on_in_order_and_limit_stops_early():
    seen = []
    evaluate(
        network(),
        Drawn(5),
        progress=False,
        limit=3,
        on_image=lambda i, sample, labels: seen.append((i, sample.name, labels.shape)),
    )
    assert seen == [(i, f"drawn_{i}", (40 + 7 * i, 64 - 5 * i)) for i in range(3)]


def test_a_split_without_labels_cannot_be_scored_but_predicted():
    data = Drawn(labelled=False)
    with pytest.raises(DatasetError, match="drawn_0: no label"):
        evaluate(network(), data, progress=False)
    result = predict(network(), data, progress=False)
    assert result["images"] == 4 and "miou" not in result


def test_a_network_of_another_class_count_is_refused_with_both_counts():
    with pytest.raises(CheckpointError, match="7 classes but data set 'drawn' has 5"):
        evaluate(network(7), Drawn(), progress=False)


@pytest.mark.parametrize("names", [1, 2])
def test_one_logit_is_scored_as_background_and_foreground(names):
    data = Drawn(nclass=2)
    data.classes = ("horse",) if names == 1 else ("background", "horse")
    scores = evaluate(network(1), data, progress=False)
    assert scores["classes"] == ["background", "horse"] and len(scores["class_iou"]) == 2


def test_the_networks_auxiliary_heads_are_left_out():
    class Deployable(type(network())):
        def deploy(self):
            return network(5)

    wrong = Deployable(5)
    wrong.initialize(mx.init.Zero())
    right = evaluate(network(5), Drawn(), progress=False)
    assert evaluate(wrong, Drawn(), progress=False)["confusion"] == right["confusion"]


def test_an_unreadable_sample_reaches_the_caller_and_ends_the_reading_thread():
    class Damaged(Drawn):
        def __getitem__(self, index):
            if index == 2:
                raise DatasetError("frame_2.png: truncated")
            return super().__getitem__(index)

    before = threading.active_count()
    with pytest.raises(DatasetError, match=r"frame_2\.png"):
        evaluate(network(), Damaged(), progress=False)
    assert threading.active_count() == before


def test_reading_ahead_never_holds_more_samples_than_asked_for():
    class Counting(Drawn):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return Sample(np.zeros((2, 2, 3), np.uint8), None, str(index))

    data = Counting(50)
    for done, _ in enumerate(read_ahead(data, 50, 3), 1):
        assert data.read <= done + 3 + 1


def test_without_a_terminal_progress_is_a_line_for_every_tenth(capsys):
    evaluate(network(), Drawn(4), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("evaluate: 4/4 images")


def test_parameters_stay_where_the_trainer_has_them():
    net = network()
    contexts = [mx.cpu(0), mx.cpu(1)]
    net.collect_params().reset_ctx(contexts)
    evaluate(net, Drawn(2), [mx.cpu(0)], progress=False)
    assert net.convolution.weight.list_ctx() == contexts

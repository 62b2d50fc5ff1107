"""Scoring a split: the whole of it, exactly, and with errors that help."""

from __future__ import annotations

import json
import threading

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.data.datasets.base import Sample
from mxnetseg.data.datasets.concat import ConcatDataset
from mxnetseg.errors import CheckpointError, ConfigError, DatasetError
from mxnetseg.metrics import ConfusionMatrix
from mxnetseg.predict.evaluation import read_ahead
from mxnetseg.report.outcome import lines_of
from tests.predict.stand_ins import Drawn, network, predictor, scores


def test_scores_are_those_of_the_predictions_at_label_size():
    data, net = Drawn(), network()
    matrix = ConfusionMatrix(5)
    for i in range(len(data)):
        matrix.update(predictor(net).predict(data[i].image), data[i].label)
    found = scores(net, data)
    assert found["confusion"] == matrix.matrix.tolist()
    assert found["miou"] == matrix.scores()["miou"]
    assert found["images"] == 4 and found["classes"] == list(data.classes)
    json.dumps(found)


def test_joined_data_sets_are_scored_together_and_each_by_itself():
    net, first, second = network(), Drawn(2), Drawn(3)
    found = scores(net, ConcatDataset([first, second]))
    assert [part["images"] for part in found["parts"]] == [2, 3]
    for part, alone in zip(found["parts"], (first, second)):
        assert part["confusion"] == scores(net, alone)["confusion"]
    summed = np.sum([part["confusion"] for part in found["parts"]], axis=0)
    assert np.array_equal(found["confusion"], summed)
    assert "parts" not in scores(net, first)
    named = lines_of({**found, "model": "net", "backbone": "none", "checkpoint": "c"}, scored=True)
    assert sum("drawn val, " in line and "images: mIoU" in line for line in named) == 2
    (only,) = scores(net, ConcatDataset([first, second]), limit=1)["parts"]
    assert only["images"] == 1


@pytest.mark.parametrize("settings", [{}, dict(flip=True, scales=(0.5, 1.0)), dict(mode="slide", crop=32)])
def test_scores_do_not_depend_on_the_number_of_contexts(settings):
    net = network()
    one = scores(net, Drawn(7), [mx.cpu(0)], **settings)
    three = scores(net, Drawn(7), [mx.cpu(0), mx.cpu(1), mx.cpu(2)], **settings)
    assert one["confusion"] == three["confusion"]


def test_the_window_is_the_data_sets_where_the_protocol_states_none():
    protocol = scores(network(), Drawn(1), scales=[0.5, 1.0], flip=True, mode="slide")["protocol"]
    assert "32 x 32" in protocol
    assert "0.5, 1" in protocol and "with flip" in protocol


def test_every_sample_is_handed_on_in_order_and_limit_stops_early():
    seen = []
    scores(
        network(),
        Drawn(5),
        limit=3,
        on_image=lambda i, sample, labels: seen.append((i, sample.name, labels.shape)),
    )
    assert seen == [(i, f"drawn_{i}", (40 + 7 * i, 64 - 5 * i)) for i in range(3)]


def test_a_split_without_labels_cannot_be_scored_but_predicted():
    data = Drawn(labelled=False)
    with pytest.raises(DatasetError, match="drawn_0: no label"):
        scores(network(), data)
    result = scores(network(), data, score=False)
    assert result["images"] == 4 and "miou" not in result


def test_a_network_of_another_class_count_is_refused_with_both_counts():
    with pytest.raises(CheckpointError, match="7 classes but data set 'drawn' has 5"):
        scores(network(7), Drawn())


@pytest.mark.parametrize("names", [1, 2])
def test_one_logit_is_scored_as_background_and_foreground(names):
    data = Drawn(nclass=2)
    data.classes = ("horse",) if names == 1 else ("background", "horse")
    found = scores(network(1), data)
    assert found["classes"] == ["background", "horse"] and len(found["class_iou"]) == 2


def test_the_networks_auxiliary_heads_are_left_out():
    class Deployable(type(network())):
        def deploy(self):
            return network(5)

    wrong = Deployable(5)
    wrong.initialize(mx.init.Zero())
    right = scores(network(5), Drawn())
    assert scores(wrong, Drawn())["confusion"] == right["confusion"]


def test_an_unreadable_sample_reaches_the_caller_and_ends_the_reading_thread():
    class Damaged(Drawn):
        def __getitem__(self, index):
            if index == 2:
                raise DatasetError("frame_2.png: truncated")
            return super().__getitem__(index)

    before = set(threading.enumerate())
    with pytest.raises(DatasetError, match=r"frame_2\.png"):
        scores(network(), Damaged())
    assert not [t for t in threading.enumerate() if t.name == "read-ahead" and t not in before]


def test_reading_ahead_never_holds_more_samples_than_asked_for():
    class Counting(Drawn):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return Sample(np.zeros((2, 2, 3), np.uint8), None, str(index))

    data = Counting(50)
    for done, _ in enumerate(read_ahead(data, range(50), 3), 1):
        assert data.read <= done + 3 + 1


def test_a_picture_that_is_never_read_is_named():
    never = threading.Event()

    class Stuck(Drawn):
        def __getitem__(self, index):
            if index == 2:
                never.wait()
            return super().__getitem__(index)

    try:
        # Long enough for the others to be read in on a busy machine.
        with pytest.raises(DatasetError, match=r"no answer for 2 s; it is reading sample 2"):
            list(read_ahead(Stuck(4), range(4), 1, timeout=2.0))
    finally:
        never.set()


def test_a_scale_beyond_any_picture_is_refused_before_it_is_made():
    for protocol in ({"scales": [1e9]}, {"base": 10**9}):
        with pytest.raises(ConfigError, match=r"makes pictures of \d+ x \d+ pixels; \d+ are the most"):
            scores(network(), Drawn(1), **protocol)


def test_without_a_terminal_progress_is_a_line_for_every_tenth(capsys):
    scores(network(), Drawn(4), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("evaluate: 4/4 images")


def test_parameters_stay_where_the_trainer_has_them():
    net = network()
    contexts = [mx.cpu(0), mx.cpu(1)]
    net.collect_params().reset_ctx(contexts)
    scores(net, Drawn(2), [mx.cpu(0)])
    assert net.convolution.weight.list_ctx() == contexts

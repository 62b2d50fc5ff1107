"""The confusion matrix and every score that derives from it."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.errors import DatasetError
from mxnetseg.metrics import ConfusionMatrix, format_summary, format_table


def slow_matrix(prediction, label, nclass, ignore):
    matrix = np.zeros((nclass, nclass), int)
    for p, t in zip(prediction.ravel(), label.ravel()):
        if t != ignore:
            matrix[t, p] += 1
    return matrix


def test_counts_agree_with_a_plain_loop_over_pixels():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (37, 53)).astype(np.int32)
    label[rng.random(label.shape) < 0.1] = 255
    prediction = rng.integers(0, 5, label.shape).astype(np.uint8)
    matrix = ConfusionMatrix(5)
    matrix.update(prediction, label)
    assert (matrix.matrix == slow_matrix(prediction, label, 5, 255)).all()
    assert matrix.matrix.dtype == np.int64


def test_blocks_do_not_change_the_counts(monkeypatch):
    rng = np.random.default_rng(1)
    label, prediction = rng.integers(0, 3, (2, 40, 41))
    whole, blocks = ConfusionMatrix(3), ConfusionMatrix(3)
    whole.update(prediction, label)
    monkeypatch.setattr("mxnetseg.metrics._BLOCK", 7)
    blocks.update(prediction, label)
    assert (whole.matrix == blocks.matrix).all()


def test_more_pixels_than_float32_can_count_are_counted_exactly():
    matrix = ConfusionMatrix(2)
    label = np.zeros((4096, 4096), np.uint8)
    matrix.update(label, label)
    matrix.update(label[:1, :1], label[:1, :1])
    assert matrix.matrix[0, 0] == 2**24 + 1


def test_scores_of_a_matrix_computed_by_hand():
    matrix = ConfusionMatrix(2)
    matrix.matrix[:] = [[6, 2], [1, 3]]
    scores = matrix.scores()
    assert scores["class_iou"] == pytest.approx([6 / 9, 3 / 6])
    assert scores["miou"] == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert scores["pixel_accuracy"] == pytest.approx(9 / 12)
    assert scores["mean_accuracy"] == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert scores["class_precision"] == pytest.approx([6 / 7, 3 / 5])
    assert scores["frequency_weighted_iou"] == pytest.approx(8 / 12 * 6 / 9 + 4 / 12 * 3 / 6)


def test_a_class_in_neither_labels_nor_predictions_is_absent_and_out_of_the_mean():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 1]]), np.array([[0, 1]]))
    scores = matrix.scores()
    assert scores["class_iou"] == [1.0, 1.0, None]
    assert scores["miou"] == 1.0
    assert scores["absent"] == [2]
    assert "absent" in format_table(scores, ["a", "b", "c"]).splitlines()[3]
    assert "mean over 2 of 3 classes" in format_summary(scores)


def test_a_class_only_predicted_counts_as_zero_iou_but_not_in_mean_accuracy():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([[0, 1]]), np.array([[0, 0]]))
    scores = matrix.scores()
    assert scores["class_iou"] == [0.5, 0.0]
    assert scores["class_accuracy"] == [0.5, None]
    assert scores["mean_accuracy"] == 0.5


def test_a_set_with_nothing_but_ignored_pixels_has_undefined_scores_and_no_warning(recwarn):
    matrix = ConfusionMatrix(2)
    matrix.update(np.zeros((2, 2), int), np.full((2, 2), 255))
    scores = matrix.scores()
    assert scores["miou"] is None and scores["pixel_accuracy"] is None
    assert "undefined" in format_summary(scores)
    assert len(recwarn) == 0


@pytest.mark.parametrize("value", [-1, 3, 11, 254, 256])
def test_a_label_value_outside_the_classes_is_an_error_that_names_file_and_value(value):
    label = np.zeros((4, 4), np.int32)
    label[0, 0] = value
    with pytest.raises(DatasetError, match=rf"street_7.*{value}.*0 \.\. 2.*255"):
        ConfusionMatrix(3).update(np.zeros((4, 4), int), label, "street_7")


def test_a_refused_label_leaves_the_counts_as_they_were():
    matrix = ConfusionMatrix(3)
    with pytest.raises(DatasetError):
        matrix.update(np.zeros((1, 2), int), np.array([[0, 7]]))
    assert not matrix.matrix.any()


def test_label_and_prediction_of_different_sizes_are_an_error_that_gives_both():
    with pytest.raises(DatasetError, match=r"x\.png.*3 x 2.*5 x 4"):
        ConfusionMatrix(2).update(np.zeros((4, 5), int), np.zeros((2, 3), int), "x.png")


def test_merged_matrices_are_one_matrix_over_both_halves():
    rng = np.random.default_rng(2)
    label, prediction = rng.integers(0, 4, (2, 20, 20))
    whole, left, right = (ConfusionMatrix(4) for _ in range(3))
    whole.update(prediction, label)
    left.update(prediction[:9], label[:9])
    right.update(prediction[9:], label[9:])
    left.merge(right)
    assert (left.matrix == whole.matrix).all()


def test_an_ignore_value_other_than_255_works_and_one_among_the_classes_is_refused():
    matrix = ConfusionMatrix(2, ignore_index=2)
    matrix.update(np.array([[0, 1]]), np.array([[0, 2]]))
    assert matrix.scores()["pixels"] == 1
    with pytest.raises(ValueError, match="ignore_index"):
        ConfusionMatrix(3, ignore_index=2)

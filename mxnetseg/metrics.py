"""Scores of semantic segmentation, all derived from one confusion matrix.

Pixels are counted in int64: float32 counters stop counting at 2**24 pixels, which is eight Cityscapes frames.
Nothing but the matrix is kept, so that a data set of any size is scored in constant memory.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import numpy as np

from mxnetseg.errors import DatasetError

_BLOCK = 1 << 16  # pixels


class ConfusionMatrix:
    """Streamed confusion matrix: rows are labels, columns predictions, entries int64 pixel counts.

    Parameters
    ----------
    nclass : int
        Number of classes, 1 or more. A binary problem has two: background and foreground.
    ignore_index : int
        Label value that is left out of every score; it is nclass or more.
    """

    def __init__(self, nclass: int, ignore_index: int = 255):
        if nclass < 1:
            raise ValueError(f"nclass must be at least 1, not {nclass}")
        if ignore_index < nclass:
            raise ValueError(f"ignore_index {ignore_index} must be above the classes 0 .. {nclass - 1}")
        self.nclass = nclass
        self.ignore_index = ignore_index
        self.matrix = np.zeros((nclass, nclass), np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray, name: str = "") -> None:
        """Count one image, or a batch of them.

        `prediction` and `label` are integer arrays of one shape; `name` is what an error calls the image.
        Raises DatasetError when the label holds a value that is neither a class nor the ignore value,
        or when the label has another size than the prediction.
        """
        prediction, label = np.asarray(prediction), np.asarray(label)
        if prediction.shape != label.shape:
            raise DatasetError(
                f"{name or 'label'}: the label is {_size(label)} but the image (and its prediction)"
                f" is {_size(prediction)}; both must have one size"
            )
        if prediction.size and not 0 <= int(prediction.min()) <= int(prediction.max()) < self.nclass:
            raise ValueError(f"{name}: a prediction is outside 0 .. {self.nclass - 1}")
        if label.size and not 0 <= int(label.min()) <= int(label.max()) <= self.ignore_index:
            raise self._bad_label(label, name)
        # One histogram over (label, prediction) pairs counts all classes at once. Every value up to the
        # largest gets a row, so that finding illegal ones costs no further pass.
        # Blocks keep the pairs in the cache.
        rows = self.ignore_index + 1
        counts = np.zeros(rows * self.nclass, np.int64)
        labels, predictions = label.reshape(-1), prediction.reshape(-1)
        for start in range(0, labels.size, _BLOCK):
            pairs = labels[start : start + _BLOCK] * np.int64(self.nclass)
            pairs += predictions[start : start + _BLOCK]
            counts += np.bincount(pairs, minlength=counts.size)
        counts = counts.reshape(rows, self.nclass)
        if counts[self.nclass : self.ignore_index].any():
            raise self._bad_label(label, name)
        self.matrix += counts[: self.nclass]

    def _bad_label(self, label: np.ndarray, name: str) -> DatasetError:
        wrong = [int(v) for v in np.unique(label) if not 0 <= v < self.nclass and v != self.ignore_index]
        shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
        return DatasetError(
            f"{name or 'label'}: label values {shown} are neither classes (0 .. {self.nclass - 1}) nor"
            f" the ignore value {self.ignore_index}: correct the label or the data set's id map"
        )

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix over the same classes."""
        if other.matrix.shape != self.matrix.shape:
            raise ValueError(f"cannot merge {other.nclass} classes into {self.nclass}")
        self.matrix += other.matrix

    def scores(self) -> Dict[str, object]:
        """Every score as plain Python values, ready for JSON. Ratios are in [0, 1].

        `class_iou[c]` is None for a class in neither labels nor predictions and `class_accuracy[c]`, its
        recall, is None where no label pixel has the class; neither counts in the means.
        A mean over nothing is None.
        """
        matrix = self.matrix
        truth = matrix.sum(axis=1)
        predicted = matrix.sum(axis=0)
        hit = np.diag(matrix)
        total = int(truth.sum())
        union = truth + predicted - hit

        iou = _ratio(hit, union)
        recall = _ratio(hit, truth)
        precision = _ratio(hit, predicted)
        frequency = truth / max(total, 1)
        weighted = sum(f * v for f, v in zip(frequency, iou) if v is not None)
        return {
            "miou": _mean(iou),
            "pixel_accuracy": int(hit.sum()) / total if total else None,
            "mean_accuracy": _mean(recall),
            "frequency_weighted_iou": float(weighted) if total else None,
            "class_iou": iou,
            "class_accuracy": recall,
            "class_precision": precision,
            "class_pixels": [int(v) for v in truth],
            "absent": [c for c in range(self.nclass) if union[c] == 0],
            "pixels": total,
            "confusion": matrix.tolist(),
        }


def _size(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape[-2:][::-1])) if array.ndim >= 2 else str(array.shape)


def _ratio(part: np.ndarray, whole: np.ndarray) -> List[Optional[float]]:
    return [float(p) / float(w) if w else None for p, w in zip(part, whole)]


def _mean(values: Sequence[Optional[float]]) -> Optional[float]:
    present = [v for v in values if v is not None]
    return float(np.mean(present)) if present else None


def format_percent(value: Optional[float], absent: str = "absent") -> str:
    """A ratio as percent with two digits; `absent` for None."""
    return absent if value is None else f"{100 * value:.2f}"


def format_table(scores: Dict[str, object], classes: Sequence[str]) -> str:
    """Per-class IoU, accuracy (recall), precision and share of the labelled pixels, in percent, as text."""
    total = max(int(scores["pixels"]), 1)
    width = max([len(c) for c in classes] + [len("class")])
    lines = [f"{'class':<{width}}  {'IoU':>7}  {'acc':>7}  {'prec':>7}  {'pixels':>7}"]
    for c, name in enumerate(classes):
        iou = format_percent(scores["class_iou"][c])
        accuracy = format_percent(scores["class_accuracy"][c], "-")
        precision = format_percent(scores["class_precision"][c], "-")
        share = f"{100 * scores['class_pixels'][c] / total:.2f}"
        lines.append(f"{name:<{width}}  {iou:>7}  {accuracy:>7}  {precision:>7}  {share:>7}")
    return "\n".join(lines)


def format_summary(scores: Dict[str, object]) -> str:
    """One line: mIoU, pixel, mean and frequency-weighted scores, and how many classes were absent."""
    parts = [
        f"mIoU {format_percent(scores['miou'], 'undefined')}",
        f"pixel accuracy {format_percent(scores['pixel_accuracy'], 'undefined')}",
        f"mean accuracy {format_percent(scores['mean_accuracy'], 'undefined')}",
        f"frequency-weighted IoU {format_percent(scores['frequency_weighted_iou'], 'undefined')}",
    ]
    line = "  ".join(parts)
    if scores["absent"]:
        present = len(scores["class_iou"]) - len(scores["absent"])
        line += f"  (mean over {present} of {len(scores['class_iou'])} classes: the others are absent)"
    return line

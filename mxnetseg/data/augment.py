"""The training transform that a recipe's `augment` group describes."""

from __future__ import annotations

from typing import Any, Callable, List

from mxnetseg.data.datasets.base import Dataset
from mxnetseg.data.photometric import PhotometricDistortion
from mxnetseg.data.transforms import ColorJitter, GaussianBlur, TrainTransform
from mxnetseg.errors import ConfigError


def make_transform(augment: Any, dataset: Dataset, statistics: Any = None) -> TrainTransform:
    """The transform of the groups `augment` and `input` (`statistics`; None: the data set's mean and std)."""
    mean, std = (dataset.mean, dataset.std) if statistics is None else statistics.of(dataset)
    photometric: List[Callable] = []
    if augment.photometric_distortion:
        photometric.append(PhotometricDistortion())
    jitter = augment.color_jitter.model_dump()
    if any(jitter.values()):
        photometric.append(ColorJitter(**jitter))
    if photometric and dataset.channels != 3:
        raise ConfigError(
            f"augment.color_jitter and augment.photometric_distortion change colours, and the images of data "
            f"set {dataset.name!r} have {dataset.channels} channels: take them out"
        )
    if augment.blur:
        photometric.append(GaussianBlur(augment.blur, augment.blur_sigma))
    return TrainTransform(
        crop=augment.crop,
        scale_min=augment.scale_min,
        scale_max=augment.scale_max,
        base=augment.base,
        flip=augment.flip,
        photometric=tuple(photometric),
        max_class_ratio=augment.max_class_ratio,
        mean=mean,
        std=std,
        ignore_index=dataset.ignore_index,
    )

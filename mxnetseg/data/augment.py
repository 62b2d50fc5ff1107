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
    labels = [*range(max(2, len(dataset.classes))), dataset.ignore_index]
    if augment.label_fill is not None and augment.label_fill not in labels:
        raise ConfigError(
            f"augment.label_fill {augment.label_fill} is no class of data set {dataset.name!r}: 0 to "
            f"{labels[-2]}, or {dataset.ignore_index}"
        )
    fill = augment.fill
    if isinstance(fill, list) and len(fill) != dataset.channels:
        raise ConfigError(f"augment.fill has {len(fill)} values for images of {dataset.channels} channels")
    return TrainTransform(
        crop=augment.crop,
        scale_min=augment.scale_min,
        scale_max=augment.scale_max,
        base=augment.base,
        resize=augment.resize,
        fill=[fill] * dataset.channels if isinstance(fill, float) else fill,
        label_fill=augment.label_fill,
        flip=augment.flip,
        photometric=tuple(photometric),
        max_class_ratio=augment.max_class_ratio,
        mean=mean,
        std=std,
        ignore_index=dataset.ignore_index,
    )

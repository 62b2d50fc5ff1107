"""Data sets, transforms and loading. Nothing here imports MXNet: loader workers start without it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from mxnetseg.data.datasets.base import DATASETS, Dataset, Item, Sample

__all__ = [
    "DATASETS",
    "Dataset",
    "Item",
    "Sample",
    "create_dataset",
    "dataset_info",
    "list_datasets",
]


def create_dataset(name: str, root: Optional[str] = None, split: str = "train", **options: Any) -> Dataset:
    """The data set `name`, e.g. `create_dataset("camvid", "path/to/camvid", "val")`.

    `root` None means `$MXNETSEG_DATA/<name>`, else `./datasets/<name>`. `options` are the keyword
    arguments of that data set. Raises RegistryError for an unknown name or option, DatasetError for what
    is wrong with the files.
    """
    return DATASETS.build(name, root=root, split=split, **options)


def list_datasets(pattern: str = "*") -> List[str]:
    """Names of the registered data sets that match a shell pattern, sorted."""
    return DATASETS.names(pattern)


def dataset_info(name: str) -> Dict[str, Any]:
    """Facts of a data set, without its files: classes, palette, ignore_index, splits, paper, layout, ..."""
    kind = DATASETS.get(name)
    facts = {
        key: getattr(kind, key)
        for key in (
            "title",
            "paper",
            "url",
            "palette",
            "ignore_index",
            "splits",
            "unlabelled_splits",
            "train_id_to_label_id",
            "scales",
            "crop",
            "base",
            "channels",
            "mean",
            "std",
            "layout",
        )
    }
    return {"name": name, "classes": list(kind.classes), "nclass": len(kind.classes), **facts}

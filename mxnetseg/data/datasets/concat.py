"""Several data sets of the same classes as one; how often each is drawn is the sampler's business."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from mxnetseg.data.datasets.base import DATASETS, Dataset, Item, Sample
from mxnetseg.errors import ConfigError, DatasetError

_PART_KEYS = ("name", "root", "split", "weight", "options")


class ConcatDataset(Dataset):
    """The samples of `parts` one after the other, under the classes that they all have.

    `weights`: relative shares of an epoch, whatever the sizes of the parts; None: every sample once.
    """

    def __init__(self, parts: Sequence[Dataset], weights: Optional[Sequence[float]] = None):
        super().__init__(None, "+".join(dict.fromkeys(part.split for part in parts)))
        if not parts:
            raise ConfigError("a concatenation of data sets needs at least one part")
        first = parts[0]
        for part in parts[1:]:
            if part.channels != first.channels:
                raise ConfigError(
                    f"data sets {first.name!r} ({first.channels} channels) and {part.name!r} "
                    f"({part.channels}) cannot be joined: their images differ"
                )
            if list(part.classes) != list(first.classes) or part.ignore_index != first.ignore_index:
                raise ConfigError(
                    f"data sets {first.name!r} ({len(first.classes)} classes, ignoring "
                    f"{first.ignore_index}) and {part.name!r} ({len(part.classes)}, ignoring "
                    f"{part.ignore_index}) cannot be joined: their classes differ"
                )
        if weights is not None and (len(weights) != len(parts) or min(weights) < 0):
            raise ConfigError(f"weights {list(weights)} must be {len(parts)} numbers of at least 0")
        self.parts = list(parts)
        self.weights = None if weights is None else [float(w) for w in weights]
        self.starts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
        for fact in (
            "name title paper url classes palette ignore_index splits train_id_to_label_id submission "
            "scales crop base channels mean std layout"
        ).split():
            setattr(self, fact, getattr(first, fact))
        self.unlabelled_splits = tuple({part.split for part in parts if not part.has_labels} & {self.split})

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index: int) -> Sample:
        part, inner = self.locate(index)
        sample = self.parts[part][inner]
        # Names serve as file names, and two sets may use the same.
        return sample._replace(name=f"{self.parts[part].name}_{sample.name}")

    def locate(self, index: int) -> tuple:
        """(part, index within it) of a sample."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        part = bisect_right(self.starts, index) - 1
        return part, index - self.starts[part]

    def read_label_file(self, index: int) -> Optional[np.ndarray]:
        """The label alone, int32 (H, W)."""
        part, inner = self.locate(index)
        return self.parts[part].read_label_file(inner)

    def default_sampler(self) -> Any:
        """Every sample once, or what `weights` ask for."""
        from mxnetseg.data.samplers.weighted import WeightedSampler

        return WeightedSampler([len(part) for part in self.parts], self.weights)

    @property
    def items(self) -> List[Item]:
        """Paths of all samples, where every part is a set of files."""
        return [item._replace(name=f"{part.name}_{item.name}") for part in self.parts for item in part.items]


@DATASETS.register("concat")
class Concat(ConcatDataset):
    """From a recipe: `parts: [{name: cityscapes, root: ..., split: train, weight: 2, options: {}}, ...]`.

    `split` of a part defaults to the split asked for; as a mapping (`{train: train}`) it says which of the
    part's splits serves for which, and the part is left out of the others.
    """

    title = "Several data sets joined"
    splits = ("train", "val", "test")
    layout = "as its parts"

    def __init__(
        self,
        root: Optional[str] = None,
        split: str = "train",
        parts: Sequence[Dict[str, Any]] = (),
    ):
        from mxnetseg.data import create_dataset  # it imports this module

        if root is not None:
            raise DatasetError("data set 'concat' has no root of its own; give each part its root")
        for part in parts:
            unknown = sorted(set(part) - set(_PART_KEYS))
            if unknown or "name" not in part:
                raise ConfigError(
                    f"part {part} of a concatenation: expected keys {', '.join(_PART_KEYS)} (name is needed)"
                )
        present = [
            (part, chosen) for part in parts for chosen in [_split_of(part, split)] if chosen is not None
        ]
        weighted = any("weight" in part for part, _ in present)
        super().__init__(
            [
                create_dataset(part["name"], part.get("root"), chosen, **part.get("options", {}))
                for part, chosen in present
            ],
            [part.get("weight", 1.0) for part, _ in present] if weighted else None,
        )
        self.name = "concat"
        self.split = split


def _split_of(part: Dict[str, Any], split: str) -> Optional[str]:
    """The split of a part that serves for `split`; None where it has none."""
    chosen = part.get("split", split)
    return chosen.get(split) if isinstance(chosen, dict) else chosen

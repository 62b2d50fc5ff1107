"""A data set packed into RecordIO shards by `python -m mxnetseg.data pack`, read as a stream."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from mxnetseg.data.datasets.base import DATASETS, Dataset, Sample, default_root
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_PLAIN_FACTS = "title paper url classes ignore_index crop base train_id_to_label_id".split()
_TUPLE_FACTS = "scales mean std".split()


@DATASETS.register("recordio")
class RecordIO(Dataset):
    """All facts come from the pack. Splits are those that were packed, joined with `+` if wanted.

    Without another sampler, shards are visited in random order and samples shuffled within a window, so
    that a file is read from front to back.
    """

    name = "recordio"
    title = "RecordIO pack"
    layout = "SPLIT.json and SPLIT-00000.rec, SPLIT-00000.idx, ..., as `pack` writes them"

    def __init__(self, root: Optional[str] = None, split: str = "train"):
        root = os.fspath(root) if root is not None else default_root(self.name)
        super().__init__(root, split)
        if not os.path.isdir(root):
            raise DatasetError(
                f"{root}: the root of data set 'recordio' does not exist; expected {self.layout}"
            )
        self.splits = tuple(sorted(n[:-5] for n in os.listdir(root) if n.endswith(".json")))
        # Per sample: number of the shard, position in it, bytes up to the next record.
        self.shards: List[str] = []
        self.bounds: List[Tuple[int, int]] = []
        places: List[Tuple[int, int, int]] = []
        unlabelled = []
        for part in split.split("+"):
            facts = self._read_facts(part)
            if not self.shards:
                self._adopt(facts)
            elif list(facts["classes"]) != list(self.classes):
                raise DatasetError(f"{root}: splits {split} were packed from different data sets")
            if not facts["labelled"]:
                unlabelled.append(part)
            for shard in facts["shards"]:
                first = len(places)
                places += self._read_shard(shard, len(self.shards))
                self.shards.append(os.path.join(root, shard["file"]))
                self.bounds.append((first, len(places)))
        self.unlabelled_splits = tuple(unlabelled)
        self.places = np.array(places, np.int64)
        self._files: Dict[int, int] = {}

    def _read_facts(self, split: str) -> Dict[str, Any]:
        path = os.path.join(self.root, split + ".json")
        if split not in self.splits:
            raise DatasetError(
                f"{self.root}: pack has no split {split!r}; it has {', '.join(self.splits) or 'none'}"
            )
        try:
            with open(path, encoding="utf-8", opener=only_files) as handle:
                facts = json.load(handle)
            lacking = [k for k in (*_PLAIN_FACTS, "shards", "labelled", "palette") if k not in facts]
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: facts of a pack cannot be read ({error})") from error
        if lacking:
            raise DatasetError(f"{path}: facts of a pack lack {', '.join(lacking)}; pack anew")
        return facts

    def _adopt(self, facts: Dict[str, Any]) -> None:
        for key in _PLAIN_FACTS:
            setattr(self, key, facts[key])
        for key in _TUPLE_FACTS:
            setattr(self, key, tuple(facts[key]))
        # Recipes and outputs go by the name of what was packed.
        self.name = facts["name"]
        if self.name in DATASETS.names():
            self.submission = DATASETS.get(self.name).submission
        self.palette = np.asarray(facts["palette"], np.uint8)

    def _read_shard(self, shard: Dict[str, Any], number: int) -> List[Tuple[int, int, int]]:
        from mxnetseg.data.recordio import read_index

        path = os.path.join(self.root, shard["file"])
        try:
            size = os.path.getsize(path)
        except OSError:
            raise DatasetError(f"{path}: shard is missing; copy the pack again") from None
        positions = [position for _, position in read_index(path[:-4] + ".idx")]
        if len(positions) != shard["samples"]:
            raise DatasetError(
                f"{path[:-4]}.idx: lists {len(positions)} records, the pack says {shard['samples']}; "
                f"copy the pack again"
            )
        ends = [*positions[1:], size]
        if any(end <= position for position, end in zip(positions, ends)):
            raise DatasetError(f"{path}: shard has only {size} bytes: it is truncated, copy it again")
        return [(number, position, end - position) for position, end in zip(positions, ends)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        from mxnetseg.data.pack import unpack_payload
        from mxnetseg.data.recordio import read_record

        shard, position, length = (int(v) for v in self.places[index])
        path = self.shards[shard]
        record = read_record(self._file(shard), position, path, length)
        name, image, label = unpack_payload(record.payload, f"{path}, byte {position}")
        return Sample(image, label, name)

    def read_label_file(self, index: int) -> Optional[np.ndarray]:
        """The label alone, int32 (H, W)."""
        return self[index].label

    def default_sampler(self) -> Any:
        """Visits shards in random order and shuffles within a window."""
        from mxnetseg.data.samplers.weighted import StreamSampler

        return StreamSampler(self.bounds)

    def _file(self, shard: int) -> int:
        if shard not in self._files:
            try:
                self._files[shard] = os.open(self.shards[shard], os.O_RDONLY)
            except OSError as error:
                raise DatasetError(f"{self.shards[shard]}: {error.strerror}") from error
        return self._files[shard]

    def __getstate__(self) -> Dict[str, Any]:
        # Descriptors belong to one process.
        return {**self.__dict__, "_files": {}}

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)

"""Predictions as a benchmark's server takes them: ids, names, folders and archive."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import List

import numpy as np
from PIL import Image

from mxnetseg.data.datasets.base import Dataset
from mxnetseg.errors import ConfigError
from mxnetseg.run_files import atomic_file, make_folder

SUBMISSION = "submission"


class SubmissionWriter:
    """Writes `<folder>/submission/...`, a file for each prediction, and the archive of them beside it.

    Raises ConfigError for a data set whose predictions no server takes.
    """

    def __init__(self, folder: str, dataset: Dataset):
        layout = dataset.submission
        if layout is None:
            raise ConfigError(
                f"data set {dataset.name!r} has no server that takes predictions: leave submission out"
            )
        self._folder = os.path.join(folder, SUBMISSION)
        self._archive = self._folder + layout.archive
        self._layout, self._split = layout, dataset.split
        ids = dataset.train_id_to_label_id
        self._ids = np.asarray(range(len(dataset.scored_classes)) if ids is None else ids)
        # Colours by the id that is written, for files that carry a palette.
        self._palette = np.zeros((256, 3), np.uint8)
        if layout.indexed:
            self._palette[self._ids] = dataset.scored_palette
        self._written: List[str] = []
        make_folder(self._folder)

    def add(self, name: str, prediction: np.ndarray) -> None:
        """Write one label map of train ids (H, W); several threads may."""
        inside = self._layout.path.format(name=name, split=self._split)
        path = os.path.join(self._folder, inside)
        make_folder(os.path.dirname(path))
        with atomic_file(path, durable=False) as out:
            out.write(self._encoded(self._ids[prediction]))
        self._written.append(inside)  # append is atomic: threads share the list

    def finish(self) -> str:
        """Pack what this run has written, and nothing left over from before; the archive's path."""
        names = sorted(self._written)
        with atomic_file(self._archive) as out:
            if self._layout.archive == ".zip":  # stored, since PNG does not shrink further
                with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
                    for name in names:
                        archive.write(os.path.join(self._folder, name), name)
            else:
                with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
                    for name in names:
                        archive.add(os.path.join(self._folder, name), name)
        return self._archive

    def _encoded(self, ids: np.ndarray) -> bytes:
        wide = self._ids.max() > 255
        picture = Image.fromarray(ids.astype(np.uint16 if wide else np.uint8))
        if self._layout.indexed:
            picture.putpalette(self._palette.tobytes())
        data = io.BytesIO()
        picture.save(data, "PNG", compress_level=1)
        return data.getvalue()

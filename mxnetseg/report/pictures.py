"""What predicting leaves on disk: label maps, colours, overlays, errors, a server's submission.

<folder>/id/<name>.png         train ids, 8 bits (16 for more than 256 classes)
<folder>/color/<name>.png      colours of the classes, RGB
<folder>/overlay/<name>.jpg    the picture tinted with them
<folder>/error/<name>.jpg      wrong pixels red, where there is a label
<folder>/submission/           what the server takes, and its archive (`mxnetseg.report.submission`)
<folder>/examples.jpg          a sheet of a few
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import List, Optional, Sequence

import numpy as np

from mxnetseg.errors import ConfigError
from mxnetseg.report.submission import SubmissionWriter
from mxnetseg.report.tracking import EXAMPLES, example_row
from mxnetseg.report.visualize import colourize, contact_sheet, error_map, overlay, save_picture
from mxnetseg.run_files import make_folder

KINDS = ("id", "color", "overlay", "error")
_THREADS = 2


class PictureWriter:
    """Writes predictions as they come, in threads, so that encoding overlaps with the network.

    Parameters
    ----------
    folder : str
    dataset : Dataset
        For classes, palette, ignore value and the server's ids.
    kinds : sequence of str
        Of `KINDS`; `error` is left out for samples without a label.
    submission : bool
        Also what the benchmark's server takes. Raises ConfigError for a data set that has none.
    examples : int
        How many samples go on the sheet: spread over `count` of them, since neighbours in a split are often
        frames of one video; the first ones where `count` is None.
    """

    def __init__(
        self,
        folder: str,
        dataset,
        kinds: Sequence[str] = (),
        submission: bool = False,
        examples: int = 4,
        count: Optional[int] = None,
    ):
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(f"pictures of kind {kind!r}: not one of {', '.join(KINDS)}")
        self.folder = folder
        self.dataset = dataset
        self.kinds = tuple(kinds)
        self._shown = {k * (count or examples) // examples for k in range(examples)}
        self._palette = dataset.scored_palette
        self._submission = SubmissionWriter(folder, dataset) if submission else None
        self._rows: List[tuple] = []
        self._pending: List[Future] = []
        self._pool = ThreadPoolExecutor(_THREADS)
        for kind in self.kinds:
            make_folder(os.path.join(folder, kind))
        make_folder(folder)

    def add(self, index: int, sample, prediction: np.ndarray) -> None:
        """Queue the files of the sample with this index in the split; the signature is that of `on_image`."""
        if index in self._shown:
            row = example_row(
                sample.image, sample.label, prediction, self._palette, self.dataset.ignore_index
            )
            self._rows.append((sample.name, row))
        # A few at a time: pictures waiting to be encoded would otherwise pile up in memory.
        while len(self._pending) > 2 * _THREADS:
            self._pending.pop(0).result()
        self._pending.append(self._pool.submit(self._write, sample, prediction))

    def finish(self, heading: str = "", note: str = "") -> List[str]:
        """Wait for all files, write the sheet and the zip; what was written, in words, one line each."""
        for future in self._pending:
            future.result()
        self._pool.shutdown()
        written = [f"{os.path.join(self.folder, kind)}{os.sep}" for kind in self.kinds]
        if self._rows:
            rows, columns = self._rows, len(self._rows[0][1])
            titles = (
                ["image", "label", "prediction", "errors"]
                if columns == 4
                else ["image", "classes", "overlay"]
            )
            classes = self.dataset.scored_classes
            sheet = contact_sheet(rows, titles, classes, self._palette, heading=heading, note=note)
            save_picture(os.path.join(self.folder, EXAMPLES), sheet)
            written.append(os.path.join(self.folder, EXAMPLES))
        if self._submission is not None:
            written.append(self._submission.finish())
        return written

    def close(self) -> None:
        """Stop the threads; for when an error ended the run."""
        for future in self._pending:
            future.cancel()
        self._pool.shutdown()

    def _write(self, sample, prediction) -> None:
        name = sample.name
        for kind in self.kinds:
            if kind == "id":
                ids = prediction.astype(np.uint16) if prediction.dtype.itemsize > 1 else prediction
                save_picture(self._path(kind, name, "png"), ids)
            elif kind == "color":
                save_picture(self._path(kind, name, "png"), colourize(prediction, self._palette))
            elif kind == "overlay":
                tinted = overlay(sample.image, prediction, self._palette)
                save_picture(self._path(kind, name, "jpg"), tinted)
            elif sample.label is not None:
                errors = error_map(prediction, sample.label, self.dataset.ignore_index, sample.image)
                save_picture(self._path(kind, name, "jpg"), errors)
        if self._submission is not None:
            self._submission.add(name, prediction)

    def _path(self, kind: str, name: str, ending: str) -> str:
        return os.path.join(self.folder, kind, f"{name}.{ending}")

"""Films in and out, frame by frame, by OpenCV's own codecs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mxnetseg.errors import DatasetError, MxnetsegError
from mxnetseg.run_files import make_folder

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
_USUAL_RATE = 25.0
# FFmpeg's own lines about a damaged film would stand before ours.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def is_film(path) -> bool:
    """Whether the name is one of a film."""
    return Path(path).suffix.lower() in SUFFIXES


class Frame(NamedTuple):
    """One picture of a film: uint8 RGB (H, W, 3)."""

    image: np.ndarray


class Film:
    """A film file to read from. `rate`: frames per second; `count`: frames as its header states them, 0 where
    it does not. DatasetError where it cannot be read."""

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_file():
            raise DatasetError(f"{path}: no such film")
        capture = self._open()
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE
        self.count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()

    def _open(self):
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise DatasetError(
                f"{self.path}: cannot be read as a film: it is damaged, or of a codec that OpenCV lacks"
            )
        return capture

    def __iter__(self):
        """Its frames. A film that ends early gives what there is; one without any is a DatasetError."""
        capture = self._open()
        try:
            found, bgr = capture.read()
            if not found:
                raise DatasetError(f"{self.path}: no frame of this film can be read")
            while found:
                yield Frame(np.ascontiguousarray(bgr[..., ::-1]))
                found, bgr = capture.read()
        finally:
            capture.release()


class FilmWriter:
    """An MP4 file that appears under `path` once all of it is written. Use as a context manager.

    MxnetsegError where it cannot be written; nothing is left then.
    """

    def __init__(self, path, rate):
        self.path, self._rate = Path(path), rate
        self._temporary = self.path.with_name(self.path.stem + ".part.mp4")
        self._writer, self._frames = None, 0

    def __enter__(self):
        make_folder(self.path.parent)
        return self

    def add(self, picture):
        """Append uint8 RGB (H, W, 3); all of one size."""
        if self._writer is None:
            size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._temporary), code, self._rate, size)
            if not self._writer.isOpened():
                raise self._failure()
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self._frames += 1

    def __exit__(self, kind, error, trace):
        try:
            if self._writer is not None:
                self._writer.release()
            if kind is None and self._frames:
                # OpenCV's writer reports no error of the disk: what can be read again was written.
                if not self._is_whole():
                    raise self._failure()
                os.replace(self._temporary, self.path)
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink()

    def _is_whole(self):
        capture = cv2.VideoCapture(str(self._temporary))
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        return frames >= self._frames

    def _failure(self):
        return MxnetsegError(f"{self.path}: cannot be written: make room or give another output folder")

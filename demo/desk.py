"""Encoded pictures in, answers out, one at a time: what stands between the web page and the network."""

from __future__ import annotations

import base64
import contextlib
import math
import queue
import threading
import time
from concurrent.futures import Future

import cv2
import numpy as np

from mxnetseg.data.headers import dimensions

MOST_PIXELS = 64_000_000  # decoded, 200 MB
WAITING, WAITING_BYTES = 64, 256 * 2**20  # uploads held at a time; for more the answer is `BusyError`


class PictureError(ValueError):
    """What was uploaded is not a picture this can work with; the text is for the page."""


class BusyError(Exception):
    """More uploads than can wait; `seconds` until there may be room."""

    def __init__(self, seconds):
        super().__init__("Too many pictures are waiting: try again in a moment.")
        self.seconds = seconds


def decode(data, long_side):
    """uint8 RGB (H, W, 3) of an encoded picture, upright, its longer side at most `long_side` pixels."""
    image, size = None, dimensions(data)
    if size is not None:
        if size[0] * size[1] > MOST_PIXELS:
            raise PictureError(
                f"This picture has {size[0]} x {size[1]} pixels: {MOST_PIXELS // 10**6} million are the most."
            )
        with contextlib.suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise PictureError("This file is not a picture that can be read: take a PNG, JPEG or WebP.")
    factor = long_side / max(image.shape[:2])
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., ::-1])


def answer(segment, data, long_side):
    """What the page draws of an encoded picture: size, label map as a grey PNG whose values are class
    indices, shares, and the seconds that each stage took."""
    begun = time.perf_counter()
    image = decode(data, long_side)
    decoded = time.perf_counter() - begun
    labels, seconds = segment(image)
    begun = time.perf_counter()
    _, png = cv2.imencode(".png", labels.astype(np.uint8))
    shares = [[index, round(share, 5)] for index, share in segment.shares(labels)]
    encoded = time.perf_counter() - begun
    return {
        "height": labels.shape[0],
        "width": labels.shape[1],
        "seconds": {"decode": round(decoded, 4), "network": round(seconds, 4), "encode": round(encoded, 4)},
        "labels": base64.b64encode(png.tobytes()).decode(),
        "shares": shares,
    }


class Desk:
    """One thread that decodes and computes, a picture at a time, and the uploads that wait for it.

    More threads would only share the same cores, and MXNet keeps memory for every thread that ever ran a
    network, which does not come back when the thread ends.
    """

    def __init__(self, segments, long_side):
        self._segments, self._long_side = segments, long_side
        self._change = threading.Condition()
        self.held = self._held_bytes = 0  # uploads at this moment
        self.taken = 0  # uploads ever
        self._seconds = 1.0  # that a picture takes, a running mean
        self._pictures = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def place(self, size):
        """Room for an upload of `size` bytes until it is answered; BusyError where there is none."""
        with self._change:
            if self.held >= WAITING or self._held_bytes + size > WAITING_BYTES:
                raise BusyError(max(1, math.ceil(self.held * self._seconds)))
            self.held += 1
            self.taken += 1
            self._held_bytes += size
        try:
            yield
        finally:
            with self._change:
                self.held -= 1
                self._held_bytes -= size
                self._change.notify_all()

    def hand_in(self, data, network=0):
        """A Future of the `answer` to an encoded picture by one of the networks; cancelled ones that have not
        begun are left out."""
        future = Future()
        with self._change:
            if self._closed:
                raise BusyError(1)
            self._pictures.put((future, data, network))
        return future

    def close(self, seconds):
        """Turn away what waits, finish the picture being computed; False where that took too long."""
        with self._change:
            self._closed = True
            self._pictures.put(None)
            answered = self._change.wait_for(lambda: not self.held, seconds)
        self._thread.join(seconds if answered else 0)
        return not self._thread.is_alive()

    def _work(self):
        while True:
            job = self._pictures.get()
            if job is None:
                return
            future, data, network = job
            if not future.set_running_or_notify_cancel():
                continue
            if self._closed:
                future.set_exception(BusyError(1))
                continue
            begun = time.monotonic()
            try:
                future.set_result(answer(self._segments[network], data, self._long_side))
            except Exception as error:  # of any kind: it belongs to the caller who waits
                future.set_exception(error)
            self._seconds += 0.2 * (time.monotonic() - begun - self._seconds)
            del job, future, data

"""A web page to segment pictures: `python demo/web.py`, then open the address that it prints.

Serves this machine only (127.0.0.1); the page is one file and loads nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from segmenter import HERE, SMALL_MODEL, Segmenter, sample_pictures

from mxnetseg.cli.common import add_context_argument, run
from mxnetseg.errors import ConfigError

LARGEST_UPLOAD = 40 * 2**20  # bytes


class PictureError(ValueError):
    """What was uploaded is not a picture this can work with; the text is for the page."""


def decode(data, long_side):
    """uint8 RGB (H, W, 3) of an encoded picture, upright, its longer side at most `long_side` pixels."""
    image = None
    if data:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # more pixels than OpenCV accepts
            image = None
    if image is None:
        raise PictureError("This file is not a picture that can be read: take a PNG, JPEG or WebP.")
    factor = long_side / max(image.shape[:2])
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[..., ::-1])


def answer(segment, image):
    """What the page draws: size, label map as a grey PNG whose values are class indices, shares."""
    labels, seconds = segment(image)
    _, png = cv2.imencode(".png", labels.astype(np.uint8))
    return {
        "height": labels.shape[0],
        "width": labels.shape[1],
        "seconds": round(seconds, 3),
        "labels": base64.b64encode(png.tobytes()).decode(),
        "shares": [[index, round(share, 5)] for index, share in segment.shares(labels)],
    }


class Handler(BaseHTTPRequestHandler):
    """GET / the page, GET /model facts, GET /samples/NAME a picture, POST /segment a picture's classes."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds without a byte

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        samples = {sample.name: sample for sample in sample_pictures()}
        if not self._is_local():
            self._send(403, b"this server answers to 127.0.0.1 and localhost only", "text/plain")
        elif path == "/":
            self._send(200, (HERE / "web.html").read_bytes(), "text/html; charset=utf-8")
        elif path == "/model":
            segment = self.server.segment
            self._send_json(
                200,
                {
                    "model": segment.model,
                    "backbone": segment.backbone,
                    "data": segment.data,
                    "classes": segment.classes,
                    "palette": segment.palette.tolist(),
                    "samples": sorted(samples),
                },
            )
        elif path.startswith("/samples/") and path[9:] in samples:
            sample = samples[path[9:]]
            kind = "image/png" if sample.suffix == ".png" else "image/jpeg"
            self._send(200, sample.read_bytes(), kind)
        else:
            self._send(404, b"not found", "text/plain")

    def do_POST(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not self._is_local() or self.path != "/segment" or not 0 <= length <= LARGEST_UPLOAD:
            self.close_connection = True  # what was sent is left unread
            status = 413 if length > LARGEST_UPLOAD else 400
            self._send_json(status, {"error": f"Pictures of up to {LARGEST_UPLOAD >> 20} MB, please."})
            return
        try:
            image = decode(self.rfile.read(length), self.server.long_side)
            # One picture at a time: more would only share the same cores.
            with self.server.lock:
                result = answer(self.server.segment, image)
        except PictureError as error:
            self._send_json(422, {"error": str(error)})
        except Exception as error:
            self._send_json(500, {"error": f"The network failed: {error}"})
            raise
        else:
            self._send_json(200, result)

    def _is_local(self):
        # A page elsewhere can point its own host name at 127.0.0.1; the Host header gives it away.
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        return host in ("127.0.0.1", "localhost")

    def _send_json(self, status, data):
        self._send(status, json.dumps(data).encode(), "application/json")

    def _send(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Nothing: the terminal stays with the address."""


def make_server(segment, port, long_side=1024):
    """The server, listening on 127.0.0.1 but not yet serving; port 0 takes a free one."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ConfigError(
            f"port {port} cannot be used ({error.strerror}): choose another with --port"
        ) from error
    server.daemon_threads = True
    server.segment, server.long_side, server.lock = segment, long_side, threading.Lock()
    return server


def parser():
    p = argparse.ArgumentParser(prog="python demo/web.py", description=__doc__)
    p.add_argument(
        "--checkpoint",
        type=Path,
        default=SMALL_MODEL,
        help="a .params file with recipe.yaml beside it, or a run folder",
    )
    p.add_argument("--port", type=int, default=8000, help="default %(default)s; 0 takes a free one")
    p.add_argument(
        "--long-side",
        type=int,
        default=1024,
        metavar="PIXELS",
        help="larger pictures are shrunk to this (default %(default)s)",
    )
    p.add_argument("--ms", action="store_true", help="average over several scales and mirroring")
    add_context_argument(p)
    return p


def main(argv=None):
    """Serve until Ctrl-C."""
    options = parser().parse_args(argv)
    server = make_server(
        Segmenter(options.checkpoint, options.ctx, options.ms), options.port, options.long_side
    )
    print(f"Open http://127.0.0.1:{server.server_port} (Ctrl-C ends)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


if __name__ == "__main__":
    run(main)

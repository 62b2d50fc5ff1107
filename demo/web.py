"""A web page to segment pictures: `python demo/web.py`, then open the address that it prints.

Serves this machine only (127.0.0.1); the page is one file and loads nothing from elsewhere. Programs post a
picture to /segment and get JSON; /openapi.json says what it holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import urllib.parse
from concurrent.futures import TimeoutError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from desk import BusyError, Desk, PictureError
from segmenter import HERE, SMALL_MODEL, STREETS, Segmenter, sample_pictures

from mxnetseg.cli.common import Parser, add_context_argument, run
from mxnetseg.errors import ConfigError

LARGEST_UPLOAD = 40 * 2**20  # bytes
CONNECTIONS = 256  # open at a time, a thread each
UPLOAD_SECONDS = 60  # for one picture to arrive
ENGINES = ("auto", "mxnet", "torch", "onnxruntime", "openvino")
LOCAL = ("127.0.0.1", "localhost")
CLOSING_SECONDS = 10  # for the picture being computed when the server is stopped


class Handler(BaseHTTPRequestHandler):
    """GET / the page, GET /networks facts, GET /samples/NAME a picture, POST /segment a picture's classes;
    GET /openapi.json describes them (`openapi.json` beside this file).

    403 is for a request from a page or under a name of elsewhere.
    """

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds without a byte

    def do_GET(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        samples = {sample.name: sample for sample in sample_pictures()}
        if not self._is_local():
            self._send(403, b"this server answers to 127.0.0.1 and localhost only", "text/plain")
        elif path == "/":
            self._send(200, (HERE / "web.html").read_bytes(), "text/html; charset=utf-8")
        elif path == "/networks":
            self._send_json(200, {"networks": self.server.facts, "samples": sorted(samples)})
        elif path == "/openapi.json":
            self._send(200, (HERE / "openapi.json").read_bytes(), "application/json")
        elif path.startswith("/samples/") and path[9:] in samples:
            sample = samples[path[9:]]
            kind = "image/png" if sample.suffix == ".png" else "image/jpeg"
            self._send(200, sample.read_bytes(), kind)
        else:
            self._send(404, b"not found", "text/plain")

    def do_POST(self):
        text = self.headers.get("Content-Length", "")
        length = int(text) if text.isdigit() and len(text) < 20 else -1
        path, _, query = self.path.partition("?")
        network = self._network(query)
        refused = None
        if not self._is_local() or not self._is_own_page():
            refused = 403, "This server answers to its own page and to programs on this machine."
        elif path != "/segment" or length < 0:
            refused = 400, "Post the bytes of a picture to /segment."
        elif network is None:
            refused = 400, f"?network= takes a number from 0 to {len(self.server.facts) - 1}: see /networks."
        elif length > LARGEST_UPLOAD:
            refused = 413, f"Pictures of up to {LARGEST_UPLOAD >> 20} MB, please."
        if refused:
            self.close_connection = True  # what was sent is left unread
            self._send_json(refused[0], {"error": refused[1]})
            return
        self._left, self._begun = length, time.monotonic()
        try:
            with self.server.desk.place(length):
                result = self._wait_for(self.server.desk.hand_in(self._body(), network))
                self._send_json(200, result)  # in its place: a server that ends waits for it
        except BusyError as error:
            self._discard_body()
            self._send_json(503, {"error": str(error)}, {"Retry-After": str(error.seconds)})
        except PictureError as error:
            self._send_json(422, {"error": str(error)})
        except OSError:
            raise  # the connection's
        except Exception as error:
            self._send_json(500, {"error": f"The network failed: {error}"})
            raise

    def _network(self, query):
        """The place of the network that a query asks for, 0 where it asks for none; None for no such."""
        asked = urllib.parse.parse_qs(query, keep_blank_values=True)
        text = asked.pop("network", ["0"])[-1]
        if asked or not (text.isascii() and text.isdigit()) or len(text) > 4:
            return None
        return int(text) if int(text) < len(self.server.facts) else None

    def _body(self):
        """The bytes of the upload; ConnectionError where they do not come."""
        pieces = []
        while self._left:
            pieces.append(self._piece())
        return b"".join(pieces)

    def _piece(self):
        if time.monotonic() > self._begun + UPLOAD_SECONDS:
            raise ConnectionError("the upload takes too long")
        piece = self.rfile.read1(min(self._left, 1 << 20))
        if not piece:
            raise ConnectionError("the upload ended early")
        self._left -= len(piece)
        return piece

    def _discard_body(self):
        """Read what has not been read: a client that is still sending would not see the answer."""
        while self._left:
            self._piece()

    def _wait_for(self, future):
        """The result of a future, which is given up when the client leaves."""
        while True:
            try:
                return future.result(timeout=0.5)
            except TimeoutError:
                if self._has_left():
                    future.cancel()
                    raise ConnectionError("the client has left") from None

    def _has_left(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _is_local(self):
        # A page elsewhere can point its own host name at 127.0.0.1; the Host header gives it away.
        return self.headers.get("Host", "").rsplit(":", 1)[0] in LOCAL

    def _is_own_page(self):
        # A page elsewhere can also post to this address; its browser says where the page is from. Programs
        # that are no browsers say nothing.
        origin = self.headers.get("Origin")
        return origin is None or origin in {f"http://{name}:{self.server.server_port}" for name in LOCAL}

    def _send_json(self, status, data, headers=()):
        self._send(status, json.dumps(data).encode(), "application/json", headers)

    def _send(self, status, body, kind, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Nothing: the terminal stays with the address."""


class Server(ThreadingHTTPServer):
    """A thread for each connection, which waits for bytes and for the desk; so many connections at most."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address, segments, long_side):
        super().__init__(address, Handler)
        self.facts = [facts_of(segment) for segment in segments]
        self.desk = Desk(segments, long_side)
        self._room = threading.Semaphore(CONNECTIONS)

    def process_request(self, request, client_address):
        """Take a connection, or send it away."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.sendall(
                b"HTTP/1.1 503 Service Unavailable\r\n"
                b"Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request, client_address):
        """A traceback for what is a bug; nothing for a client that left."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, socket.timeout)):
            super().handle_error(request, client_address)


def facts_of(segment):
    """What /networks says of a network."""
    return {
        "model": segment.model,
        "backbone": segment.backbone,
        "data": segment.data,
        "engine": segment.engine,
        "classes": list(segment.classes),
        "palette": segment.palette.tolist(),
    }


def make_server(segments, port, long_side=1024, address="127.0.0.1"):
    """The server, listening but not yet serving; port 0 takes a free one. `segments`: networks to choose
    from, the first is the page's default."""
    if long_side < 1:
        raise ConfigError(f"--long-side {long_side}: expected a number of pixels")
    try:
        return Server((address, port), segments, long_side)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "ports are numbers to 65535"
        raise ConfigError(
            f"{address}, port {port} cannot be used ({reason}): choose another with --port or --address"
        ) from error


def parser():
    p = Parser("python demo/web.py", description=__doc__)
    p.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=[STREETS, SMALL_MODEL],
        help=".params files with recipe.yaml beside them, run folders or ONNX files; the page lets choose "
        "(default: a network for street photographs and one for drawn scenes)",
    )
    p.add_argument(
        "--engine",
        nargs="+",
        choices=ENGINES,
        default=["auto"],
        help="what computes; each checkpoint is offered with each (default auto: MXNet where it can)",
    )
    p.add_argument(
        "--address",
        default="127.0.0.1",
        help="to listen on (default %(default)s); requests must name localhost whatever it is, as those do "
        "that a container's port is mapped to",
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
    """Serve until Ctrl-C or SIGTERM; what is being computed then is still answered."""
    options = parser().parse_args(argv)
    segments = [
        Segmenter(checkpoint, options.ctx, options.ms, engine)
        for checkpoint in options.checkpoint
        for engine in dict.fromkeys(options.engine)
    ]
    server = make_server(segments, options.port, options.long_side, options.address)
    # Not an exception in the serving thread: raised just after a connection was handed to its thread, it
    # would close that connection under it. Nor an Event, whose lock a second signal could meet taken.
    endings: queue.SimpleQueue = queue.SimpleQueue()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda signum, _: endings.put(signum))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(f"Open http://127.0.0.1:{server.server_port} (Ctrl-C ends)", flush=True)
    endings.get()
    print(flush=True)
    server.shutdown()
    server.server_close()
    if not server.desk.close(CLOSING_SECONDS):
        os._exit(0)  # Python would wait for the network


if __name__ == "__main__":
    run(main)

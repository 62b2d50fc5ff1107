"""The web page: what it answers, to whom, and that no number of clients takes the machine."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from tests.data.test_png import block


@pytest.fixture(scope="module")
def web(segmenter, run_folder):
    """(module demo/web.py, port of a running server)."""
    import web as module

    server = module.make_server([segmenter.Segmenter(run_folder, ["cpu"])], port=0, long_side=64)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield module, server.server_port
    server.shutdown()
    server.server_close()


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def answers_to(port, count, picture, at_once=None):
    """The statuses of `count` uploads, each over a connection of its own."""
    with ThreadPoolExecutor(at_once or count) as pool:
        jobs = [pool.submit(ask, port, "POST", "/segment", picture.read_bytes()) for _ in range(count)]
        return [job.result()[0] for job in jobs]


def test_the_page_is_served_and_loads_nothing_from_elsewhere(web):
    status, page = ask(web[1], "GET", "/")
    assert status == 200
    assert b"http://" not in page and b"https://" not in page


def test_the_page_gets_classes_colours_and_samples(web):
    facts = json.loads(ask(web[1], "GET", "/networks")[1])
    (network,) = facts["networks"]
    assert len(network["classes"]) == len(network["palette"]) == 19 and network["engine"] == "mxnet"
    for name in facts["samples"]:
        assert ask(web[1], "GET", f"/samples/{name}")[0] == 200


def test_a_posted_picture_comes_back_as_a_label_map_no_larger_than_asked_for(web, picture):
    status, body = ask(web[1], "POST", "/segment", picture.read_bytes())
    result = json.loads(body)
    labels = cv2.imdecode(np.frombuffer(base64.b64decode(result["labels"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert status == 200
    assert labels.shape == (46, 64) == (result["height"], result["width"])
    assert labels.max() < 19
    assert sum(share for _, share in result["shares"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("body", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_is_refused_in_words(web, body):
    status, answer = ask(web[1], "POST", "/segment", body)
    assert status == 422 and "not a picture" in json.loads(answer)["error"]


def test_too_large_an_upload_is_refused_before_it_is_read(web):
    status, answer = ask(web[1], "POST", "/segment", b"", **{"Content-Length": str(10**9)})
    assert status == 413 and "MB" in json.loads(answer)["error"]


def test_another_host_name_is_refused(web):
    assert ask(web[1], "GET", "/", Host="elsewhere.example")[0] == 403


def test_paths_outside_the_demo_are_not_served(web):
    assert ask(web[1], "GET", "/samples/../web.py")[0] == 404
    assert ask(web[1], "GET", "/samples/%2e%2e/web.py")[0] == 404


def test_a_port_in_use_is_named(web):
    from mxnetseg.errors import ConfigError

    with pytest.raises(ConfigError, match="--port"):
        web[0].make_server([], web[1])


def test_fifty_uploads_at_once_are_all_answered(web, picture):
    assert answers_to(web[1], 50, picture) == [200] * 50


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_elsewhere_cannot_post(web, picture, origin):
    status, answer = ask(web[1], "POST", "/segment", picture.read_bytes(), Origin=origin)
    assert status == 403 and "its own page" in json.loads(answer)["error"]


def test_the_page_itself_can_post(web, picture):
    for name in ("127.0.0.1", "localhost"):
        origin = f"http://{name}:{web[1]}"
        assert ask(web[1], "POST", "/segment", picture.read_bytes(), Origin=origin)[0] == 200


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(web, monkeypatch):
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    bomb = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", pixels) + block(b"IEND", b"")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    status, answer = ask(web[1], "POST", "/segment", bomb)
    assert status == 422 and "30000 x 30000 pixels" in json.loads(answer)["error"]


class Gate:
    """In the place of a network: begins when the test lets it, and counts."""

    classes, palette = ["one"], np.zeros((1, 3), np.uint8)
    model, backbone, data, engine = "gate", "none", "none", "none"

    def __init__(self):
        self.begun, self.open, self.count = threading.Semaphore(0), threading.Event(), 0

    def __call__(self, image):
        self.begun.release()
        assert self.open.wait(60)
        self.count += 1
        return np.zeros(image.shape[:2], np.uint8), 0.0

    def shares(self, labels):
        return [(0, 1.0)]


@pytest.fixture
def gate(segmenter, web):
    """(gate, server whose network it is)."""
    gate = Gate()
    server = web[0].make_server([gate], port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield gate, server
    gate.open.set()
    server.shutdown()
    server.server_close()
    assert server.desk.close(60)


def test_more_uploads_than_can_wait_are_asked_to_come_back(gate, picture, monkeypatch):
    import desk

    monkeypatch.setattr(desk, "WAITING", 3)
    gate, server = gate
    port = server.server_port
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(ask, port, "POST", "/segment", picture.read_bytes()) for _ in range(3)]
        while server.desk.held < 3:
            time.sleep(0.05)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/segment", bytes(8 << 20))
        response = connection.getresponse()
        assert response.status == 503 and int(response.headers["Retry-After"]) >= 1
        assert "waiting" in json.loads(response.read())["error"]
        connection.request("GET", "/networks")  # the connection is still good
        assert connection.getresponse().status == 200
        connection.close()
        gate.open.set()
        assert [job.result()[0] for job in held] == [200] * 3


def upload_and_leave(port, picture):
    body = picture.read_bytes()
    client = socket.create_connection(("127.0.0.1", port))
    head = f"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + body)
    client.close()


def test_who_leaves_early_is_not_computed_for_and_prints_nothing(gate, picture, capfd):
    gate, server = gate
    port = server.server_port
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, port, "POST", "/segment", picture.read_bytes())
        gate.begun.acquire(timeout=60)
        for _ in range(5):
            upload_and_leave(port, picture)
        while server.desk.taken < 6 or server.desk.held > 1:
            time.sleep(0.05)
        gate.open.set()
        assert first.result()[0] == 200
        assert ask(port, "POST", "/segment", picture.read_bytes())[0] == 200
    assert gate.count == 2
    assert capfd.readouterr() == ("", "")


def test_more_connections_than_can_be_held_are_sent_away(gate, web, picture, monkeypatch):
    server = web[0].make_server([gate[0]], port=0)
    server._room = threading.Semaphore(1)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    idle = socket.create_connection(("127.0.0.1", server.server_port))
    try:
        idle.sendall(b"GET /networks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        assert ask(server.server_port, "GET", "/networks")[0] == 503
    finally:
        idle.close()
        server.shutdown()
        server.server_close()
        server.desk.close(0)


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--port", "0", "--long-side", "0")])
def test_numbers_that_cannot_be_are_one_line(web, arguments):
    from mxnetseg.errors import ConfigError

    options = web[0].parser().parse_args(arguments)
    with pytest.raises(ConfigError, match=arguments[-2]):
        web[0].make_server([], options.port, options.long_side)


@pytest.fixture
def command(repository, run_folder):
    """(process of demo/web.py, its port)."""
    arguments = ["--checkpoint", str(run_folder), "--port", "0", "--ctx", "cpu", "--long-side", "64"]
    process = subprocess.Popen(
        [sys.executable, str(repository / "demo" / "web.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    port = int(process.stdout.readline().partition("127.0.0.1:")[2].split()[0])
    yield process, port
    process.kill()
    process.wait()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_in_order_with_uploads_on_their_way(command, picture, ending):
    process, port = command
    assert answers_to(port, 2, picture) == [200, 200]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(ask, port, "POST", "/segment", picture.read_bytes()) for _ in range(8)]
        jobs[0].result()
        process.send_signal(ending)
        # Answered, turned away, or too late for a connection: never left without an end.
        assert set(map(status_of, jobs)) <= {200, 503, None}
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def status_of(job):
    try:
        return job.result()[0]
    except (ConnectionError, http.client.HTTPException):
        return None


def resident(process):
    """Bytes of memory that a process holds."""
    with open(f"/proc/{process.pid}/statm") as handle:
        return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_memory_stays_flat_over_five_hundred_uploads(command, picture):
    process, port = command
    assert answers_to(port, 100, picture, at_once=4) == [200] * 100
    before = resident(process)
    assert answers_to(port, 500, picture, at_once=4) == [200] * 500
    grown = (resident(process) - before) / 2**20
    print(f"{before / 2**20:.0f} MB after 100 uploads, {grown:+.1f} MB after 500 more")
    assert grown < 20


def test_a_request_names_the_network_it_wants(web, picture):
    assert ask(web[1], "POST", "/segment?network=0", picture.read_bytes())[0] == 200
    for query in ("network=1", "network=-1", "network=x", "network=", "other=0", "network=0&other=1"):
        status, answer = ask(web[1], "POST", f"/segment?{query}", picture.read_bytes())
        assert status == 400 and "/networks" in json.loads(answer)["error"], query


def test_answers_are_what_the_description_says(web, picture):
    """A small reading of JSON schema: required keys, kinds, items."""
    spec = json.loads(ask(web[1], "GET", "/openapi.json")[1])
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}

    def check(value, schema):
        if "$ref" in schema:
            return check(value, spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        assert isinstance(value, kinds[schema["type"]]), (value, schema)
        if schema["type"] == "object":
            assert set(schema.get("required", ())) <= set(value)
            for key, part in value.items():
                check(part, schema.get("properties", {}).get(key) or schema["additionalProperties"])
        elif schema["type"] == "array":
            for place, item in enumerate(value):
                check(item, schema["prefixItems"][place] if "prefixItems" in schema else schema["items"])

    def described(path, method, status):
        answers = spec["paths"][path][method]["responses"]
        return answers[str(status)]["content"]["application/json"]["schema"]

    check(json.loads(ask(web[1], "GET", "/networks")[1]), described("/networks", "get", 200))
    for body in (picture.read_bytes(), b"no picture"):
        status, answer = ask(web[1], "POST", "/segment", body)
        check(json.loads(answer), described("/segment", "post", status))

"""Downloads against a server of the test's own on 127.0.0.1."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import threading
import zipfile

import pytest

from mxnetseg.cli.weights import main
from mxnetseg.errors import CheckpointError
from mxnetseg.weights.fetch import entry_of, fetch, read_index

BODY = bytes(range(256)) * 5000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files`, honours Range, and may end a connection early."""

    files = {}
    cut_after = None
    ranges = []

    def do_GET(self):
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    self.wfile.write(bytes(100_000))
            return
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = 0
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        if asked:
            start = int(asked.split("=")[1].split("-")[0])
            if start >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body) if self.cut_after is None else start + self.cut_after
        self.wfile.write(body[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    handler = type("Served", (Handler,), {"files": {"/net.pth": BODY}, "ranges": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        handler.url = f"http://127.0.0.1:{httpd.server_port}"
        yield handler
        httpd.shutdown()
        thread.join()


def entry(server, **more):
    facts = {"name": "net", "url": f"{server.url}/net.pth", "sha256": hashlib.sha256(BODY).hexdigest()}
    return {**facts, **more}


def test_a_file_arrives_whole_under_its_name(server, tmp_path):
    path = fetch(entry(server), tmp_path / "new", progress=False)
    assert path == tmp_path / "new" / "net.pth"
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_and_right_is_not_fetched_again(server, tmp_path):
    fetch(entry(server), tmp_path, progress=False)
    fetch(entry(server), tmp_path, progress=False)
    assert len(server.ranges) == 1


def test_an_interrupted_download_is_continued(server, tmp_path):
    server.cut_after = 300_000
    with pytest.raises(CheckpointError, match=r"run it again|IncompleteRead|Connection broken"):
        fetch(entry(server), tmp_path, progress=False)
    assert not (tmp_path / "net.pth").exists()
    got = (tmp_path / "net.pth.part").stat().st_size
    assert got > 0
    server.cut_after = None
    assert fetch(entry(server), tmp_path, progress=False).read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={got}-"


def test_a_wrong_checksum_leaves_nothing_and_says_so(server, tmp_path):
    with pytest.raises(CheckpointError, match="sha256 is not 00ff"):
        fetch(entry(server, sha256="00ff"), tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_next_mirror_is_tried(server, tmp_path):
    urls = [f"{server.url}/gone.pth", f"{server.url}/net.pth"]
    assert fetch(entry(server, url=urls), tmp_path, progress=False).read_bytes() == BODY


def test_a_missing_file_says_what_the_server_answered_and_where_to_put_it(server, tmp_path):
    with pytest.raises(CheckpointError, match=r"answered 404.*gone\.pth by hand"):
        fetch(entry(server, url=f"{server.url}/gone.pth"), tmp_path, progress=False)


def test_of_a_zip_the_file_inside_is_kept(server, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.params", BODY)
    server.files["/net.zip"] = packed.getvalue()
    path = fetch(entry(server, url=f"{server.url}/net.zip"), tmp_path, progress=False)
    assert path.name == "net.params"
    assert path.read_bytes() == BODY


def test_the_index_is_sound():
    index = read_index()
    assert len(index) > 150
    for name, facts in index.items():
        assert ("reference" in facts) != ("backbone" in facts), name
        urls = facts["url"] if isinstance(facts["url"], list) else [facts["url"]]
        assert all(u.startswith("https://") for u in urls), name
        assert "reference" not in facts or facts["nclass"] > 0


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(CheckpointError, match="torchvision_resnet18"):
        entry_of("torchvison_resnet18")


def test_another_file_of_that_name_is_kept_without_force(server, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match=r"net\.pth is there and another file .*let it be replaced"):
        fetch(entry(server), tmp_path, progress=False)
    assert (tmp_path / "net.pth").read_bytes() == b"mine"
    assert fetch(entry(server), tmp_path, progress=False, force=True).read_bytes() == BODY


def backbone_index(server, folder):
    facts = {**entry(server), "backbone": "resnet18"}
    (folder / "index.yaml").write_text(json.dumps([facts]))
    return [
        "fetch",
        "net",
        "--index",
        str(folder / "index.yaml"),
        "--out",
        str(folder / "imagenet"),
        "--quiet",
    ]


def test_weights_of_a_backbone_that_are_there_are_kept_without_force(server, tmp_path, capsys):
    arguments = backbone_index(server, tmp_path)
    (tmp_path / "imagenet").mkdir()
    mine = tmp_path / "imagenet" / "resnet18.pth"
    mine.write_bytes(b"mine")
    with pytest.raises(SystemExit):
        main(arguments)
    assert "resnet18.pth exists" in capsys.readouterr().err
    assert mine.read_bytes() == b"mine" and not server.ranges
    main([*arguments, "--force"])
    assert mine.read_bytes() == BODY


def test_a_target_that_cannot_be_written_is_said_before_the_download(server, tmp_path, capsys):
    facts = {**entry(server), "reference": "mxseg_fcn_resnet18_os32", "nclass": 19, "data": "cityscapes"}
    (tmp_path / "index.yaml").write_text(json.dumps([facts]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(SystemExit):
        main(
            [
                "fetch",
                "net",
                "--index",
                str(tmp_path / "index.yaml"),
                "--out",
                str(tmp_path / "out"),
                "--force",
            ]
        )
    assert "thesis.txt" in capsys.readouterr().err
    assert not server.ranges


def test_a_server_that_sends_more_than_it_should_is_left(server, tmp_path):
    with pytest.raises(CheckpointError, match="more than 1000 bytes came"):
        fetch(entry(server, bytes=1000, url=f"{server.url}/endless"), tmp_path, progress=False)
    assert (tmp_path / "endless.part").stat().st_size < 10**6


@pytest.mark.parametrize("content", [b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_of_one_file_leaves_nothing_half_unpacked(content, server, tmp_path):
    server.files["/net.zip"] = content
    with pytest.raises(CheckpointError, match=r"no zip|holds 0 files"):
        fetch(entry(server, url=f"{server.url}/net.zip"), tmp_path, progress=False)
    assert not list(tmp_path.glob("*.inner"))


GOOD = {"name": "net", "backbone": "resnet18", "url": "https://elsewhere.example/net.pth"}


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("- [", "no index"),
        ("7", "expected a list"),
        ("[" * 3000, "no index"),
        ("- name: net", "reference and backbone"),
        (json.dumps([{**GOOD, "name": "../../up"}]), "entry 1: name"),
        (
            json.dumps([GOOD, {**GOOD, "url": "https://elsewhere.example/.."}]),
            "entry 2: .* no address of a file",
        ),
        (json.dumps([{**GOOD, "url": []}]), "no address of a file"),
        (json.dumps([{**GOOD, "backbone": "a/b"}]), "no backbone"),
        (json.dumps([{**GOOD, "bytes": "many"}]), "bytes is no number"),
        ("\0", "no index"),
    ],
)
def test_what_is_no_index_is_named_with_the_entry_at_fault(text, complaint, tmp_path):
    (tmp_path / "index.yaml").write_text(text)
    with pytest.raises(
        CheckpointError, match=rf"index\.yaml is no index of weights: .*{complaint}|{complaint}"
    ):
        read_index(tmp_path / "index.yaml")

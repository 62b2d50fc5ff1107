"""Downloads against a server of the test's own on 127.0.0.1."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import re
import threading
import zipfile

import pytest

from mxnetseg.cli.weights import main
from mxnetseg.errors import CheckpointError
from mxnetseg.weights.fetch import fetch
from mxnetseg.weights.index import entry_of, read_index, urls_of

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


@pytest.fixture(autouse=True)
def publishers_only(monkeypatch):
    monkeypatch.delenv("MXNETSEG_WEIGHTS", raising=False)


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


def test_a_download_that_breaks_off_is_continued_while_something_comes(server, tmp_path):
    server.cut_after = 300_000
    assert fetch(entry(server), tmp_path, progress=False).read_bytes() == BODY
    starts = [int(asked.split("=")[1][:-1]) for asked in server.ranges[1:]]
    assert len(starts) == 4 and starts == sorted(set(starts))


def test_a_later_call_continues_where_a_server_went_silent(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(BODY[:1000])
    server.cut_after = 0
    with pytest.raises(CheckpointError, match=r"ended after 1000 bytes\. Run it again to continue"):
        fetch(entry(server), tmp_path, progress=False)
    assert not (tmp_path / "net.pth").exists() and len(server.ranges) == 1
    server.cut_after = None
    assert fetch(entry(server), tmp_path, progress=False).read_bytes() == BODY
    assert server.ranges[-1] == "bytes=1000-"


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


NOWHERE = "http://127.0.0.1:9"  # nobody listens there


@pytest.mark.parametrize("place", ["/net.pth", "/weights/v1/net.pth"])
def test_a_mirror_is_asked_in_place_of_the_publisher(place, server, tmp_path, monkeypatch):
    server.files.clear()
    server.files["/copies" + place] = BODY
    monkeypatch.setenv("MXNETSEG_WEIGHTS", f"{server.url}/copies/")
    facts = entry(server, url=f"{NOWHERE}/weights/v1/net.pth")
    assert fetch(facts, tmp_path, progress=False).read_bytes() == BODY


def test_a_mirror_that_lacks_the_file_is_named_and_nobody_else_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", f"{server.url}/copies")
    with pytest.raises(CheckpointError, match=r"/copies/net\.pth: the server answered 404") as caught:
        fetch(entry(server), tmp_path, progress=False)
    assert server.url + "/net.pth" not in str(caught.value)


@pytest.mark.parametrize("place", ["net.pth", "weights/v1/net.pth"])
def test_a_file_that_was_downloaded_already_needs_no_network(place, tmp_path, monkeypatch):
    kept = tmp_path / "kept" / place
    kept.parent.mkdir(parents=True)
    kept.write_bytes(BODY)
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path / "kept"))
    facts = {"name": "net", "url": f"{NOWHERE}/weights/v1/net.pth", "bytes": len(BODY)}
    assert fetch(facts, tmp_path / "new", progress=False).read_bytes() == BODY
    assert kept.read_bytes() == BODY


def test_a_zip_that_was_downloaded_already_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.writestr("inner.params", BODY)
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    path = fetch({"name": "net", "url": f"{NOWHERE}/net.zip"}, tmp_path / "new", progress=False)
    assert path.name == "net.params" and path.read_bytes() == BODY


def test_a_damaged_file_in_the_folder_is_named_and_the_server_asked(server, tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(b"half of it")
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    assert fetch(entry(server), tmp_path / "new", progress=False).read_bytes() == BODY
    server.files.clear()
    with pytest.raises(CheckpointError, match=r"net\.pth: the sha256 is not .*answered 404"):
        fetch(entry(server), tmp_path / "other", progress=False)


def test_weights_behind_a_link_are_named_with_where_it_is(capsys):
    with pytest.raises(SystemExit):
        main(["fetch", "sfsegnets_dfnetv1", "--quiet"])
    line = r"cannot be fetched by a program: df1_imagenet\.pth is linked in .*SFSegNets.*dfnetv1\.pth"
    assert re.search(line, capsys.readouterr().err)


def listed(capsys, *arguments):
    main(["list", *arguments])
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_the_list_is_narrowed_to_a_model_a_data_set_and_a_score(capsys):
    index = read_index()
    names = listed(capsys, "--model", "pspnet", "--data", "cityscapes", "--score", "79.5")
    assert names and all(index[n]["data"] == "cityscapes" and index[n]["miou"] >= 79.5 for n in names)
    assert all("psp" in n for n in names)
    everything = listed(capsys, "--model", "pspnet")
    assert set(names) < set(everything) and len(everything) < len(listed(capsys))
    assert all("backbone" not in index[n] for n in everything)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["qqq"], "no published weights match 'qqq'; there are fcn_r50"),
        (["pspnet"], r"no published weights are named 'pspnet'; '\*pspnet\*' matches \d+, as"),
        (["segformer-b0*"], "nearest: segformer_mit-b"),
        (["--model", "pspnett"], "no published weights of model 'pspnett'; nearest: pspnet"),
        (["--data", "cityscape"], "of data set 'cityscape'; nearest: cityscapes"),
        (["--model", "erfnet", "--data", "ade20k"], "of data set 'ade20k'; there are cityscapes"),
        (["--score", "99"], r"none of these \d+ published weights scores 99 mIoU; the best is .* with 8"),
        (["--references", "sfnet_resnet19"], "no references match 'sfnet_resnet19'; nearest: sfnet_resnet18"),
    ],
)
def test_a_list_that_would_be_empty_is_one_line_with_the_nearest(arguments, line, capsys):
    with pytest.raises(SystemExit):
        main(["list", *arguments])
    printed = capsys.readouterr()
    assert re.search(line, printed.err) and printed.err.count("\n") == 1 and not printed.out


def test_the_index_is_sound():
    index = read_index()
    assert len(index) > 150
    for name, facts in index.items():
        assert ("reference" in facts) != ("backbone" in facts), name
        urls = urls_of(facts)
        assert all(u.startswith("https://") for u in urls), name
        assert urls or ("backbone" in facts and facts["from"]), name
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

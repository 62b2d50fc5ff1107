"""Archives that are hostile, damaged or the wrong ones; interrupted and simultaneous preparation."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.data.prepare import prepare
from mxnetseg.data.prepare.archives import Route, unpack
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import DatasetError, RegistryError
from tests.data import miniatures

EVERYTHING = (Route(r"(.+)", r"\1"),)


def _silent(text):
    pass


@pytest.fixture
def workspace(tmp_path):
    one = Workspace(str(tmp_path / "root"), log=_silent)
    with one.locked():
        yield one


def _files(folder):
    found = set()
    for where, _, names in os.walk(folder):
        found |= {os.path.relpath(os.path.join(where, n), folder) for n in names}
    return {f for f in found if not f.startswith(".prepare")}


OUTSIDE = [
    "../outside.png",
    "a/../../outside.png",
    "/tmp/outside.png",
    "C:/outside.png",
    "C:\\outside.png",
    "..\\outside.png",
    "a/..\\..\\outside.png",
    "\\\\server\\share\\outside.png",
    "a/b\x01.png",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_a_name_that_leaves_the_target_stops_before_anything_is_written(name, kind, workspace, tmp_path):
    path = str(tmp_path / f"archive.{kind}")
    write = miniatures.zipped if kind == "zip" else miniatures.tarred
    write(path, {"good.png": b"good", name: b"evil"})
    before = _files(tmp_path)
    with pytest.raises(DatasetError, match="outside the target"):
        unpack(workspace, path, EVERYTHING)
    assert _files(tmp_path) == before
    assert not os.path.exists("/tmp/outside.png")


def test_a_name_made_of_harmless_dots_is_kept_inside(workspace, tmp_path):
    path = miniatures.zipped(str(tmp_path / "a.zip"), {"./x/./y...png": b"1", "..z.png": b"2"})
    unpack(workspace, path, EVERYTHING)
    assert _files(workspace.root) == {"x/y...png", "..z.png"}


def test_links_devices_and_pipes_in_a_tar_are_never_made(workspace, tmp_path):
    path = str(tmp_path / "archive.tar")
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    with tarfile.open(path, "w") as out:
        for i, kind in enumerate(kinds):
            info = tarfile.TarInfo(f"special{i}")
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
        # A file that would go through the link just made.
        info = tarfile.TarInfo("special0/inside.png")
        info.size = 3
        out.addfile(info, io.BytesIO(b"abc"))
    unpack(workspace, path, EVERYTHING)
    assert _files(workspace.root) == {"special0/inside.png"}
    assert not os.path.islink(workspace.path("special0"))


def test_a_link_in_a_zip_is_never_made(workspace, tmp_path):
    path = str(tmp_path / "archive.zip")
    with zipfile.ZipFile(path, "w") as out:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc")
        out.writestr("plain.png", b"abc")
    unpack(workspace, path, EVERYTHING)
    assert _files(workspace.root) == {"plain.png"}


def test_a_link_that_lies_in_the_root_already_is_not_followed(workspace, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.makedirs(workspace.root, exist_ok=True)
    os.symlink(elsewhere, workspace.path("images"))
    path = miniatures.zipped(str(tmp_path / "a.zip"), {"images/x.png": b"abc"})
    with pytest.raises(DatasetError, match="through a link"):
        unpack(workspace, path, EVERYTHING)
    assert os.listdir(elsewhere) == []


def test_files_that_the_data_set_does_not_need_are_left_out(tmp_path):
    made = miniatures.write("ade20k", tmp_path / "archives")
    root = tmp_path / "root"
    prepare("ade20k", str(root), made.sources, log=_silent)
    assert {f.split("/")[0] for f in _files(root)} == {"images", "annotations", "release_test"}


@pytest.mark.parametrize("name", ["ade20k", "idd", "voc2012", "sunrgbd", "cityscapes"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_archive_is_named_and_the_whole_one_continues(name, keep, tmp_path):
    made = miniatures.write(name, tmp_path / "archives")
    root = str(tmp_path / "root")
    whole = open(made.sources[0], "rb").read()
    if name == "voc2012":
        keep *= len(whole.rstrip(b"\0")) / len(whole)  # a tar ends in zeros that nobody misses
    miniatures.truncated(made.sources[0], keep)
    with pytest.raises(DatasetError) as caught:
        prepare(name, root, made.sources, log=_silent)
    assert (
        made.sources[0] in str(caught.value) or "not there" in str(caught.value) or root in str(caught.value)
    )
    assert "\n" not in str(caught.value)
    with open(made.sources[0], "wb") as out:
        out.write(whole)
    prepare(name, root, made.sources, log=_silent)
    for split, expected in made.expected.items():
        assert len(create_dataset(name, root, split)) == len(expected)


def test_a_tar_cut_between_two_members_is_refused(workspace, tmp_path):
    path = miniatures.tarred(str(tmp_path / "a.tar"), {"x.png": b"abc", "y.png": b"def"})
    with open(path, "r+b") as handle:
        handle.truncate(1024)  # the header and the data of the first
    with pytest.raises(DatasetError, match="truncated"):
        unpack(workspace, path, EVERYTHING)


def test_an_archive_whose_checksum_differs_is_refused(tmp_path):
    made = miniatures.write("aeroscapes", tmp_path / "archives")
    miniatures.regzip(made.sources[0])
    with pytest.raises(DatasetError, match=r"aeroscapes\.tar\.gz: archive is truncated or damaged"):
        prepare("aeroscapes", str(tmp_path / "root"), made.sources, log=_silent)


def test_fuzzed_archives_end_in_one_line_or_in_a_whole_data_set(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("kitti", "stanford_background"):
        made = miniatures.write(name, tmp_path / name)
        whole = open(made.sources[0], "rb").read()
        for trial in range(25):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(len(data))] = rng.integers(256)
            with open(made.sources[0], "wb") as out:
                out.write(data)
            try:
                prepare(name, str(tmp_path / f"{name}{trial}"), made.sources, log=_silent)
            except DatasetError as error:
                assert "\n" not in str(error)


ANNOTATED = "sbd pascal_context idd coco stanford_background mhpv1 siftflow cocostuff10k nyuv2".split()


@pytest.mark.parametrize("name", ANNOTATED)
def test_fuzzed_annotations_end_in_one_line(name, tmp_path):
    """Damage inside the archive: whole zip or tar, spoilt .mat, JSON, text or PNG."""
    rng = np.random.default_rng(5)
    made = miniatures.write(name, tmp_path / "archives")
    ends = (".mat", ".json", ".regions.txt", "_01.png")
    spoilt = 0
    for trial in range(12):
        root = tmp_path / f"root{trial}"
        # Unpacked whole, spoilt on disk, then converted in place.
        workspace = Workspace(str(root), made.sources, log=_silent)
        from mxnetseg.data.prepare import PREPARATIONS, is_archive

        with workspace.locked():
            for source in made.sources:
                if is_archive(source):
                    unpack(workspace, source, PREPARATIONS[name].routes)
                else:
                    os.makedirs(root, exist_ok=True)
                    with open(source, "rb") as handle:
                        workspace.write_bytes(workspace.path(os.path.basename(source)), handle.read())
        targets = sorted(f for f in _files(root) if f.endswith(ends))
        victim = os.path.join(root, targets[int(rng.integers(len(targets)))])
        data = bytearray(open(victim, "rb").read())
        if trial % 3 == 0:
            data = data[: int(rng.integers(len(data)))]
        else:
            for _ in range(8):
                data[rng.integers(len(data))] = rng.integers(256)
        with open(victim, "wb") as out:
            out.write(data)
        try:
            prepare(name, str(root), log=_silent)
        except DatasetError as error:
            spoilt += 1
            assert "\n" not in str(error) and "Traceback" not in str(error)
    assert spoilt


@pytest.mark.parametrize("name", ["pascal_context", "coco"])
@pytest.mark.parametrize("outside", ["../../../outside.jpg", "../../outside.jpg", "/tmp/outside.jpg"])
def test_names_in_annotations_cannot_lead_out_of_the_root(name, outside, tmp_path):
    made = miniatures.write(name, tmp_path / "archives")
    root = tmp_path / "a" / "b" / "root"
    prepare(name, str(root), made.sources, log=_silent)
    path = {"coco": "annotations/instances_train2017.json"}.get(name, "trainval_merged.json")
    source = root / path if name == "coco" else tmp_path / "archives" / path
    data = json.loads(source.read_text())
    data["images"][0]["file_name"] = outside
    (root / path).write_text(json.dumps(data))
    with pytest.raises(DatasetError):
        prepare(name, str(root), log=_silent)
    beside = {f for f in _files(tmp_path) if not f.startswith(("a/b/root", "archives"))}
    assert not beside and not os.path.exists("/tmp/outside.png")


def test_names_in_lists_cannot_lead_out_of_the_root(tmp_path):
    made = miniatures.write("voc_aug", tmp_path / "archives")
    root = tmp_path / "deep" / "root"
    prepare("voc_aug", str(root), made.sources, log=_silent)
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"abc")
    (root / "SBD" / "train.txt").write_text("../../../secret\n")
    before = _files(tmp_path)
    with pytest.raises(DatasetError):
        prepare("voc_aug", str(root), log=_silent)
    assert _files(tmp_path) == before


@pytest.mark.parametrize(
    "images", [[{}], [5], None, [{"file_name": 3}], [{"file_name": "a", "phase": "train"}]]
)
@pytest.mark.parametrize("name", ["pascal_context", "coco"])
def test_annotations_of_another_shape_are_one_line(name, images, tmp_path):
    os.makedirs(tmp_path / "annotations")
    data = json.dumps({"images": images, "annos_segmentation": [], "annotations": []})
    for path in ("trainval_merged.json", "annotations/instances_train2017.json"):
        (tmp_path / path).write_text(data)
    with pytest.raises(DatasetError, match=r"\.json: "):
        prepare(name, str(tmp_path), log=_silent)


def test_an_encrypted_zip_says_so(tmp_path):
    made = miniatures.write("kitti", tmp_path / "archives")
    data = bytearray(open(made.sources[0], "rb").read())
    # Bit 0 of the flags, in the local headers and in the directory.
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + offset] |= 1
            start = data.find(signature, start + 4)
    with open(made.sources[0], "wb") as out:
        out.write(data)
    with pytest.raises(DatasetError, match="encrypted"):
        prepare("kitti", str(tmp_path / "root"), made.sources, log=_silent)


def test_an_archive_of_another_data_set_says_what_is_expected(tmp_path):
    made = miniatures.write("aeroscapes", tmp_path / "archives")
    with pytest.raises(DatasetError, match=r"nothing that data set 'kitti'.*data_semantics\.zip"):
        prepare("kitti", str(tmp_path / "root"), made.sources, log=_silent)


def test_what_was_asked_for_and_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"missing\.zip: is not there.*data_semantics\.zip"):
        prepare("kitti", str(tmp_path / "root"), [str(tmp_path / "missing.zip")], log=_silent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty: holds no archive"):
        prepare("kitti", str(tmp_path / "root"), [str(tmp_path / "empty")], log=_silent)
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(DatasetError, match="is no archive that can be read"):
        prepare("kitti", str(tmp_path / "root"), [str(tmp_path / "x.rar")], log=_silent)
    with pytest.raises(DatasetError, match="no archives were given"):
        prepare("kitti", str(tmp_path / "root"), log=_silent)
    with pytest.raises(RegistryError, match="nearest: kitti"):
        prepare("kiti", str(tmp_path / "root"), log=_silent)
    with pytest.raises(DatasetError, match="one folder with the folders mapillary"):
        prepare("uds", str(tmp_path / "root"), [str(tmp_path / "x.rar")], log=_silent)


@pytest.mark.parametrize(
    "name, lacking",
    [
        ("pascal_context", "trainval_merged.json"),
        ("nyuv2", "splits.mat"),
        ("siftflow", "TestSet1.txt"),
        ("coco", "instances_train2017.json"),
    ],
)
def test_a_source_that_conversion_lacks_is_named(name, lacking, tmp_path):
    made = miniatures.write(name, tmp_path / "archives")
    root = tmp_path / "root"
    if name == "siftflow":
        prepare(name, str(root), made.sources, log=_silent)
        os.unlink(root / lacking)
        sources = []
    else:
        part = {"coco": "annotations_trainval"}.get(name, lacking)
        sources = [s for s in made.sources if part not in s]
    with pytest.raises(DatasetError, match=lacking):
        prepare(name, str(root), sources, log=_silent)


def test_too_little_room_is_said_before_unpacking(tmp_path, monkeypatch):
    made = miniatures.write("kitti", tmp_path / "archives")
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(DatasetError, match="GB free"):
        prepare("kitti", str(tmp_path / "root"), made.sources, log=_silent)
    assert not _files(tmp_path / "root")


def test_a_member_longer_than_it_says_is_refused(workspace, tmp_path):
    path = miniatures.zipped(str(tmp_path / "a.zip"), {"x.png": b"abcdefgh" * 100})
    data = bytearray(open(path, "rb").read())
    place = data.find(b"PK\x01\x02") + 24
    data[place : place + 4] = (8).to_bytes(4, "little")
    with open(path, "wb") as out:
        out.write(data)
    with pytest.raises(DatasetError, match=r"a\.zip"):
        unpack(workspace, path, EVERYTHING)
    assert not _files(workspace.root)


@pytest.mark.parametrize("size", [2, 4])
def test_a_member_of_another_length_than_announced_is_not_kept(size, workspace):
    from mxnetseg.data.prepare.archives import Member, _write

    with pytest.raises(DatasetError, match=rf"should have {size} bytes"):
        _write(workspace, "a.zip", Member("x.png", "x.png", size), io.BytesIO(b"abc"))
    assert not _files(workspace.root)


def test_a_file_being_written_is_not_seen_before_it_is_whole(workspace):
    from mxnetseg.data.prepare.archives import Member, _write

    class Source(io.BytesIO):
        def read(self, count=-1):
            assert "x.png" not in _files(workspace.root)
            return super().read(2)

    seen = []
    replace = os.replace

    def watched(temporary, path):
        seen.append((os.path.getsize(temporary), os.path.exists(path)))
        replace(temporary, path)

    workspace_move = pytest.MonkeyPatch()
    workspace_move.setattr("mxnetseg.data.prepare.workspace.os.replace", watched)
    try:
        _write(workspace, "a.zip", Member("x.png", "x.png", 5), Source(b"abcde"))
    finally:
        workspace_move.undo()
    assert seen == [(5, False)] and (workspace.path("x.png")) and _files(workspace.root) == {"x.png"}


_RUN = """
import sys
from mxnetseg.data.prepare import prepare
prepare(sys.argv[1], sys.argv[2], sys.argv[3:], workers=int(sys.argv[3].isdigit() or 2))
"""


def _start(name, root, sources, **keywords):
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, name, str(root), *sources],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **keywords,
    )


def test_two_processes_preparing_the_same_root_take_turns(tmp_path):
    made = miniatures.write("voc_aug", tmp_path / "archives")
    root = tmp_path / "root"
    both = [_start("voc_aug", root, made.sources) for _ in range(2)]
    texts = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], texts
    for split, expected in made.expected.items():
        dataset = create_dataset("voc_aug", str(root), split)
        for i in range(len(dataset)):
            sample = dataset[i]
            np.testing.assert_array_equal(sample.label, expected[sample.name])
    # Whoever came second found everything done.
    assert sum("unpacked before" in text for text in texts) == 1


def test_a_preparation_killed_at_any_moment_is_continued(tmp_path):
    made = miniatures.write("voc_aug", tmp_path / "archives")
    root = tmp_path / "root"
    started = time.monotonic()
    one = _start("voc_aug", tmp_path / "whole", made.sources)
    one.communicate(timeout=300)
    whole = time.monotonic() - started
    for share in (0.6, 0.75, 0.9):
        one = _start("voc_aug", root, made.sources, start_new_session=True)
        time.sleep(whole * share)
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
        one.communicate()
        # No file of the data set is ever seen half-written.
        for name in _files(root) & _files(tmp_path / "whole"):
            assert os.path.getsize(root / name) == os.path.getsize(tmp_path / "whole" / name)
    prepare("voc_aug", str(root), made.sources, log=_silent)
    assert _files(root) == _files(tmp_path / "whole")
    assert not os.listdir(root / ".prepare") or "tmp" not in os.listdir(root / ".prepare")


def test_conversion_in_several_processes_gives_the_same_files(tmp_path):
    made = miniatures.write("sbd", tmp_path / "archives")
    for workers in (1, 3):
        prepare("sbd", str(tmp_path / f"root{workers}"), made.sources, workers, _silent)
    first, second = tmp_path / "root1", tmp_path / "root3"
    assert _files(first) == _files(second)
    for name in _files(first):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_every_file_that_cannot_be_converted_is_counted_and_the_rest_is_done(tmp_path):
    made = miniatures.write("stanford_background", tmp_path / "archives")
    root = tmp_path / "root"
    prepare("stanford_background", str(root), made.sources, log=_silent)
    for i in (0, 3):
        os.unlink(root / "labels" / f"{i:07d}.png")
        (root / "regions" / f"{i:07d}.regions.txt").write_text("0 0 x\n")
    os.unlink(root / "labels" / "0000001.png")
    with pytest.raises(DatasetError, match=r"2 of 3 failed.*0000000\.regions\.txt.*0000003"):
        prepare("stanford_background", str(root), log=_silent)
    assert (root / "labels" / "0000001.png").exists()


def test_without_h5py_the_message_says_what_to_install(tmp_path, monkeypatch):
    made = miniatures.write("nyuv2", tmp_path / "archives")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DatasetError, match="pip install h5py"):
        prepare("nyuv2", str(tmp_path / "root"), made.sources, log=_silent)


def test_rooms_without_labels40_take_the_mapping_from_894_classes(tmp_path):
    h5py = pytest.importorskip("h5py")
    made = miniatures.write("nyuv2", tmp_path / "archives")
    table = np.random.default_rng(0).integers(1, 41, 894).astype(np.uint8)
    with open(tmp_path / "archives" / "classMapping40.mat", "wb") as out:
        out.write(miniatures.mat(mapClass=table[None]))
    sources = [s.replace("labels40.mat", "classMapping40.mat") for s in made.sources]
    prepare("nyuv2", str(tmp_path / "root"), sources, log=_silent)
    with h5py.File(made.sources[0]) as opened:
        raw = opened["labels"][0].T.astype(int)
    want = np.where(raw == 0, 255, table[np.maximum(raw, 1) - 1].astype(int) - 1)
    dataset = create_dataset("nyuv2", str(tmp_path / "root"), "train")
    np.testing.assert_array_equal(dataset[0].label, want)


def test_rooms_whose_labels_are_hdf5_are_read_too(tmp_path):
    h5py = pytest.importorskip("h5py")
    made = miniatures.write("nyuv2", tmp_path / "archives")
    from scipy.io import loadmat

    path = next(s for s in made.sources if s.endswith("labels40.mat"))
    labels = loadmat(path)["labels40"]
    with h5py.File(path, "w") as out:
        out["labels40"] = labels.transpose(2, 1, 0)
    prepare("nyuv2", str(tmp_path / "root"), made.sources, log=_silent)
    for split, expected in made.expected.items():
        dataset = create_dataset("nyuv2", str(tmp_path / "root"), split)
        for i in range(len(dataset)):
            np.testing.assert_array_equal(dataset[i].label, expected[dataset[i].name])


def _many(path, count=450):
    rng = np.random.default_rng(0)
    files = {f"data/{i:04d}.bin": rng.bytes(int(rng.integers(1, 3000))) for i in range(count)}
    return miniatures.zipped(path, files), files


def test_a_zip_of_many_files_is_unpacked_by_several_processes(tmp_path):
    path, files = _many(str(tmp_path / "a.zip"))
    workspace = Workspace(str(tmp_path / "root"), workers=2, log=_silent)
    with workspace.locked():
        assert unpack(workspace, path, EVERYTHING) == len(files)
    assert _files(workspace.root) == set(files)
    for name, data in files.items():
        with open(workspace.path(name), "rb") as handle:
            assert handle.read() == data


def test_damage_that_one_of_several_processes_meets_is_one_line(tmp_path):
    path, _ = _many(str(tmp_path / "a.zip"))
    with zipfile.ZipFile(path) as opened:
        place = opened.infolist()[300].header_offset + 60
    with open(path, "r+b") as handle:
        handle.seek(place)
        handle.write(b"\xff\x00\xff\x00")
    workspace = Workspace(str(tmp_path / "root"), workers=2, log=_silent)
    with workspace.locked(), pytest.raises(DatasetError, match=r"a\.zip: archive is truncated or damaged"):
        unpack(workspace, path, EVERYTHING)


_ORPHANS = """
import os, sys, time
from mxnetseg.data.prepare.workspace import process_pool
with process_pool(2) as pool:
    jobs = [pool.submit(os.getpid) for _ in range(20)] + [pool.submit(time.sleep, 60) for _ in range(2)]
    print(*{job.result() for job in jobs[:20]}, flush=True)
    jobs[-1].result()
"""


def test_workers_end_with_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", _ORPHANS], stdout=subprocess.PIPE, text=True)
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert workers and parent.pid not in workers
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 120
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_interrupted_command_says_so_in_one_line(tmp_path):
    made = miniatures.write("voc_aug", tmp_path / "archives")
    code = (
        "import sys, mxnetseg.cli.data as m\n"
        "from mxnetseg.cli.common import run\n"
        "def slow(workspace):\n"
        "    print('converting', flush=True)\n"
        "    import time; time.sleep(600)\n"
        "import mxnetseg.data.prepare as p\n"
        "p.PREPARATIONS['voc_aug'] = p.PREPARATIONS['voc_aug']._replace(convert=slow)\n"
        "run(m.main)"
    )
    command = ["prepare", "voc_aug", "--from", *made.sources, "--to", str(tmp_path / "root")]
    one = subprocess.Popen(
        [sys.executable, "-c", code, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite started in the background ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert any("converting" in line for line in one.stdout)
    os.killpg(one.pid, signal.SIGINT)
    _, errors = one.communicate(timeout=300)
    assert one.returncode == 130 and "Traceback" not in errors
    # The lock is free again.
    prepare("voc_aug", str(tmp_path / "root"), made.sources, log=_silent)


def test_a_pipe_among_the_archives_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "archive.zip")
    with pytest.raises(DatasetError, match="holds no archive"):
        prepare("camvid", str(tmp_path / "root"), [str(tmp_path)], log=_silent)
    with pytest.raises(DatasetError, match=r"archive\.zip: is not there or no file"):
        prepare("camvid", str(tmp_path / "root"), [str(tmp_path / "archive.zip")], log=_silent)

"""The files of a run: who may write them, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mxnetseg import run_files as files
from mxnetseg.errors import CheckpointError
from tests.conftest import REPOSITORY

HOLDER = """
import sys, time
from mxnetseg import run_files
with run_files.locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(3600)
"""


def holder(folder):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_a_folder_that_another_process_trains_in_is_refused_in_one_line(tmp_path):
    child = holder(tmp_path)
    try:
        with pytest.raises(CheckpointError) as error, files.locked(tmp_path):
            pass
        assert f"another process ({child.pid}) is training in this folder" in str(error.value)
        assert "\n" not in str(error.value)
    finally:
        child.kill()
        child.wait()


def test_the_lock_ends_with_its_process_even_by_kill_9(tmp_path):
    child = holder(tmp_path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with files.locked(tmp_path):
        assert (tmp_path / files.LOCK).read_text() == str(os.getpid())
    with files.locked(tmp_path):
        pass


def test_leftovers_of_a_kill_go_and_nothing_else(tmp_path):
    ours = [
        "last.params.part",
        "best.params.part",
        "last.state.part",
        "recipe.yaml.part",
        "epoch_12.params.part",
    ]
    others = ["thesis.part", "epoch_x.params.part", "last.params", "notes.txt"]
    for name in ours + others:
        (tmp_path / name).write_text("")
    files.remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)


def test_weights_of_epochs_are_listed_by_number(tmp_path):
    for name in ("epoch_10.params", "epoch_9.params", "epoch_last.params", "epoch_9.params.part"):
        (tmp_path / name).write_text("")
    assert [p.name for p in files.epoch_files(tmp_path)] == ["epoch_9.params", "epoch_10.params"]


def test_a_run_is_taken_away_without_what_others_put_beside_it(tmp_path):
    for name in ("last.state", "last.params", "best.params", "epoch_3.params", "report.html", "thesis.txt"):
        (tmp_path / name).write_text("")
    files.remove_run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_pipe_or_device_is_refused_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(CheckpointError, match="is no regular file"), files.atomic_file(path) as out:
            out.write(b"numbers")
    assert pipe.is_fifo() and link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]

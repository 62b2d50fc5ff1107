"""The same batches from every mode, in order, resumable; and what happens when things go wrong."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.samplers.base import SequentialSampler, ShuffledSampler
from mxnetseg.data.transforms import ColorJitter, TrainTransform
from mxnetseg.errors import ConfigError, DatasetError
from tests.conftest import REPOSITORY
from tests.data import loading

TRANSFORM = TrainTransform(crop=(16, 24), photometric=(ColorJitter(0.2, 0.2, 0.2, 0.1),))
MODES = [("none", 0), ("thread", 2), ("process", 2)]


def loader(dataset, mode="process", workers=2, batch_size=4, **options):
    return TrainLoader(dataset, TRANSFORM, batch_size, workers=workers, mode=mode, **options)


def copies(batches):
    return [(b.images.copy(), b.labels.copy(), b.names) for b in batches]


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) and a[2] == b[2]
        for a, b in zip(first, second)
    )


def alive(pid):
    """Whether a process still runs; one that ended and waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_end(pids):
    """Whether every process ends in a while."""
    deadline = time.monotonic() + 120
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


@pytest.fixture(scope="module")
def expected():
    """Two epochs of the plainest mode."""
    with loader(loading.Numbers(), "none", 0, seed=5) as plain:
        return [copies(plain.epoch(e)) for e in range(2)]


@pytest.mark.parametrize(("mode", "workers"), [*MODES, ("process", 1), ("process", 3)])
def test_every_mode_gives_the_same_batches(mode, workers, expected):
    with loader(loading.Numbers(), mode, workers, seed=5) as made:
        assert len(made) == 5
        for epoch in range(2):
            assert same(copies(made.epoch(epoch)), expected[epoch])


def test_batches_have_the_shapes_and_types_promised(expected):
    images, labels, names = expected[0][0]
    assert images.shape == (4, 3, 16, 24)
    assert images.dtype == np.float32
    assert labels.shape == (4, 16, 24)
    assert labels.dtype == np.int32
    assert len(names) == 4


def test_an_epoch_visits_every_sample_once_and_epochs_differ(expected):
    orders = [[name for batch in epoch for name in batch[2]] for epoch in expected]
    assert sorted(orders[0]) == sorted(f"n{k}" for k in range(20))
    assert orders[0] != orders[1]


def test_augmentation_of_a_sample_differs_between_epochs_and_samples():
    dataset = loading.Numbers(8)
    with loader(dataset, sampler=SequentialSampler(8), seed=1) as made:
        first, second = copies(made.epoch(0)), copies(made.epoch(1))
    assert not np.array_equal(first[0][0], second[0][0])
    rows = [row for batch in first for row in batch[0]]
    assert all(not np.array_equal(rows[0], row) for row in rows[1:])


def test_another_seed_gives_another_order():
    assert ShuffledSampler(50)(0, 1) != ShuffledSampler(50)(0, 2)
    assert ShuffledSampler(50)(3, 1) == ShuffledSampler(50)(3, 1)


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_an_epoch_can_be_entered_at_any_batch(mode, workers, expected):
    with loader(loading.Numbers(), mode, workers, seed=5) as made:
        for start in (1, 4, 5):
            assert same(copies(made.epoch(1, start=start)), expected[1][start:])


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_an_abandoned_epoch_leaves_the_next_one_whole(mode, workers, expected):
    with loader(loading.Numbers(), mode, workers, seed=5) as made:
        for _ in range(3):
            iterator = made.epoch(1)
            next(iterator)
        assert same(copies(made.epoch(0)), expected[0])


def test_an_old_epoch_refuses_to_go_on_once_another_was_started():
    with loader(loading.Numbers()) as made:
        old = made.epoch(0)
        next(old)
        next(made.epoch(1))
        with pytest.raises(RuntimeError, match="another was started"):
            next(old)


def test_arrays_that_are_kept_are_never_written_again(expected):
    with loader(loading.Numbers(), seed=5) as made:
        kept = list(made.epoch(0))
        list(made.epoch(1))
    gc.collect()
    assert same([(b.images, b.labels, b.names) for b in kept], expected[0])


def test_memory_of_batches_that_are_dropped_is_used_again():
    with loader(loading.Numbers()) as made:
        addresses = set()
        for epoch in range(4):
            for batch in made.epoch(epoch):
                addresses.add(batch.images.__array_interface__["data"][0])
        assert len(addresses) <= made._makers.prefetch + 2


def test_the_last_incomplete_batch_is_dropped():
    with loader(loading.Numbers(11), "none", 0) as made:
        assert len(made) == len(list(made.epoch(0))) == 2


def test_workers_never_see_mxnet_and_compute_in_one_thread():
    import mxnet

    with loader(loading.Curious(), workers=2) as made:
        names = {name for batch in made.epoch(0) for name in batch.names}
    assert mxnet.__name__ in sys.modules
    assert all(name.startswith("mxnet=False threads=1") for name in names)
    assert len(names) == 2
    assert not any(f"pid={os.getpid()}" in name for name in names)


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_a_damaged_sample_stops_training_with_its_own_error(mode, workers):
    with loader(loading.Damaged(), mode, workers) as made:
        with pytest.raises(DatasetError, match=r"^file[34]\.png: image is truncated$"):
            list(made.epoch(0))
        # The loader survives: what comes after is another epoch's business.
        with pytest.raises(DatasetError):
            list(made.epoch(1))


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_damaged_samples_are_skipped_and_counted_when_asked(mode, workers, caplog):
    caplog.set_level(logging.WARNING)
    with loader(loading.Damaged(), mode, workers, skip_bad_samples=True) as made:
        names = [name for batch in made.epoch(0) for name in batch.names]
        list(made.epoch(1))
        assert len(names) == 20
        assert names.count("n5") == 3
        assert set(made.bad_samples) == {3, 4}
    assert sum("file3.png" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_a_defect_keeps_its_traceback(mode):
    with loader(loading.Defective(), mode) as made, pytest.raises((RuntimeError, ZeroDivisionError)) as error:
        list(made.epoch(0))
    assert "a defect in the code" in str(error.value)


def test_samples_without_labels_cannot_be_trained_on():
    with loader(loading.Unlabelled(), "none", 0) as made, pytest.raises(DatasetError, match="no label"):
        next(made.epoch(0))


def test_a_killed_worker_gives_one_clear_error():
    with loader(loading.Deadly(), workers=2) as made:
        with pytest.raises(DatasetError, match="killed by signal 9") as error:
            list(made.epoch(0))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mode", "who"), [("process", r"loader worker process \d+"), ("thread", "a loader thread")]
)
def test_a_sample_that_is_never_read_ends_the_wait_with_its_number(mode, who):
    with loader(loading.Stuck(), mode, 2, sampler=SequentialSampler(20)) as made:
        batches = made.epoch(0)
        next(batches)
        made._makers.timeout = 3.0  # from here on: workers may take long to start
        with pytest.raises(
            DatasetError, match=rf"{who} has given no answer for 3 s.*sample .*\b7\b"
        ) as error:
            list(batches)
        assert "\n" not in str(error.value)


def test_a_stopped_worker_is_named_and_ends_with_the_loader():
    with loader(loading.Slow(), workers=2) as made:
        batches = made.epoch(0)
        next(batches)
        made._makers.timeout = 3.0
        pid = made._makers.workers[1].popen.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DatasetError, match=rf"worker process {pid}, which is stopped, has given no"):
            list(batches)
    assert all_end([pid])


def test_a_process_with_a_thread_stuck_in_a_file_still_ends():
    program = (
        PARENT.replace("Slow(2000)", "Stuck()")
        .replace("workers=2)", "workers=2, mode='thread', timeout=0.5)")
        .replace("print(*[w.popen.pid for w in made._makers.workers], flush=True)", "")
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=REPOSITORY, capture_output=True, timeout=300
    )
    assert b"a loader thread has given no answer" in done.stderr


def test_ctrl_c_while_workers_start_shows_no_traceback_of_theirs():
    made = loader(loading.Slow(), workers=2)
    for worker in made._makers.workers:
        with open(f"/proc/{worker.popen.pid}/status") as handle:
            blocked = next(line for line in handle if line.startswith("SigBlk"))
        assert int(blocked.split()[1], 16) & 1 << (signal.SIGINT - 1)
    made.close()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_end_when_the_loader_closes_or_is_forgotten():
    made = loader(loading.Slow(), workers=2)
    next(made.epoch(0))
    pids = [w.popen.pid for w in made._makers.workers]
    assert all(alive(pid) for pid in pids)
    made.close()
    assert all_end(pids)
    made = loader(loading.Slow(), workers=2)
    pids = [w.popen.pid for w in made._makers.workers]
    del made
    gc.collect()
    assert all_end(pids)


PARENT = """
    import sys, os, time
    from mxnetseg.data.loading.loader import TrainLoader
    from mxnetseg.data.transforms import TrainTransform
    from tests.data import loading
    made = TrainLoader(loading.Slow(2000), TrainTransform((16, 24)), 4, workers=2)
    batches = made.epoch(0)
    next(batches)
    print(*[w.popen.pid for w in made._makers.workers], flush=True)
    for _ in batches:
        pass
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_die_with_their_parent_and_leave_no_shared_memory(how):
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    parent.send_signal(how)
    _, errors = parent.communicate(timeout=300)
    assert all_end(pids)
    after = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    assert not {name for name in after - before if "mxnetseg" in name}
    # Ctrl-C shows the traceback of the parent alone; the workers keep quiet.
    assert errors.count("Traceback") <= 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_a_job_does_not_end_the_workers(how):
    with loader(loading.Slow(), workers=2) as made:
        iterator = made.epoch(0)
        next(iterator)
        for worker in made._makers.workers:
            os.kill(worker.popen.pid, how)
        time.sleep(0.1)
        assert len(list(iterator)) == 4


def test_large_batches_do_not_fill_the_sockets():
    with loader(loading.Numbers(1024, (8, 8)), workers=1, batch_size=256, prefetch=3) as made:
        assert sum(len(batch.names) for batch in made.epoch(0)) == 1024


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mode": "fork"}, "process, thread, none"),
        ({"batch_size": 0}, "batch_size"),
        ({"workers": -1}, "workers"),
        ({"prefetch": 0}, "prefetch"),
        ({"seed": -1}, "seed"),
    ],
)
def test_senseless_settings_are_named(options, word):
    with pytest.raises(ConfigError, match=word):
        loader(loading.Numbers(), **options)


def test_fewer_samples_than_a_batch_is_an_error():
    with pytest.raises(DatasetError, match="smaller batch_size"):
        loader(loading.Numbers(3))


def test_data_sets_that_cannot_travel_are_explained():
    dataset = loading.Numbers()
    dataset.change = lambda x: x
    with pytest.raises(ConfigError, match="worker mode 'thread'"):
        loader(dataset)

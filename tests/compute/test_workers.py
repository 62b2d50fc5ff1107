"""What several workers share and how they end together; threads stand in for processes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mxnetseg.compute.choice import choose_engine
from mxnetseg.compute.inference import Inference, Scores
from mxnetseg.compute.workers import (
    ALONE,
    OtherWorkerFailed,
    Workers,
    join_workers,
    rows_of_batch,
    share_of,
    started_by_torchrun,
)
from mxnetseg.errors import ConfigError, DatasetError
from mxnetseg.predict.evaluation import make_predictor, run
from mxnetseg.train.signals import Interrupted
from tests.data import loading
from tests.data.test_loader import copies, loader
from tests.predict.stand_ins import Drawn


class Threads(Workers):
    """Workers that are threads of this process, two to a machine."""

    def __init__(self, rank, shared):
        self.rank, self.world_size, self.local_rank, self.local_world_size = rank, len(shared[1]), rank % 2, 2
        self._barrier, self._given = shared

    def sum(self, array):
        self._given[self.rank] = array
        self._barrier.wait()
        found = np.sum(self._given, axis=0).astype(array.dtype)
        self._barrier.wait()
        return found


def on_each(count, work):
    """What `work(workers)` returned or raised on each of so many workers."""
    shared = threading.Barrier(count, timeout=60), [None] * count
    found = [None] * count

    def live(rank):
        try:
            found[rank] = work(Threads(rank, shared))
        except Exception as error:
            found[rank] = error
            if isinstance(error, threading.BrokenBarrierError):
                raise

    threads = [threading.Thread(target=live, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize(("size", "parts", "count"), [(8, 1, 2), (8, 2, 2), (12, 3, 4), (4, 1, 1), (6, 2, 3)])
def test_the_rows_of_all_workers_are_the_batch_part_for_part(size, parts, count):
    each = [rows_of_batch(size, parts, rank, count) for rank in range(count)]
    share = size // parts // count
    for part in range(parts):
        together = [row for rows in each for row in rows[part * share : (part + 1) * share]]
        assert together == list(range(part * size // parts, (part + 1) * size // parts))


def test_loaders_of_all_workers_make_the_samples_of_one():
    with loader(loading.Numbers(), "none", 0, seed=5) as whole:
        expected = copies(whole.epoch(1, start=2))
    rows = [rows_of_batch(4, 2, rank, 2) for rank in range(2)]
    assert rows == [[0, 2], [1, 3]]
    for mine in rows:
        with loader(loading.Numbers(), "process", 1, seed=5, rows=mine) as part:
            found = copies(part.epoch(1, start=2))
        assert len(found) == len(expected)
        for (images, labels, names), all_of_it in zip(found, expected):
            np.testing.assert_array_equal(images, all_of_it[0][mine])
            np.testing.assert_array_equal(labels, all_of_it[1][mine])
            assert names == [all_of_it[2][row] for row in mine]


def test_what_a_machine_has_is_shared_out_rounded_up():
    assert [share_of(total, 4) for total in (0, 1, 4, 9)] == [0, 1, 1, 3]


def test_gathered_arrays_come_by_rank():
    for found in on_each(3, lambda workers: workers.gather(np.array([workers.rank, 7]))):
        np.testing.assert_array_equal(found, [[0, 7], [1, 7], [2, 7]])


@pytest.mark.parametrize("failing", [(0,), (2,), (1, 2)])
def test_an_error_of_one_ends_all_and_is_reported_once(failing):
    def work(workers):
        with workers.together():
            if workers.rank in failing:
                raise DatasetError(f"picture {workers.rank} is dämaged")

    found = on_each(3, work)
    if 0 in failing:
        assert isinstance(found[0], DatasetError)
    else:
        assert isinstance(found[0], OtherWorkerFailed)
    assert f"picture {failing[0]} is dämaged" in str(found[0])
    assert all(isinstance(error, OtherWorkerFailed) and not str(error) for error in found[1:])


def test_a_bug_keeps_its_traceback_where_it_happened():
    def work(workers):
        with workers.together():
            return [] if workers.rank == 0 else [][0]

    told, bug = on_each(2, work)
    assert str(told) == "worker 1: list index out of range" and isinstance(bug, IndexError)


def test_a_signal_of_one_is_known_to_all():
    def work(workers):
        with workers.together():
            if workers.rank == 1:
                raise Interrupted(15)

    assert [error.signum for error in on_each(3, work)] == [15, 15, 15]


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_one_worker_of_each_machine_goes_first(failing):
    done = []

    def work(workers):
        with workers.one_first():
            done.append(workers.local_rank)
            if workers.rank == failing:
                raise ConfigError("no")

    found = on_each(4, work)
    assert done[:2] == [0, 0] and len(done) == (2 if failing == 0 else 4)
    assert all(isinstance(error, type(None) if failing is None else Exception) for error in found)


def test_workers_that_were_not_started_alike_are_told_so():
    found = on_each(3, lambda workers: workers.check_equal("recipe", "a" if workers.rank < 2 else "b"))
    assert str(found[0]) == "worker 2 was started with another recipe than worker 0: start all alike"
    assert on_each(2, lambda workers: workers.check_equal("recipe", "a")) == [None, None]


def test_torchrun_is_known_by_what_it_sets_and_is_for_one_engine(monkeypatch):
    assert join_workers("mxnet") is ALONE and not started_by_torchrun({"RANK": "0", "WORLD_SIZE": "2"})
    for name, value in dict(RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1").items():
        monkeypatch.setenv(name, value)
    assert started_by_torchrun() and choose_engine("auto", ["cpu"]).engine == "torch"
    with pytest.raises(ConfigError, match="mxnet engine does not compute under torchrun: use engine torch"):
        join_workers("mxnet")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_workers("mxnet") is ALONE


def test_one_process_alone_has_nobody_to_wait_for():
    ALONE.barrier()
    ALONE.agree()
    assert ALONE.first and ALONE.gather(np.arange(2)).tolist() == [[0, 1]]
    with pytest.raises(DatasetError, match="mine"), ALONE.together():
        raise DatasetError("mine")


class Waves(Inference):
    """A network in NumPy."""

    def put(self, images, device=0):
        return images

    def forward(self, batch):
        return Waved(batch)


class Waved(Scores):
    nclass = 5

    def __init__(self, images):
        self.images = images

    def read(self):
        return np.stack([np.sin((k + 1) * self.images.sum(1)) for k in range(5)], 1).astype(np.float32)

    def wait(self):
        pass


def test_a_shared_out_validation_scores_what_one_worker_does():
    data = Drawn(5)
    seen = []

    def work(workers):
        made = make_predictor(Waves(), data)
        return run(made, data, lambda k, *_: seen.append(k), progress=False, workers=workers)

    expected = work(ALONE)
    del seen[:]
    for found in on_each(2, work):
        assert all(found[key] == expected[key] for key in ("miou", "confusion", "images", "pixels"))
    assert sorted(seen) == [0, 1, 2, 3, 4]

"""Two processes of the torch engine on this machine train as one does."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mxnetseg.compute import create_engine, training_devices
from mxnetseg.compute.workers import ALONE, rows_of_batch
from mxnetseg.errors import DeviceError
from mxnetseg.recipe.fields import ComputeGroup, OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests.compute.torch.test_training import IGNORE, NCLASS, batch
from tests.conftest import REPOSITORY
from tests.train.tiny import tiny

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute.torch import launch  # noqa: E402
from mxnetseg.compute.torch.devices import worker_devices  # noqa: E402

STEPS = 3
MINED = dict(name="cross_entropy", ohem_threshold=0.3)
# Optimizer, loss and compute group of a run.
CASES = {
    "plain": ({}, {}, {}),
    "weighted": (dict(name="adamw"), dict(class_weights=[1.0, 0.5, 2.0, 0.0]), {}),
    "mined by threshold": ({}, dict(MINED, ohem_min_kept=40), {}),
    "mined by count": ({}, dict(MINED, ohem_min_kept=900), {}),
    "mined below": ({}, dict(MINED, ohem_min_kept=0.5, ohem_rule="below", class_weights=[1, 1, 3, 1]), {}),
    "accumulated": (dict(accumulate=2), dict(MINED, ohem_min_kept=900), {}),
    "of regions": (
        dict(clip_grad_norm=0.05, ema=0.9, accumulate=2),
        dict(outputs=[[dict(name="cross_entropy"), dict(name="lovasz")], [dict(name="dice")]]),
        {},
    ),
    "recomputed": ({}, {}, dict(activation_checkpointing=True)),
}


def uneven(step):
    """A batch of 4 whose halves have very different numbers of pixels that count."""
    images, labels = batch(seed=step)
    labels[0, 3:] = IGNORE
    return images, labels


def trained(case, workers=ALONE, norm="syncbn", engine=None, steps=range(STEPS)):
    """The engine after some steps, and what each reported."""
    optimizer, loss, compute = CASES[case]
    settings = OptimizerGroup(lr=0.05, **optimizer)
    compute = ComputeGroup(**compute)
    if engine is None:
        devices = training_devices("torch", ["cpu"], norm, compute, workers)
        # Each draws its own weights: those of the first count.
        net = tiny(norm=norm, seed=1 + workers.rank)
        engine = create_engine(
            "torch", net, NCLASS, LossGroup(**loss), settings, devices, IGNORE, compute, workers
        )
        engine.broadcast()
    rows = rows_of_batch(4, settings.accumulate, workers.rank, workers.world_size)
    results = []
    for step in steps:
        images, labels = uneven(step)
        results.append(engine.read(engine.step(images[rows], labels[rows], 0.05, seed=step)))
    return engine, np.array([(r.loss, r.gradient_norm or 0.0) for r in results])


def started(program, *arguments, count=2):
    """For each of so many workers that run a program: its status, and what it printed on both streams."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=REPOSITORY,
            env={**launch._environment(rank, count, store.port), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    printed = [worker.communicate(timeout=500) for worker in workers]
    return [(worker.returncode, *texts) for worker, texts in zip(workers, printed)]


def processes(function, folder, count=2):
    """Call a function of this module with its workers and `folder` in so many processes."""
    program = (
        "import sys; from pathlib import Path; from tests.compute.torch import test_workers as t;"
        "from mxnetseg.compute.workers import join_workers; workers = join_workers('torch');"
        "getattr(t, sys.argv[1])(workers, Path(sys.argv[2])); workers.close()"
    )
    found = started(program, function.__name__, folder, count=count)
    assert [status for status, *_ in found] == [0] * count, found


def all_cases(workers, folder):
    for case in CASES:
        engine, results = trained(case, workers)
        arrays = engine.network_arrays()
        np.savez(folder / f"{case}-{workers.rank}.npz", results=results, **arrays)


def test_two_workers_of_two_rows_are_one_of_four(tmp_path):
    processes(all_cases, tmp_path)
    for case in CASES:
        engine, results = trained(case)
        first, second = (np.load(tmp_path / f"{case}-{rank}.npz") for rank in range(2))
        np.testing.assert_allclose(first["results"], results, rtol=1e-5, err_msg=case)
        for name, value in engine.network_arrays().items():
            np.testing.assert_allclose(first[name], value, atol=1e-5, err_msg=f"{case}: {name}")
            np.testing.assert_array_equal(first[name], second[name])


def resumed(workers, folder):
    whole, _ = trained("plain", workers, norm="bn")
    state = whole.state_arrays()
    _, expected = trained("plain", workers, engine=whole, steps=range(3, 5))
    fresh, _ = trained("plain", workers, norm="bn", steps=range(7, 8))
    fresh.load_state_arrays(state)
    _, found = trained("plain", workers, engine=fresh, steps=range(3, 5))
    np.testing.assert_array_equal(found, expected)
    after = whole.state_arrays()
    for name, value in fresh.state_arrays().items():
        np.testing.assert_array_equal(value, after[name])
    own = [name for name in after if name.startswith("net:1:")]
    assert any(not np.array_equal(after[name], after[name.replace(":1:", ":0:")]) for name in own)
    whole.average_statistics()
    after = whole.state_arrays()
    assert own and all(np.array_equal(after[name], after[name.replace(":1:", ":0:")]) for name in own)


def test_a_resumed_run_of_two_workers_is_bit_for_bit_the_same_with_norms_of_each_worker(tmp_path):
    processes(resumed, tmp_path)


def test_each_worker_takes_the_device_at_its_place():
    cpu = torch.device("cpu")
    assert worker_devices(["cpu"], 3) == [cpu] * 3 and worker_devices(["cpu", "cpu"], 2) == [cpu] * 2
    for names, workers, words in (
        (["cpu", "cpu"], 3, "devices cpu cpu: 3 workers take one each on this machine"),
        (["cpu", "cpu"], 1, "devices cpu cpu: 1 worker takes one each"),
        (["5"], 2, "no GPU 5"),
    ):
        with pytest.raises(DeviceError, match=words):
            worker_devices(names, workers)


def test_the_environment_says_who_a_worker_is():
    found = launch._environment(1, 2, 4000)
    assert (found["RANK"], found["WORLD_SIZE"], found["MASTER_PORT"]) == ("1", "2", "4000")
    assert found["PATH"] == os.environ["PATH"]

"""What tests run in several workers: `python -m mxnetseg.launch --workers 2 tests/train/job.py ...`.

job.py engine OUT       a few steps of the MXNet engine under each of CASES, written to the file OUT
job.py train ARGUMENTS  train.py with a network of a few hundred parameters; $DIE_AT, "rank iteration":
                        where that worker kills itself
"""

from __future__ import annotations

import os
import signal
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from mxnetseg.compute import create_engine, training_devices
from mxnetseg.compute.workers import ALONE, join_workers, rows_of_batch
from mxnetseg.recipe.fields import OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests.train.tiny import tiny

CASES = {
    "plain": dict(),
    # One worker has fewer hard pixels than are kept, both together have more.
    "hard by threshold": dict(loss=dict(ohem_threshold=0.6, ohem_min_kept=500)),
    "hard by count": dict(loss=dict(ohem_threshold=0.01, ohem_min_kept=300)),
    "hard alone": dict(loss=dict(ohem_min_kept=0.3, class_weights=[1.0, 0.2, 5.0, 0.0])),
    "weighted": dict(loss=dict(class_weights=[1.0, 0.2, 5.0, 0.0])),
    "maps": dict(loss=dict(name="lovasz")),
    "statistics": dict(loss=dict(name="dice", options=dict(per_image=False))),
    "accumulated, hard, clipped, averaged": dict(
        loss=dict(ohem_threshold=0.01, ohem_min_kept=300),
        optimizer=dict(accumulate=2, clip_grad_norm=0.05, ema=0.9, name="adamw"),
    ),
    "running statistics": dict(norm="bn", optimizer=dict(lr=1e-30)),
}
IGNORE = 255


def steps(case, workers=ALONE):
    """{name: array} after three steps on one batch of four images: losses, and the network."""
    rng = np.random.default_rng(7)
    images = rng.normal(size=(4, 3, 16, 24)).astype(np.float32)
    labels = rng.integers(0, 4, (4, 16, 24)).astype(np.int32)
    labels[0, 2:] = IGNORE  # the workers have very different numbers of valid pixels
    optimizer = OptimizerGroup(**{"lr": 0.05, "weight_decay": 0.01, **case.get("optimizer", {})})
    # Other weights on every worker, until they are given those of the first.
    network = tiny(norm=case.get("norm", "gn"), seed=1 + workers.rank)
    devices = training_devices("mxnet", ["cpu"], workers=workers)
    engine = create_engine(
        "mxnet", network, 4, LossGroup(**case.get("loss", {})), optimizer, devices, IGNORE, workers=workers
    )
    engine.broadcast()
    mine = rows_of_batch(4, optimizer.accumulate, workers.rank, workers.world_size)
    losses = []
    for step in range(3):
        result = engine.read(engine.step(images[mine], labels[mine], optimizer.lr, step))
        losses.append([result.loss, result.gradient_norm or 0.0])
    engine.average_statistics()
    return {"losses": np.array(losses), **engine.network_arrays()}


def run_engine(out):
    workers = join_workers("mxnet", "dist_sync")
    found = {}
    for name, case in CASES.items():
        arrays = steps(case, workers)
        sums = np.array([zlib.crc32(array.tobytes()) for array in arrays.values()])
        assert (workers.gather(sums) == sums).all(), f"{name}: the workers differ"
        found.update({f"{name}/{key}": array for key, array in arrays.items()})
    # A float64 does not hold the first, and a server adds no whole numbers.
    assert workers.sum(np.array([2**60 + 1 + workers.rank, -1])).tolist() == [2**61 + 3, -2]
    if workers.first:
        np.savez(out, **found)
    workers.close()


def run_training(arguments):
    from mxnetseg.cli.train import main
    from mxnetseg.train import setup
    from mxnetseg.train.trainer import Trainer

    def stand_in(recipe, devices, resuming, synchronized):
        return tiny(recipe.model.nclass, seed=recipe.seed + 1, norm=recipe.model.norm)

    setup.build_network = stand_in
    die = [int(word) for word in os.environ.get("DIE_AT", "").split()]
    train_on = Trainer._train_on

    def mortal(trainer, *batch):
        if die == [trainer.workers.rank, trainer.progress.iteration]:
            os.kill(os.getpid(), signal.SIGKILL)
        train_on(trainer, *batch)

    Trainer._train_on = mortal
    main(arguments)


if __name__ == "__main__":
    if sys.argv[1] == "engine":
        run_engine(sys.argv[2])
    else:
        run_training(sys.argv[2:])

"""One network from several trainings of it: the mean of their parameters.

Trainings that went on from common weights mostly lie in one valley, whose middle is better than its sides
(Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482), and costs no more than one of them. Networks
that were drawn apart have no such middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import numpy as np

from mxnetseg.errors import CheckpointError
from mxnetseg.run_files import BEST, make_folder, save_params, save_recipe
from mxnetseg.weights.checkpoint import load_network, network_arrays


def average(checkpoints: Sequence[Any], folder: Any, force: bool = False) -> Path:
    """Write the mean of at least two networks, `.params` files or run folders, to `folder`, with the recipe
    of the last; the file. Running statistics are averaged too.

    force : replace what is there.

    Raises CheckpointError for one network alone, for networks of different parameters, and where the folder
    holds a network already.
    """
    folder = Path(folder)
    if len(checkpoints) < 2:
        raise CheckpointError(f"{checkpoints[0]}: an average is of two networks or more; name another")
    if (folder / BEST).exists() and not force:
        raise CheckpointError(f"{folder / BEST} exists: give another output folder, or let it be replaced")
    sums, first = {}, checkpoints[0]
    for checkpoint in checkpoints:
        net, recipe = load_network(checkpoint)
        arrays = network_arrays(net)
        shapes = {name: array.shape for name, array in arrays.items()}
        sums = sums or {name: np.zeros(shape) for name, shape in shapes.items()}
        wrong = {name for name, total in sums.items() if shapes.get(name) != total.shape} | (
            shapes.keys() - sums.keys()
        )
        if wrong:
            raise CheckpointError(
                f"{checkpoint} and {first} are different networks: {sorted(wrong)[0]} and "
                f"{len(wrong) - 1} more parameters do not agree; an average is of trainings of one network"
            )
        for name, array in arrays.items():
            sums[name] += array
    make_folder(folder)
    means = {name: (total / len(checkpoints)).astype(np.float32) for name, total in sums.items()}
    save_params(folder / BEST, means)
    save_recipe(folder, recipe.model_copy(update={"output_dir": None, "init_from": None}))
    return folder / BEST

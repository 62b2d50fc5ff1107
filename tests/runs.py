"""Folders of runs that tests need and no training made."""

from __future__ import annotations

from pathlib import Path

from mxnetseg.run_files import LAST, make_folder, save_params, save_recipe
from mxnetseg.weights.checkpoint import network_arrays


def save_checkpoint(run_dir, net, name=LAST, recipe=None):
    """Write the network's weights to `<run_dir>/<name>`, and `recipe.yaml` beside them if given."""
    run_dir = Path(run_dir)
    make_folder(run_dir)
    if recipe is not None:
        save_recipe(run_dir, recipe)
    save_params(run_dir / name, network_arrays(net))
    return run_dir / name

"""Stores a run's best weights as half precision in weights/demo, small enough for the repository.

    python demo/make_small_model.py weights/runs/sfnet_mobilenetv3_small_synthetic

Loading widens them to float32 again. Prints how many pixels change their class by the rounding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from segmenter import SMALL_MODEL, Segmenter

from mxnetseg.cli.common import run
from mxnetseg.data import create_dataset
from mxnetseg.run_files import make_folder, save_params, save_recipe
from mxnetseg.weights.checkpoint import load_network, network_arrays


def main(argv=None):
    """Write weights/demo/small.params and recipe.yaml beside it."""
    parser = argparse.ArgumentParser(
        prog="python demo/make_small_model.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="run folder or .params file")
    options = parser.parse_args(argv)
    net, recipe = load_network(options.checkpoint)
    make_folder(SMALL_MODEL.parent)
    # Auxiliary heads are of no use any more.
    save_params(
        SMALL_MODEL, {name: array.astype(np.float16) for name, array in network_arrays(net.deploy()).items()}
    )
    # What belongs to the machine and the run stays behind.
    evaluation = recipe.evaluation.model_copy(update={"limit": None})
    data = recipe.data.model_copy(update={"options": {}})
    save_recipe(
        SMALL_MODEL.parent,
        recipe.model_copy(
            update={"output_dir": None, "init_from": None, "evaluation": evaluation, "data": data}
        ),
    )

    scenes = create_dataset("synthetic", split="val", size=(256, 512), length=5)
    before, after = Segmenter(options.checkpoint, ["cpu"]), Segmenter(SMALL_MODEL, ["cpu"])
    changed = np.mean([(before(scene.image)[0] != after(scene.image)[0]).mean() for scene in scenes])
    print(f"{SMALL_MODEL}: {SMALL_MODEL.stat().st_size / 1e6:.1f} MB, {changed:.3%} of the pixels differ")


if __name__ == "__main__":
    run(main)

"""The threshold of a binary network: found in one pass, kept with the run, used by the next evaluation."""

from __future__ import annotations

import cv2
import mxnet as mx
import numpy as np
import pytest

from mxnetseg.cli.eval import main
from mxnetseg.models import create_model
from mxnetseg.predict.threshold import BINS, best
from mxnetseg.recipe import load_recipe, make_recipe
from tests.runs import save_checkpoint


def counted(*probabilities):
    """Of background and of foreground, in bins."""
    bins = [(np.array(p) * BINS).round().astype(int) for p in probabilities]
    return np.stack([np.bincount(b, minlength=BINS) for b in bins])


def test_the_best_threshold_divides_both_classes_as_near_to_the_middle_as_it_can():
    assert best(counted([0.1, 0.2], [0.7, 0.8])) == (0.5, 1.0)
    assert best(counted([0.05, 0.1], [0.2, 0.3])) == (0.2, 1.0)
    # One of three foreground pixels lies among the background: 2/3 and 4/5.
    threshold, miou = best(counted([0.1, 0.2, 0.3, 0.4], [0.15, 0.8, 0.9]))
    assert threshold == 0.5 and miou == pytest.approx((2 / 3 + 4 / 5) / 2)


@pytest.fixture
def run(tmp_path):
    """A run of one logit, shifted so far that at 0.5 nothing is foreground, over two labelled pictures."""
    rng = np.random.default_rng(0)
    mx.random.seed(0)
    net = create_model("fcn", 1, backbone="resnet18", aux=False)
    net.head.classifier.classifier.bias.set_data(mx.nd.array([-4.0]))
    for name in ("a", "b"):
        image = rng.integers(0, 255, (64, 96, 3), np.uint8)
        for folder, picture in (("images", image), ("labels", (image[:, :, 0] > 127).astype(np.uint8))):
            path = tmp_path / "data" / folder / "val" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    options = {"classes": ["ground", "defect"]}
    values = {
        "model": {"name": "fcn", "backbone": "resnet18", "nclass": 1, "aux": False},
        "data": {"name": "folder", "root": str(tmp_path / "data"), "options": options},
        "schedule": {"epochs": 1},
    }
    save_checkpoint(tmp_path / "run", net, "best.params", make_recipe(values))
    return tmp_path / "run"


def test_a_tuned_threshold_is_kept_with_the_run_and_used_by_the_next_evaluation(run, capsys):
    assert main(["--checkpoint", str(run), "--ctx", "cpu", "--quiet"]) in (0, None)
    before = capsys.readouterr().out
    assert main(["--checkpoint", str(run), "--ctx", "cpu", "--quiet", "--tune-threshold"]) in (0, None)
    tuned = capsys.readouterr().out
    kept = load_recipe(run / "recipe.yaml").evaluation.threshold
    assert f"threshold {kept:g} gives" in tuned and kept < 0.5
    assert main(["--checkpoint", str(run), "--ctx", "cpu", "--quiet"]) in (0, None)
    after = capsys.readouterr().out
    score = next(line for line in after.splitlines() if "mIoU" in line)
    assert score in tuned and score not in before


def test_a_threshold_is_tuned_on_labelled_pictures_only(run, capsys):
    with pytest.raises(SystemExit) as error:
        main(["--checkpoint", str(run), "--tune-threshold", "--threshold", "0.3"])
    assert error.value.code == 2 and "leave --image" in capsys.readouterr().err

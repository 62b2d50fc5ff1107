"""The picture demo, the web page and `make demo`, with a network that has learned nothing."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys

import cv2
import pytest


def predict(repository, *arguments, largest_file=None):
    """The command in a process of its own; `largest_file`: bytes it can write to one, as on a full disk."""

    def limit():
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(
        [sys.executable, str(repository / "demo" / "predict.py"), *map(str, arguments)],
        # Python 3.11 would keep compiled modules that were cut at the limit, and fail to import them.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        capture_output=True,
        check=False,
        preexec_fn=limit,
    )


def test_the_small_model_that_comes_along_has_learned_what_scenes_look_like(segmenter):
    from mxnetseg.data import create_dataset

    segment = segmenter.Segmenter(segmenter.SMALL_MODEL, ["cpu"])
    right = total = 0
    for index in range(3):
        scene = create_dataset("synthetic", split="val", size=(128, 256))[index]
        known = scene.label != 255
        right += (segment(scene.image)[0] == scene.label)[known].sum()
        total += known.sum()
    # The most frequent class alone would give about a quarter.
    assert right / total > 0.5


def test_predict_writes_an_overlay_and_colours_of_the_picture_s_size(
    repository, run_folder, picture, tmp_path
):
    done = predict(
        repository,
        str(picture),
        "--checkpoint",
        str(run_folder),
        "--out",
        str(tmp_path / "out"),
        "--ctx",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    for kind in ("overlay", "colour"):
        written = cv2.imread(str(tmp_path / "out" / f"street_{kind}.png"))
        assert written.shape == (50, 70, 3)


def test_pictures_of_one_name_and_several_folders_are_all_kept(repository, run_folder, picture, tmp_path):
    (tmp_path / "other").mkdir()
    twin = shutil.copy(picture, tmp_path / "other" / picture.name)
    out = tmp_path / "out"
    done = predict(repository, picture, twin, "--checkpoint", run_folder, "--out", out, "--ctx", "cpu")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.glob("*_overlay.png")} == {"street_overlay.png", "street_2_overlay.png"}


def test_predict_on_a_full_disk_leaves_no_half_picture(repository, run_folder, picture, tmp_path):
    arguments = [picture, "--checkpoint", run_folder, "--out", tmp_path / "out", "--ctx", "cpu"]
    done = predict(repository, *arguments, largest_file=1000)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--checkpoint", "nowhere.params"),
        ("missing.png",),
        ("--ctx", "7"),
    ],
)
def test_predict_answers_bad_input_with_one_line_and_status_2(repository, run_folder, arguments):
    if "--checkpoint" not in arguments:
        arguments = (*arguments, "--checkpoint", str(run_folder))
    done = predict(repository, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_make_demo_s_steps_run_through_and_say_where_the_results_are(repository, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(repository / "demo" / "run.py"),
            "--run",
            str(tmp_path / "run"),
            "--limit",
            "2",
            "--set",
            "schedule.epochs=1",
            "data.batch_size=2",
            "data.workers=1",
            "augment.crop=[64, 128]",
            "data.options.length=4",
            "data.options.size=[64, 128]",
            "model.backbone=mobilenetv2_0.25",
            "model.options.width=16",
        ],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "multi-scale + flip" in done.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    assert list((tmp_path / "run" / "val" / "overlay").iterdir())

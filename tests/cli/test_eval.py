"""eval.py as people type it: every mode, every option acting, every mistake one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile

import cv2
import mxnet as mx
import numpy as np
import pytest

from mxnetseg.cli.eval import main
from mxnetseg.data.datasets.cityscapes import LABEL_IDS, PALETTE
from mxnetseg.models import create_model
from mxnetseg.recipe import make_recipe
from tests.predict.stand_ins import picture
from tests.runs import save_checkpoint

FRAMES = ("aachen_000000_000019", "aachen_000001_000019", "bremen_000000_000019")


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory):
    """Three frames of 96 x 64 in the layout of Cityscapes, val labelled and test not."""
    root = tmp_path_factory.mktemp("cityscapes")
    for split in ("val", "test"):
        for number, frame in enumerate(FRAMES):
            city = frame.split("_")[0]
            write(root / "leftImg8bit" / split / city / f"{frame}_leftImg8bit.png", picture(64, 96, number))
            if split == "val":
                ids = np.random.default_rng(number).choice([0, 7, 8, 11, 23, 26], (8, 12))
                label = np.kron(ids, np.ones((8, 8))).astype(np.uint8)
                write(root / "gtFine" / split / city / f"{frame}_gtFine_labelIds.png", label)
    return root


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, cityscapes):
    """A run of an FCN that was never trained; its recipe says everything."""
    folder = tmp_path_factory.mktemp("run")
    values = {
        "model": {"name": "fcn", "backbone": "resnet18"},
        "data": {"name": "cityscapes", "root": str(cityscapes)},
        "schedule": {"epochs": 1},
    }
    mx.random.seed(0)
    net = create_model("fcn", 19, backbone="resnet18")
    save_checkpoint(folder, net, "best.params", make_recipe(values))
    return folder


@pytest.fixture(scope="module")
def bare_file(tmp_path_factory, run_folder):
    """The same weights with nothing beside them."""
    path = tmp_path_factory.mktemp("bare") / "fcn.params"
    shutil.copy(run_folder / "best.params", path)
    return path


def scores(tmp_path, *arguments):
    """What `--json` writes for these arguments."""
    path = tmp_path / "scores.json"
    main([*map(str, arguments), "--ctx", "cpu", "--quiet", "--json", str(path)])
    return json.loads(path.read_text())


def test_a_checkpoint_alone_is_scored_by_the_recipe_beside_it(run_folder, capsys):
    assert main(["--checkpoint", str(run_folder), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "fcn resnet18" in out and "cityscapes val: 3 images" in out
    assert re.search(r"mIoU \d+\.\d\d  pixel accuracy \d+\.\d\d  mean accuracy \d+\.\d\d", out)
    assert re.search(r"^traffic light +(absent|0\.00)", out, re.M)
    assert "protocol: whole images, own size, scale 1, no flip" in out
    assert "trained on" not in out


def test_a_score_on_training_pictures_says_that_it_says_nothing_of_others(run_folder, tmp_path, capsys):
    options = ["--checkpoint", str(run_folder), "--limit", "1", "--set", "data.train_split=train+val"]
    assert main([*options, "--quiet", "--output", str(tmp_path)]) == 0
    assert "note: this network was trained on val: the score says nothing of other" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores.json").read_text())["trained_on"] == ["val"]
    assert "Trained on these pictures" in (tmp_path / "report.html").read_text()


def test_a_published_protocol_is_one_option_and_named_beside_the_score(run_folder, tmp_path):
    own = scores(tmp_path, "--checkpoint", run_folder, "--limit", 1)
    theirs = scores(tmp_path, "--checkpoint", run_folder, "--limit", 1, "--protocol", "mmseg", "--ms")
    assert "own protocol" in own["protocol"] and "mmseg protocol" in theirs["protocol"]
    assert "scales 0.5, 0.75, 1, 1.25, 1.5, 1.75, with flip" in theirs["protocol"]
    fitted = scores(tmp_path, "--checkpoint", run_folder, "--limit", 1, "--resize", 128, 32)
    assert "fitted into 128 x 32" in fitted["protocol"]


def test_the_command_of_the_readme_works_from_another_folder_on_a_bare_file(
    repository, bare_file, cityscapes, tmp_path
):
    command = [
        sys.executable,
        str(repository / "eval.py"),
        "--model",
        "fcn",
        "--backbone",
        "resnet18",
        "--checkpoint",
        str(bare_file),
        "--ctx",
        "cpu",
        "--data",
        "cityscapes",
        "--root",
        str(cityscapes),
        "--limit",
        "1",
        "--crop",
        "48",
        "--base",
        "64",
        "--mode",
        "val",
        "--ms",
        "--json",
        "s.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    protocol = json.loads((tmp_path / "s.json").read_text())["protocol"]
    assert "windows of 48 x 48" in protocol and "long side 64" in protocol
    assert "0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, with flip" in protocol


def test_every_option_of_the_protocol_changes_what_is_computed(run_folder, tmp_path):
    one = ("--checkpoint", run_folder, "--limit", "1")
    plain = scores(tmp_path, *one)
    for options in (
        ["--flip"],
        ["--scales", "0.5"],
        ["--base", "160"],
        ["--ms", "--scales", "1", "2"],
        ["--slide", "--crop", "32", "64", "--stride", "0.5"],
    ):
        other = scores(tmp_path, *one, *options)
        assert other["protocol"] != plain["protocol"], options
        assert other["confusion"] != plain["confusion"], options
    windows = scores(tmp_path, *one, "--crop", "48")
    assert windows["confusion"] != plain["confusion"]
    assert scores(tmp_path, *one, "--crop", "48", "--batch", "3")["confusion"] == windows["confusion"]
    by_set = scores(tmp_path, *one, "--set", "evaluation.flip=true", "evaluation.scales=[0.5]")
    assert "with flip" in by_set["protocol"] and "scale 0.5" in by_set["protocol"]
    assert "no flip" in scores(tmp_path, *one, "--ms", "--no-flip", "--scales", "1")["protocol"]
    assert plain["images"] == 1


def test_two_contexts_give_the_scores_of_one(run_folder, tmp_path):
    one = scores(tmp_path, "--checkpoint", run_folder)
    path = tmp_path / "two.json"
    main(["--checkpoint", str(run_folder), "--ctx", "cpu", "cpu", "--quiet", "--json", str(path)])
    assert json.loads(path.read_text())["confusion"] == one["confusion"]


def test_val_with_an_output_folder_writes_scores_report_and_the_pictures_asked_for(
    run_folder, tmp_path, capsys
):
    out = tmp_path / "out"
    main(
        ["--checkpoint", str(run_folder), "--quiet", "--output", str(out), "--save", "id,color,overlay,error"]
    )
    assert {p.name for p in out.iterdir()} == {
        "id",
        "color",
        "overlay",
        "error",
        "scores.json",
        "report.html",
        "examples.jpg",
    }
    name = f"{FRAMES[0]}_leftImg8bit"
    ids = cv2.imread(str(out / "id" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    colours = cv2.imread(str(out / "color" / f"{name}.png"))[..., ::-1]
    assert ids.shape == (64, 96) and ids.max() < 19
    assert (colours == PALETTE[ids]).all()
    assert all(len(list((out / kind).iterdir())) == 3 for kind in ("id", "color", "overlay", "error"))
    assert "mIoU" in (out / "report.html").read_text(encoding="utf-8")
    assert f"wrote {out / 'report.html'}" in capsys.readouterr().out


def test_mode_test_predicts_the_unlabelled_split_beside_the_checkpoint(run_folder):
    main(["--checkpoint", str(run_folder), "--quiet", "--mode", "test"])
    out = run_folder / "test_cityscapes"
    assert len(list((out / "color").iterdir())) == len(list((out / "overlay").iterdir())) == 3
    assert not (out / "error").exists() and "miou" not in json.loads((out / "scores.json").read_text())


def test_mode_testval_writes_pictures_and_scores_of_the_validation_split(run_folder, tmp_path):
    main(["--checkpoint", str(run_folder), "--quiet", "--mode", "testval", "--output", str(tmp_path)])
    assert len(list((tmp_path / "id").iterdir())) == 3
    assert json.loads((tmp_path / "scores.json").read_text())["split"] == "val"


def test_a_submission_holds_label_ids_under_the_servers_names_in_a_flat_zip(run_folder, tmp_path):
    main(
        [
            "--checkpoint",
            str(run_folder),
            "--quiet",
            "--mode",
            "test",
            "--submission",
            "--output",
            str(tmp_path),
        ]
    )
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        names = archive.namelist()
        assert names == sorted(f"{frame}_leftImg8bit.png" for frame in FRAMES)
        label_ids = cv2.imdecode(np.frombuffer(archive.read(names[0]), np.uint8), cv2.IMREAD_UNCHANGED)
    train_ids = cv2.imread(str(tmp_path / "id" / names[0]), cv2.IMREAD_UNCHANGED)
    assert label_ids.dtype == np.uint8
    assert (label_ids == np.array(LABEL_IDS)[train_ids]).all()


def test_loose_pictures_and_folders_of_them_are_predicted(run_folder, tmp_path):
    for number, name in enumerate(("a.jpg", "deep/a.png", "deep/b.png")):
        write(tmp_path / "photos" / name, picture(50, 70 + number))
    write(tmp_path / "c.jpg", picture(33, 44))
    main(
        [
            "--checkpoint",
            str(run_folder),
            "--quiet",
            "--image",
            str(tmp_path / "photos"),
            str(tmp_path / "c.jpg"),
            "--output",
            str(tmp_path / "out"),
        ]
    )
    assert sorted(p.name for p in (tmp_path / "out" / "id").iterdir()) == [
        "a.png",
        "a_2.png",
        "b.png",
        "c.png",
    ]
    assert cv2.imread(str(tmp_path / "out" / "color" / "c.png")).shape == (33, 44, 3)


MISTAKES = {
    "missing checkpoint": (
        "--checkpoint {run}/bes.params",
        r"bes\.params: checkpoint not found.*best\.params",
    ),
    "no checkpoint": (
        "",
        r"--checkpoint",
    ),
    "unknown option": (
        "--checkpoint {run} --scale 1 --nonsense",
        r"--nonsense",
    ),
    "truncated checkpoint": (
        "--checkpoint {cut}",
        r"cut\.params: .*cut short",
    ),
    "bare file without a model": (
        "--checkpoint {bare}",
        r"no recipe\.yaml.*give its model \(--model\) and data set \(--data\)",
    ),
    "wrong class count": (
        "--checkpoint {bare} --model fcn --backbone resnet18 --data camvid --root {camvid}",
        r"fcn\.params: is for 19 classes, the network has 11",
    ),
    "wrong data set for the recipe": (
        "--checkpoint {run} --data camvid --root {camvid}",
        r"19 classes but data set 'camvid' has 11",
    ),
    "wrong model": (
        "--checkpoint {run} --model sfnet",
        r"is a fcn model.*not sfnet",
    ),
    "weights of another model": (
        "--checkpoint {bare} --model sfnet --data cityscapes --root {root}",
        r"fcn\.params: is of another network",
    ),
    "unknown model": (
        "--checkpoint {bare} --model sfnt --data cityscapes",
        r"'sfnt'.*sfnet",
    ),
    "unknown data set": (
        "--checkpoint {run} --data cityscape",
        r"'cityscape'.*cityscapes",
    ),
    "unknown mode": (
        "--checkpoint {run} --mode vall",
        r"--mode vall.*did you mean val",
    ),
    "root missing": (
        "--checkpoint {run} --root /nowhere/at/all",
        r"/nowhere/at/all.*does not exist",
    ),
    "root of another layout": (
        "--checkpoint {run} --root {camvid}",
        r"leftImg8bit",
    ),
    "GPU asked for": (
        "--checkpoint {run} --ctx 0",
        r"device 0: .*GPU",
    ),
    "unlabelled split scored": (
        "--checkpoint {run} --split test",
        r"'test'.*no labels.*--mode test",
    ),
    "crop without windows": (
        "--checkpoint {run} --whole --crop 9",
        r"--crop.*--whole",
    ),
    "stride without windows": (
        "--checkpoint {run} --whole --stride 1",
        r"--stride.*--whole",
    ),
    "impossible stride": (
        "--checkpoint {run} --stride 1.5",
        r"stride 1\.5.*whole pixels",
    ),
    "unknown kind of picture": (
        "--checkpoint {run} --save colour",
        r"--save colour.*color",
    ),
    "misspelt recipe key": (
        "--checkpoint {run} --set evaluation.flipp=1",
        r"evaluation\.flipp.*flip",
    ),
    "no server": (
        "--checkpoint {camvidrun} --mode test --submission",
        r"camvid. has no server that takes predictions",
    ),
    "no such picture": (
        "--checkpoint {run} --image /nowhere.png",
        r"/nowhere\.png: no such picture",
    ),
    "damaged picture": (
        "--checkpoint {run} --image {cut}",
        r"cut\.params",
    ),
    "output is a file": (
        "--checkpoint {run} --output {cut}",
        r"cut\.params.*give another",
    ),
    "options without effect": (
        "--checkpoint {run} --mode speed --ms --root x",
        r"--root, --ms: no effect in --mode speed",
    ),
    "size without effect": (
        "--checkpoint {run} --size 64 64",
        r"--size is the input of --mode speed",
    ),
    "threshold without effect": (
        "--checkpoint {run} --threshold 0.3",
        r"--threshold is for networks of one sigmoid logit.*leave it out",
    ),
    "root of pictures": (
        "--checkpoint {run} --image {cut} --root x",
        r"leave --mode, --split, --root and --submission out",
    ),
    "json in no folder": (
        "--checkpoint {run} --json /nowhere/s.json",
        r"/nowhere does not exist",
    ),
    "json is a folder": (
        "--checkpoint {run} --json {run}",
        r"is no regular file",
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory, run_folder, bare_file, cityscapes):
    """Files and folders that the mistakes name."""
    folder = tmp_path_factory.mktemp("places")
    cut = folder / "cut.params"
    cut.write_bytes(bare_file.read_bytes()[:100000])
    shutil.copy(run_folder / "recipe.yaml", folder / "recipe.yaml")
    camvid = folder / "camvid"
    for name in ("train", "val", "test"):
        write(camvid / name / "frame.png", picture(64, 96))
    for name in ("trainannot", "valannot"):
        write(camvid / name / "frame.png", np.zeros((64, 96), np.uint8))
    values = {
        "model": {"name": "fcn", "backbone": "resnet18"},
        "data": {"name": "camvid", "root": str(camvid)},
        "schedule": {"epochs": 1},
    }
    net = create_model("fcn", 11, backbone="resnet18")
    save_checkpoint(folder / "camvidrun", net, "best.params", make_recipe(values))
    return {
        "run": run_folder,
        "cut": cut,
        "bare": bare_file,
        "root": cityscapes,
        "camvid": camvid,
        "camvidrun": folder / "camvidrun",
    }


@pytest.mark.parametrize("arguments, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_what_where_and_what_to_do(
    arguments, message, places, capsys, monkeypatch
):
    monkeypatch.chdir(places["cut"].parent)
    with pytest.raises(SystemExit) as stop:
        main(["--quiet", *arguments.format(**places).split()])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1, captured.err
    assert re.search(message, captured.err), captured.err


def test_a_label_value_out_of_range_stops_with_the_name_of_the_file(run_folder, cityscapes, tmp_path, capsys):
    root = tmp_path / "root"
    shutil.copytree(cityscapes, root)
    path = root / "gtFine" / "val" / "bremen" / f"{FRAMES[2]}_gtFine_labelIds.png"
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    label[0, 0] = 77
    cv2.imwrite(str(path), label)
    with pytest.raises(SystemExit) as stop:
        main(["--checkpoint", str(run_folder), "--root", str(root), "--quiet"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and path.name in error and "77" in error


def test_a_mistake_through_the_real_command_ends_with_status_2_and_no_traceback(repository, tmp_path):
    command = [sys.executable, str(repository / "eval.py"), "--checkpoint", "missing.params"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == ["error: missing.params: checkpoint not found"]


def test_speed_times_the_network_without_a_checkpoint_and_says_what_the_number_depends_on(tmp_path, capsys):
    path = tmp_path / "speed.json"
    main(
        [
            "--model",
            "fcn",
            "--backbone",
            "resnet18",
            "--mode",
            "speed",
            "--size",
            "32",
            "64",
            "--ctx",
            "cpu",
            "--batch",
            "2",
            "--json",
            str(path),
        ]
    )
    out = capsys.readouterr().out
    for words in (
        "input 2 x 32 x 64",
        "float32",
        "cpu(0)",
        "MXNet",
        "median",
        "95th percentile",
        "images/s",
        "auxiliary heads dropped",
        "G multiply-adds",
        "waiting for the device",
    ):
        assert words in out, words
    result = json.loads(path.read_text())
    assert result["forward"]["runs"] >= 5 and result["parameters"] > 1e6


def test_help_explains_the_modes_and_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "testval" in text and "--submission" in text and "examples:" in text

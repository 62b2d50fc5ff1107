"""The picture demo, the web page and `make demo`, with a network that has learned nothing."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.recipe import load_recipe
from tests.runs import save_checkpoint


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, repository):
    """A run folder with an untrained network of the smallest kind."""
    folder = tmp_path_factory.mktemp("run")
    recipe = load_recipe(
        repository / "configs" / "sfnet" / "synthetic.yaml",
        {"model.backbone": "mobilenetv2_0.25", "model.options": {"width": 16}},
    )
    net = create_model("sfnet", 19, backbone="mobilenetv2_0.25", width=16)
    save_checkpoint(folder, net, recipe=recipe)
    return folder


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    path = tmp_path / "street.png"
    cv2.imwrite(str(path), pixels)
    return path


def predict(repository, *arguments):
    return subprocess.run(
        [sys.executable, str(repository / "demo" / "predict.py"), *arguments],
        text=True,
        capture_output=True,
        check=False,
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


@pytest.fixture(scope="module")
def segmenter(repository):
    """The module demo/segmenter.py; demo/web.py can be imported beside it."""
    sys.path.insert(0, str(repository / "demo"))
    import segmenter

    yield segmenter
    sys.path.remove(str(repository / "demo"))


@pytest.fixture(scope="module")
def web(segmenter, run_folder):
    """(module demo/web.py, port of a running server)."""
    import web as module

    server = module.make_server(segmenter.Segmenter(run_folder, ["cpu"]), port=0, long_side=64)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield module, server.server_port
    server.shutdown()
    server.server_close()


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_the_page_is_served_and_loads_nothing_from_elsewhere(web):
    status, page = ask(web[1], "GET", "/")
    assert status == 200
    assert b"http://" not in page and b"https://" not in page


def test_the_page_is_told_classes_colours_and_samples(web):
    facts = json.loads(ask(web[1], "GET", "/model")[1])
    assert len(facts["classes"]) == len(facts["palette"]) == 19
    for name in facts["samples"]:
        assert ask(web[1], "GET", f"/samples/{name}")[0] == 200


def test_a_posted_picture_comes_back_as_a_label_map_no_larger_than_asked_for(web, picture):
    status, body = ask(web[1], "POST", "/segment", picture.read_bytes())
    result = json.loads(body)
    labels = cv2.imdecode(np.frombuffer(base64.b64decode(result["labels"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert status == 200
    assert labels.shape == (46, 64) == (result["height"], result["width"])
    assert labels.max() < 19
    assert sum(share for _, share in result["shares"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("body", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_is_refused_in_words(web, body):
    status, answer = ask(web[1], "POST", "/segment", body)
    assert status == 422 and "not a picture" in json.loads(answer)["error"]


def test_too_large_an_upload_is_refused_before_it_is_read(web):
    status, answer = ask(web[1], "POST", "/segment", b"", **{"Content-Length": str(10**9)})
    assert status == 413 and "MB" in json.loads(answer)["error"]


def test_another_host_name_is_refused(web):
    assert ask(web[1], "GET", "/", Host="elsewhere.example")[0] == 403


def test_paths_outside_the_demo_are_not_served(web):
    assert ask(web[1], "GET", "/samples/../web.py")[0] == 404
    assert ask(web[1], "GET", "/samples/%2e%2e/web.py")[0] == 404


def test_a_port_in_use_is_named(web):
    from mxnetseg.errors import ConfigError

    with pytest.raises(ConfigError, match="--port"):
        web[0].make_server(None, web[1])


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

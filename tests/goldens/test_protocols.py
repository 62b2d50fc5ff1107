"""Every published evaluation pipeline there is a golden of predicts here what it predicts there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mxnetseg.data.reading import read_image
from mxnetseg.predict.session import changed, open_session, pictures_of, recipe_of
from mxnetseg.weights.importer import import_checkpoint
from tests.conftest import shared_folder
from tests.goldens import check_protocols
from tests.goldens.protocols import (
    agreements,
    case_files,
    compare,
    picture_file,
    protocol_of,
    tensors_of,
)

FOLDER = shared_folder() / "golden" / "protocols"
CASES = case_files(FOLDER) if FOLDER.is_dir() else []


@pytest.mark.golden
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_prediction_agrees_with_the_published_pipeline(path, golden_dir):
    for name, agreement in agreements(path, golden_dir):
        assert not agreement.problems, (name, agreement)


@pytest.mark.golden
@pytest.mark.parametrize("path", CASES[:1], ids=[path.stem for path in CASES[:1]])
def test_the_torch_engine_predicts_what_the_published_pipeline_predicts(path, golden_dir):
    pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")
    for name, agreement in agreements(path, golden_dir, "torch"):
        assert not agreement.problems, (name, agreement)


def test_the_settings_of_a_case_are_those_that_its_words_say(golden_dir):
    read = {path.stem: protocol_of(json.loads(path.read_text())) for path in case_files(FOLDER)}
    assert len(read) >= 14
    slide = read["pspnet_slide_corners"]
    assert (slide.protocol, slide.mode, slide.crop, slide.stride) == (
        "mmseg",
        "slide",
        (241, 241),
        (161, 161),
    )
    assert slide.align_corners and not read["pspnet_slide"].align_corners
    several = read["pspnet_whole_ms_flip"]
    assert several.scales == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75] and several.flip and several.resize is None
    assert read["segformer_photo_short512"].resize == (2048, 512) and not read["pspnet_whole"].flip
    sliding = read["sfnet_sliding_flip"]
    assert (sliding.windows, sliding.average, sliding.resample) == ("sfsegnets", "logits", "pillow")
    assert read["sfnet_whole_ms_flip"].scales == [0.5, 1.0, 2.0]


def test_a_prediction_that_differs_is_noticed(golden_dir):
    path = FOLDER / "sfnet_whole.json"
    case, saved = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
    labels = saved["0016E5_07959_labels"]
    scores = np.zeros((19, *labels.shape), np.float32)
    scores[:, 8::16, 8::16] = saved["0016E5_07959_scores"]
    assert not compare(case, "0016E5_07959", saved, labels, scores).problems
    assert compare(case, "0016E5_07959", saved, np.roll(labels, 1, 1), scores).problems
    assert compare(case, "0016E5_07959", saved, labels, scores + 0.1).problems


def test_the_command_counts_what_agrees_and_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "odd.json").write_text(json.dumps({"network": "mmseg_cgnet", "reference": "nobody's"}))
    (tmp_path / "odd.npz").write_bytes(b"")
    assert check_protocols.main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("odd: ") and lines[-1] == "0/1 protocol goldens agree"


@pytest.mark.golden
@pytest.mark.parametrize("case_id", ["sfnet_whole", "cgnet_whole", "swiftnet_whole"])
def test_an_imported_checkpoint_alone_predicts_what_its_authors_code_predicts(case_id, golden_dir, tmp_path):
    path = FOLDER / f"{case_id}.json"
    case, saved = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
    np.savez(tmp_path / "published.npz", **tensors_of(case, golden_dir))
    import_checkpoint(case["network"], tmp_path / "published.npz", tmp_path / "run", data="cityscapes")
    recipe = recipe_of(tmp_path / "run")
    # The pictures are CamVid's: at their own size, as the golden takes them.
    protocol = changed(recipe.evaluation, resize=None)
    session = open_session(tmp_path / "run", pictures_of(recipe), recipe, protocol, ["cpu"])
    image = read_image(str(picture_file(FOLDER, case["pictures"]["0016E5_07959"])))
    assert (session.predictor.predict(image) == saved["0016E5_07959_labels"]).mean() > 0.999

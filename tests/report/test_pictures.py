"""Files that predicting leaves behind."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from mxnetseg.data.datasets.base import Submission
from mxnetseg.data.datasets.loose import LoosePictures
from mxnetseg.errors import ConfigError, DatasetError, MxnetsegError
from mxnetseg.report.pictures import PictureWriter
from mxnetseg.report.submission import SubmissionWriter
from tests.predict.stand_ins import Drawn, picture


def with_server_ids(data):
    data.train_id_to_label_id = tuple(10 + c for c in range(data.nclass))
    data.submission = Submission()
    return data


def fill(writer, data):
    for index in range(len(data)):
        sample = data[index]
        writer.add(index, sample, np.full(sample.image.shape[:2], index, np.uint8))
    return writer.finish()


def test_each_kind_has_a_folder_with_one_file_for_each_sample(tmp_path):
    data = Drawn(3)
    written = fill(PictureWriter(str(tmp_path), data, ("id", "error")), data)
    assert sorted(os.listdir(tmp_path)) == ["error", "examples.jpg", "id"]
    assert sorted(os.listdir(tmp_path / "id")) == ["drawn_0.png", "drawn_1.png", "drawn_2.png"]
    assert (cv2.imread(str(tmp_path / "id" / "drawn_2.png"), cv2.IMREAD_UNCHANGED) == 2).all()
    assert any(line.endswith("examples.jpg") for line in written)


def test_more_than_256_classes_are_written_with_16_bits(tmp_path):
    data = Drawn(1, nclass=300)
    writer = PictureWriter(str(tmp_path), data, ("id",))
    sample = data[0]
    writer.add(0, sample, np.full(sample.image.shape[:2], 299, np.int16))
    writer.finish()
    assert cv2.imread(str(tmp_path / "id" / "drawn_0.png"), cv2.IMREAD_UNCHANGED).max() == 299


def test_the_zip_holds_this_runs_files_and_nothing_left_over_from_before(tmp_path):
    data = with_server_ids(Drawn(3))
    fill(PictureWriter(str(tmp_path), data, submission=True), data)
    data.count = 2
    fill(PictureWriter(str(tmp_path), data, submission=True), data)
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["drawn_0.png", "drawn_1.png"]
        ids = cv2.imdecode(np.frombuffer(archive.read("drawn_1.png"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (ids == 11).all()


def test_error_pictures_are_left_out_where_there_is_no_label(tmp_path):
    data = Drawn(1, labelled=False)
    fill(PictureWriter(str(tmp_path), data, ("error", "color")), data)
    assert os.listdir(tmp_path / "error") == [] and os.listdir(tmp_path / "color") == ["drawn_0.png"]


def test_an_unknown_kind_or_a_server_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'colour': not one of id, color"):
        PictureWriter(str(tmp_path), Drawn(), ("colour",))
    with pytest.raises(ConfigError, match="'drawn' has no server"):
        PictureWriter(str(tmp_path), Drawn(), submission=True)


def test_a_write_that_fails_in_a_thread_reaches_the_caller(tmp_path):
    data = Drawn(1)
    writer = PictureWriter(str(tmp_path), data, ("id",))
    os.rmdir(tmp_path / "id")
    (tmp_path / "id").write_text("")
    with pytest.raises(MxnetsegError, match="output folder cannot be made"):
        fill(writer, data)
    writer.close()


def test_loose_pictures_take_classes_and_colours_of_the_data_set_trained_on(tmp_path):
    for name in ("x.png", "sub/x.png"):
        os.makedirs(os.path.dirname(tmp_path / name), exist_ok=True)
        cv2.imwrite(str(tmp_path / name), picture(9, 11))
    (tmp_path / "notes.txt").write_text("")
    pictures = LoosePictures([str(tmp_path)], "camvid")
    assert len(pictures) == 2 and pictures.names == ["x", "x_2"]
    assert pictures.nclass == 11 and not pictures.has_labels
    assert pictures[0].image.shape == (9, 11, 3) and pictures[0].label is None
    with pytest.raises(DatasetError, match="no such picture"):
        LoosePictures([str(tmp_path / "y.png")], "camvid")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures in this folder"):
        LoosePictures([str(tmp_path / "empty")], "camvid")


def test_loose_pictures_read_the_classes_of_somebodys_own_data_from_its_options(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture(9, 11))
    options = {"classes": {"soil": [1, 2, 3], "leaf": [4, 5, 6]}, "scales": None, "images": "x/{split}"}
    pictures = LoosePictures([str(tmp_path)], "folder", options)
    assert pictures.classes == ("soil", "leaf") and pictures.palette.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert len(LoosePictures([str(tmp_path)], "folder", {"classes": ["a", "b", "c"]}).scored_palette) == 3
    with pytest.raises(DatasetError, match="'folder' has no classes"):
        LoosePictures([str(tmp_path)], "folder")


def test_the_sheet_shows_samples_spread_over_the_split(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "mxnetseg.report.pictures.contact_sheet",
        lambda rows, *_, **__: shown.extend(name for name, _ in rows) or np.zeros((4, 4, 3), np.uint8),
    )
    data = Drawn(8)
    fill(PictureWriter(str(tmp_path), data, count=8), data)
    assert shown == ["drawn_0", "drawn_2", "drawn_4", "drawn_6"]
    shown.clear()
    data.count = 2
    fill(PictureWriter(str(tmp_path), data, count=2), data)
    assert shown == ["drawn_0", "drawn_1"]


def server_archive(tmp_path, name, split="test"):
    """What is in the archive of a prediction of class 3 for a data set's server: {path: picture}."""
    from mxnetseg.data import DATASETS, list_datasets

    assert name in list_datasets()
    kind = DATASETS.get(name)
    data = Drawn(1, nclass=len(kind.classes), split=split)
    for fact in ("submission", "train_id_to_label_id", "palette", "classes"):
        setattr(data, fact, getattr(kind, fact))
    writer = SubmissionWriter(str(tmp_path), data)
    writer.add("frame", np.full((4, 5), 3, np.uint8))
    path = writer.finish()
    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            found = {member: archive.read(member) for member in archive.namelist()}
    else:
        with tarfile.open(path) as archive:
            found = {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}
    return {member: Image.open(io.BytesIO(data)) for member, data in found.items()}


@pytest.mark.parametrize(
    ("name", "value"), [("cityscapes", 12), ("kitti", 12), ("ade20k", 4), ("bdd100k", 3), ("mapillary", 3)]
)
def test_servers_of_flat_archives_get_grey_pictures_of_their_ids(tmp_path, name, value):
    found = server_archive(tmp_path, name)
    assert list(found) == ["frame.png"]
    assert found["frame.png"].mode == "L" and (np.array(found["frame.png"]) == value).all()


def test_vocs_server_gets_its_folders_in_a_tar_and_pictures_with_its_palette(tmp_path):
    found = server_archive(tmp_path, "voc2012")
    (picture,) = found.values()
    assert list(found) == ["results/VOC2012/Segmentation/comp6_test_cls/frame.png"]
    assert picture.mode == "P" and (np.array(picture) == 3).all()
    assert picture.getpalette()[9:12] == [128, 128, 0]


def test_data_sets_without_a_known_server_offer_no_submission(tmp_path):
    for name in ("idd", "camvid", "uds"):
        with pytest.raises(ConfigError, match="no server that takes predictions"):
            server_archive(tmp_path, name)

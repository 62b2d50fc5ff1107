"""Cityscapes and CamVid in miniature, their errors, and the registry."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mxnetseg.data import create_dataset, dataset_info, list_datasets
from mxnetseg.errors import DatasetError, RegistryError
from tests.data import disk


def refused(*arguments, **options):
    """The one line that creating this data set, then reading its first sample, gives."""
    with pytest.raises(DatasetError) as error:
        create_dataset(*arguments, **options)[0]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_data_sets_are_listed_by_name():
    assert {"camvid", "cityscapes", "folder", "synthetic"} <= set(list_datasets())
    assert list_datasets("city*")[0].startswith("cityscapes")


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(RegistryError, match="camvid"):
        create_dataset("camvd")


def test_unknown_options_are_named(tmp_path):
    with pytest.raises(RegistryError, match="label_type"):
        create_dataset("cityscapes", str(tmp_path), lable_type="x")


@pytest.mark.parametrize("name", list_datasets())
def test_facts_of_every_data_set_agree(name):
    facts = dataset_info(name)
    if name == "folder":
        return
    count = facts["nclass"]
    assert count == len(facts["classes"]) == len(set(facts["classes"]))
    assert facts["palette"].shape == (count, 3)
    assert facts["palette"].dtype == np.uint8
    assert count <= facts["ignore_index"] <= 255
    assert set(facts["unlabelled_splits"]) <= set(facts["splits"])
    if facts["train_id_to_label_id"] is not None:
        assert len(facts["train_id_to_label_id"]) == count
    assert facts["layout"]


def test_importing_the_data_room_does_not_import_mxnet():
    code = (
        "import sys, mxnetseg.data as d, mxnetseg.data.loading.loader, mxnetseg.data.loading.worker;"
        "d.list_datasets(); sys.exit('mxnet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cityscapes_ids_become_train_ids(tmp_path):
    dataset = create_dataset("cityscapes", str(disk.cityscapes(tmp_path)), "train")
    sample = dataset[0]
    stored = disk.labels([0, 4, 7, 8, 11, 19, 26, 33], seed=0)
    for label_id, train_id in ((0, 255), (4, 255), (7, 0), (8, 1), (11, 2), (19, 6), (26, 13), (33, 18)):
        assert (sample.label[stored == label_id] == train_id).all()
    assert sample.label.dtype == np.int32
    assert sample.name == "aachen_000000_000019_leftImg8bit"


def test_cityscapes_train_ids_map_back_to_the_servers_ids():
    facts = dataset_info("cityscapes")
    assert facts["train_id_to_label_id"] == (
        7,
        8,
        11,
        12,
        13,
        17,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        26,
        27,
        28,
        31,
        32,
        33,
    )


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("leftImg8bit_trainvaltest/leftImg8bit", "gtFine_trainvaltest/gtFine"),
        ("leftImg8bit_trainvaltest", "gtFine"),
    ],
)
def test_cityscapes_is_found_where_its_archives_unpack(tmp_path, images, annotations):
    root = disk.cityscapes(tmp_path, images=images, annotations=annotations)
    assert len(create_dataset("cityscapes", str(root), "val")) == 2


def test_cityscapes_test_split_has_no_labels(tmp_path):
    dataset = create_dataset("cityscapes", str(disk.cityscapes(tmp_path)), "test")
    assert not dataset.has_labels
    assert dataset[0].label is None


def test_splits_can_be_joined(tmp_path):
    root = str(disk.cityscapes(tmp_path))
    assert len(create_dataset("cityscapes", root, "train+val")) == 4


def test_camvid_unlabelled_becomes_the_ignore_index(tmp_path):
    dataset = create_dataset("camvid", str(disk.camvid(tmp_path)), "val")
    stored = disk.labels(range(12), seed=1)
    sample = dataset[1]
    assert np.array_equal(sample.label == dataset.ignore_index, stored == 11)
    assert np.array_equal(sample.label[stored < 11], stored[stored < 11])


def test_camvid_test_frames_may_lack_labels(tmp_path):
    disk.write(tmp_path / "test" / "a.png", disk.picture())
    assert create_dataset("camvid", str(tmp_path), "test")[0].label is None


def test_camvid_real_edition_has_its_published_sizes(camvid_root):
    sizes = [len(create_dataset("camvid", str(camvid_root), s)) for s in ("train", "val", "test")]
    assert sizes == [367, 101, 10]


def test_missing_root_is_named_with_what_to_do(tmp_path):
    line = refused("camvid", str(tmp_path / "nowhere"))
    assert "nowhere" in line
    assert "does not exist" in line
    assert "give data.root" in line


def test_root_default_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_DATA", str(tmp_path))
    disk.camvid(tmp_path / "camvid")
    assert len(create_dataset("camvid")) == 3


def test_wrong_layout_is_reported_with_the_right_one(tmp_path):
    (tmp_path / "stuff").mkdir()
    line = refused("cityscapes", str(tmp_path))
    assert "leftImg8bit/train" in line
    assert "_gtFine_labelIds.png" in line


def test_empty_split_is_an_error(tmp_path):
    (tmp_path / "train").mkdir()
    assert "empty" in refused("camvid", str(tmp_path))


def test_unknown_split_lists_those_there_are(tmp_path):
    assert "train, val, test" in refused("camvid", str(disk.camvid(tmp_path)), "valid")


def test_image_without_label_is_named_with_how_many_more(tmp_path):
    disk.camvid(tmp_path)
    (tmp_path / "trainannot" / "f1.png").unlink()
    line = refused("camvid", str(tmp_path))
    assert "f1.png" in line
    assert "1 of the 3" in line


def test_sizes_that_differ_are_reported_in_pixels(tmp_path):
    disk.camvid(tmp_path)
    disk.write(tmp_path / "trainannot" / "f0.png", disk.labels([0, 1], size=(12, 16)))
    line = refused("camvid", str(tmp_path))
    assert "16x12" in line
    assert "32x24" in line


def test_values_outside_the_table_are_listed_with_their_file(tmp_path):
    disk.camvid(tmp_path)
    path = disk.write(tmp_path / "trainannot" / "f0.png", disk.labels([0, 12, 200]))
    line = refused("camvid", str(tmp_path))
    assert str(path) in line
    assert "12 (" in line
    assert "200 (" in line
    assert "0-11" in line


def test_rgb_label_where_ids_are_expected_is_an_error(tmp_path):
    disk.camvid(tmp_path)
    disk.write(tmp_path / "trainannot" / "f0.png", disk.picture())
    assert "RGB" in refused("camvid", str(tmp_path))


def test_rotated_photographs_are_explained(tmp_path):
    from PIL import Image

    disk.camvid(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "train" / "f0.png").unlink()
    Image.fromarray(disk.picture()).save(tmp_path / "train" / "f0.jpg", exif=exif)
    assert "EXIF" in refused("camvid", str(tmp_path))


def test_a_list_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    os.mkfifo(lists / "train.txt")
    assert "is a pipe or a device" in refused("voc2012", str(tmp_path), "train")


def test_a_link_to_a_folder_above_is_followed_once(tmp_path):
    disk.camvid(tmp_path)
    before = len(create_dataset("camvid", str(tmp_path), "train"))
    for name in ("round", "and_round"):
        (tmp_path / "train" / name).symlink_to(tmp_path / "train")
    assert len(create_dataset("camvid", str(tmp_path), "train")) == before

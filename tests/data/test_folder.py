"""Anybody's own data, described only in the recipe."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.errors import DatasetError
from tests.data import disk

CLASSES = ["ground", "leaf", "stem"]


def make(root, values=(0, 1, 2), images="images/train", labels="labels/train", end=".png", count=3):
    for k in range(count):
        disk.write(root / images / f"p{k}.png", disk.picture(seed=k))
        disk.write(root / labels / f"p{k}{end}", disk.labels(values, seed=k))
    return str(root)


def folder(root, split="train", **options):
    options.setdefault("classes", CLASSES)
    return create_dataset("folder", str(root), split, **options)


def refused(*arguments, **options):
    with pytest.raises(DatasetError) as error:
        folder(*arguments, **options)[0]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_two_folders_and_class_names_are_enough(tmp_path):
    dataset = folder(make(tmp_path, (0, 1, 2, 255)))
    assert len(dataset) == 3
    assert np.array_equal(dataset[1].label, disk.labels((0, 1, 2, 255), seed=1))
    assert dataset.palette.shape == (3, 3)
    assert len({tuple(colour) for colour in dataset.palette}) == 3


def test_classes_can_be_given_with_their_colours(tmp_path):
    dataset = folder(make(tmp_path), classes={"ground": [1, 2, 3], "leaf": [4, 5, 6], "stem": [7, 8, 9]})
    assert dataset.palette.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_suffixes_pair_files_of_different_names(tmp_path):
    disk.write(tmp_path / "all" / "x" / "a_img.png", disk.picture())
    disk.write(tmp_path / "all" / "x" / "a_mask.png", disk.labels((0, 1, 2)))
    dataset = folder(tmp_path, images="all", labels="all", image_suffix="_img", label_suffix="_mask")
    assert dataset[0].name == "x_a_img"


def test_ids_are_mapped_to_classes_by_name_or_number(tmp_path):
    make(tmp_path, (10, 20, 30, 40))
    dataset = folder(tmp_path, id_map={10: "ground", "20": 1, 30: "stem", 40: "ignore"})
    stored = disk.labels((10, 20, 30, 40), seed=0)
    label = dataset[0].label
    for value, train_id in ((10, 0), (20, 1), (30, 2), (40, 255)):
        assert (label[stored == value] == train_id).all()


def test_zero_can_count_as_nothing(tmp_path):
    stored = disk.labels((0, 1, 2, 3), seed=0)
    make(tmp_path, (0, 1, 2, 3))
    label = folder(tmp_path, reduce_zero_label=True)[0].label
    assert np.array_equal(label, np.where(stored == 0, 255, stored.astype(int) - 1))


def test_masks_of_0_and_255_are_read_as_binary_when_asked(tmp_path):
    make(tmp_path, (0, 255))
    label = folder(tmp_path, classes=["leaf"], label_format="binary")[0].label
    assert np.array_equal(label, disk.labels((0, 255), seed=0) // 255)


def test_255_in_a_two_class_mask_has_to_be_explained(tmp_path):
    make(tmp_path, (0, 255))
    line = refused(tmp_path, classes=["ground", "leaf"])
    assert "255 (" in line
    assert "binary" in line
    assert folder(tmp_path, classes=["ground", "leaf"], ignore=[255])[0].label.max() == 255


def test_colours_are_decoded_by_the_palette(tmp_path):
    palette = np.uint8([[0, 0, 0], [0, 200, 0], [200, 0, 0], [9, 9, 9]])
    stored = disk.labels((0, 1, 2, 3))
    disk.write(tmp_path / "images" / "train" / "a.png", disk.picture())
    disk.write(tmp_path / "labels" / "train" / "a.png", palette[stored])
    options = {"palette": palette[:3].tolist(), "label_format": "rgb"}
    label = folder(tmp_path, ignore=[[9, 9, 9]], **options)[0].label
    assert np.array_equal(label, np.where(stored == 3, 255, stored))
    assert "(9, 9, 9)" in refused(tmp_path, **options)


def test_rgb_labels_are_explained_where_ids_are_expected(tmp_path):
    make(tmp_path)
    disk.write(tmp_path / "labels" / "train" / "p0.png", disk.picture())
    assert "label_format to rgb" in refused(tmp_path)


def test_splits_can_come_from_list_files(tmp_path):
    make(tmp_path, images="photos", labels="marks")
    (tmp_path / "t.txt").write_text("photos/p0.png marks/p0.png\n\nphotos/p2.png marks/p2.png\n")
    (tmp_path / "v.txt").write_text("p1\n")
    options = {"images": "photos", "labels": "marks", "splits": {"train": "t.txt", "val": {"list": "v.txt"}}}
    assert [item.name for item in folder(tmp_path, **options).items] == ["photos_p0", "photos_p2"]
    assert [folder(tmp_path, "val", **options)[0].name] == ["p1"]


def test_a_split_may_have_no_labels(tmp_path):
    make(tmp_path)
    options = {"splits": {"train": {}, "look": {"images": "images/train", "labels": None}}}
    dataset = folder(tmp_path, "look", **options)
    assert not dataset.has_labels
    assert dataset[0].label is None


def test_every_missing_label_is_an_error_that_says_where_it_was_expected(tmp_path):
    make(tmp_path)
    (tmp_path / "labels" / "train" / "p1.png").unlink()
    line = refused(tmp_path)
    assert "labels/train/p1.png" in line.replace("\\", "/")


def test_unknown_values_name_the_options_that_would_help(tmp_path):
    make(tmp_path, (0, 1, 7))
    line = refused(tmp_path)
    assert "7 (" in line
    assert "id_map" in line


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"classes": None}, "classes"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a", "b"]}, "more than once"),
        ({"palette": [[0, 0, 0]]}, "1 colours for 3"),
        ({"palette": [[0, 0], [1, 1], [2, 2]]}, "[r, g, b]"),
        ({"palette": [[0, 0, 999], [1, 1, 1], [2, 2, 2]]}, "0 to 255"),
        ({"label_format": "colour"}, "ids, rgb, binary"),
        ({"label_format": "rgb"}, "palette"),
        ({"id_map": {0: "lef"}}, "leaf"),
        ({"id_map": {0: 77}}, "77"),
        ({"id_map": {"x": 0}}, "'x'"),
        ({"id_map": {0: 0}, "reduce_zero_label": True}, "reduce_zero_label"),
        ({"splits": {"train": {"image": "a"}}}, "'image'"),
        ({"splits": {"train": 3}}, "train is 3"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path, options, word):
    assert word in refused(make(tmp_path), **options)


def test_lines_with_too_many_words_are_quoted(tmp_path):
    make(tmp_path)
    (tmp_path / "t.txt").write_text("my photo.png my label.png\n")
    assert "4 words" in refused(tmp_path, splits={"train": "t.txt"})


def test_the_table_of_colours_does_not_travel_to_workers(tmp_path):
    palette = [[0, 0, 0], [0, 200, 0], [200, 0, 0]]
    disk.write(tmp_path / "images" / "train" / "a.png", disk.picture())
    disk.write(tmp_path / "labels" / "train" / "a.png", np.uint8(palette)[disk.labels((0, 1, 2))])
    dataset = folder(tmp_path, palette=palette, label_format="rgb")
    first = dataset[0].label
    data = pickle.dumps(dataset)
    assert len(data) < 100_000
    assert np.array_equal(pickle.loads(data)[0].label, first)

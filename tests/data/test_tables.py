"""The tables of every data set: well formed, and equal to what other publications of the same facts say."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.data import DATASETS, dataset_info, list_datasets

NAMES = [name for name in list_datasets() if dataset_info(name)["nclass"]]


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_well_formed(name):
    facts = dataset_info(name)
    classes = facts["classes"]
    assert len(set(classes)) == len(classes)
    assert all(c == c.strip() and c and c.isascii() for c in classes)
    assert facts["palette"].shape == (len(classes), 3) and facts["palette"].dtype == np.uint8
    assert len(classes) <= facts["ignore_index"] <= 255
    kind = DATASETS.get(name)
    table = getattr(kind, "label_table", None)
    if table is not None:
        reached = set(table.values()) - {facts["ignore_index"]}
        assert reached == set(range(len(classes)))
    back = facts["train_id_to_label_id"]
    if back is not None:
        assert len(back) == len(classes) and len(set(back)) == len(back)
        if table is not None:
            assert [table[label_id] for label_id in back] == list(range(len(classes)))
    for key in ("title", "layout"):
        assert facts[key]
    assert set(getattr(kind, "sizes", {})) <= set(facts["splits"])
    assert set(facts["unlabelled_splits"]) <= set(facts["splits"])


def test_colours_tell_nearly_all_classes_apart():
    # ADE20K's own colours repeat one, Multi-Human Parsing's too; Mapillary's second edition shares many.
    repeated = {"ade20k": 1, "mhpv1": 1, "mapillary_v2": 25}
    for name in NAMES:
        palette = dataset_info(name)["palette"]
        distinct = len(np.unique(palette, axis=0))
        assert len(palette) - distinct == repeated.get(name, 0), name


def test_voc_ade_and_people_have_the_colours_that_gluoncv_gives_them():
    from gluoncv.utils.viz import segmentation

    for name, theirs, first in (
        ("voc2012", segmentation.vocpallete, 0),
        ("ade20k", segmentation.adepallete, 1),
        ("mhpv1", segmentation.mhpv1pallete, 1),
    ):
        palette = dataset_info(name)["palette"]
        expected = np.array(theirs).reshape(-1, 3)[first : first + len(palette)]
        np.testing.assert_array_equal(palette, expected)


def test_classes_that_data_sets_share_carry_the_same_names():
    voc = dataset_info("voc2012")["classes"]
    assert voc == dataset_info("voc_aug")["classes"] == dataset_info("sbd")["classes"]
    assert voc == dataset_info("coco")["classes"]
    city = dataset_info("cityscapes")["classes"]
    for name in ("cityscapes_coarse", "bdd100k", "idd19", "mapillary19", "kitti", "uds"):
        assert dataset_info(name)["classes"] == list(city)
        np.testing.assert_array_equal(dataset_info(name)["palette"], dataset_info("cityscapes")["palette"])
    rooms = [c.replace(" ", "_") for c in dataset_info("nyuv2")["classes"]]
    sun = dataset_info("sunrgbd")["classes"]
    differ = {(a, b) for a, b in zip(rooms, sun) if a != b}
    assert differ == {("refridgerator", "fridge"), ("television", "tv")}


def test_context_classes_follow_their_ids_in_the_alphabet():
    classes = dataset_info("pascal_context")["classes"]
    assert list(classes) == sorted(classes)
    from mxnetseg.data.datasets.pascal_context import ANNOTATION_IDS

    assert list(ANNOTATION_IDS) == sorted(ANNOTATION_IDS)
    assert dataset_info("pascal_context60")["classes"] == ["background", *classes]


def test_the_same_class_of_idd_and_mapillary_goes_to_the_city_class_of_its_name():
    city = dataset_info("cityscapes")["classes"]
    from mxnetseg.data.datasets import idd, mapillary

    for label, _, _, train_id in idd.LABELS:
        if label in city and label != "train":
            assert train_id == city.index(label)
    for label, _, train_id in mapillary._CLASSES:
        if label.lower() in city:
            assert train_id == city.index(label.lower()), label


def test_coco_categories_are_those_of_coco_stuff():
    from mxnetseg.data.datasets.coco import CATEGORY_IDS
    from mxnetseg.data.datasets.cocostuff import CLASSES, IDS

    names = dict(zip(IDS, CLASSES))
    alias = {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "potted plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }
    for label, number in list(zip(dataset_info("coco")["classes"], CATEGORY_IDS))[1:]:
        assert names[number] == alias.get(label, label)
    assert len(CLASSES) == 171 and names[182] == "wood" and names[92] == "banner"

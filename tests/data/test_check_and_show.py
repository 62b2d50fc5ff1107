"""`check`, `show`, `list`, `convert` and `pack` from the command line, on miniatures of every data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mxnetseg.cli.data import command as main
from mxnetseg.data import create_dataset
from mxnetseg.data.check import check, shared_names
from mxnetseg.data.prepare import prepare
from mxnetseg.data.show import augmented_sheet, pick, sheet
from mxnetseg.data.transforms import TrainTransform
from mxnetseg.errors import ConfigError, DatasetError, RegistryError
from tests.data import miniatures

NAMES = sorted(miniatures.BUILDERS)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """name -> root of its miniature, prepared when first asked for; tests do not change them."""
    made = {}

    def root(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            mini = miniatures.write(name, folder / "archives")
            prepare(name, str(folder / "root"), mini.sources, log=lambda text: None)
            made[name] = (str(folder / "root"), mini.expected)
        return made[name]

    return root


@pytest.fixture
def copy(tmp_path):
    def prepared(name):
        mini = miniatures.write(name, tmp_path / "archives")
        prepare(name, str(tmp_path / "root"), mini.sources, log=lambda text: None)
        return tmp_path / "root"

    return prepared


@pytest.mark.parametrize("name", NAMES)
def test_check_counts_what_is_in_the_labels(name, roots):
    root, expected = roots(name)
    for split, labels in expected.items():
        dataset = create_dataset(name, root, split)
        report = check(dataset)
        assert report.bad == [] and sum(report.sizes.values()) == len(labels)
        labelled = [label for label in labels.values() if label is not None]
        for k in range(len(dataset.classes)):
            assert report.counts.pixels[k] == sum((label == k).sum() for label in labelled)
            assert report.images_with[k] == sum((label == k).any() for label in labelled)
        assert report.ignored == sum((label == 255).sum() for label in labelled)
        assert str(len(labels)) in report.text()


@pytest.mark.parametrize("name", NAMES)
def test_show_draws_every_data_set(name, roots):
    root, _ = roots(name)
    dataset = create_dataset(name, root, "train")
    picture = sheet(dataset, pick(dataset, 3), cell_width=64)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 10
    dataset = dataset if dataset.has_labels else create_dataset(name, root, "val")
    augmented = augmented_sheet(dataset, [0], TrainTransform(16), 2, cell_width=48)
    assert augmented.std() > 10


def test_several_processes_count_the_same(roots):
    root, _ = roots("kitti")
    dataset = create_dataset("kitti", root, "train")
    dataset.items = dataset.items * 3
    one, two = check(dataset, 1), check(dataset, 2)
    assert one.as_dict() == two.as_dict() and one.samples == 33


def test_weights_follow_their_formulas(roots):
    root, _ = roots("aeroscapes")
    report = check(create_dataset("aeroscapes", root, "train"))
    share = report.counts.pixels / report.counts.pixels.sum()
    np.testing.assert_allclose(report.counts.enet_weights(), 1 / np.log(1.02 + share))
    # Both pictures hold all classes, so that the denominators agree.
    np.testing.assert_allclose(report.counts.median_frequency_weights(), np.median(share) / share)


def test_an_absent_class_is_called_absent_and_weighs_nothing(roots):
    root, _ = roots("weizmann_horses")
    dataset = create_dataset("weizmann_horses", root, "train")
    dataset.classes = (*dataset.classes, "unicorn")
    report = check(dataset)
    assert (
        "absent" in report.text()
        and report.counts.median_frequency_weights()[2] == 0 == report.counts.enet_weights()[2]
    )


def test_stored_values_are_reported_before_the_table_is_applied(roots):
    root, _ = roots("cityscapes")
    report = check(create_dataset("cityscapes", root, "val"))
    assert set(report.values) <= set(range(34)) and len(report.values) > 10
    assert sum(report.values.values()) == 24 * 32


def test_damaged_files_are_listed_and_do_not_stop_the_check(copy):
    root = copy("ade20k")
    labels = sorted((root / "annotations" / "training").iterdir())
    images = sorted((root / "images" / "training").iterdir())
    miniatures.truncated(str(labels[0]))
    cv2.imwrite(str(labels[1]), np.full((24, 32), 151, np.uint8))
    cv2.imwrite(str(labels[2]), np.zeros((20, 32), np.uint8))
    report = check(create_dataset("ade20k", str(root), "train"))
    assert len(report.bad) == 3
    for path, words in zip(labels, ("truncated", "151", "32x20")):
        (message,) = [m for m in report.bad if str(path) in m]
        assert words in message and "\n" not in message
    images[0].write_bytes(b"")
    assert "is empty" in check(create_dataset("ade20k", str(root), "train")).bad[0]


@pytest.mark.parametrize(
    "name, victim, message",
    [
        ("ade20k", "annotations/training", "image without label"),
        ("voc2012", "SegmentationClass", "image without label"),
        ("voc_aug", "cls_aug", "image without label"),
        ("sunrgbd", "labels", "image without label"),
        ("mhpv1", "labels", "image without label"),
        ("weizmann_horses", "mask", "image without label"),
        ("camvid32", "LabeledApproved_full", "image without label"),
        ("kitti", "training/semantic", "image without label"),
        ("idd", "gtFine", "image without label"),
        ("bdd100k", "labels", "image without label"),
        ("mapillary", "training/labels", "image without label"),
        ("ade20k", "images/training", "not found"),
        ("voc2012", "ImageSets", "prepare voc2012 --from"),
        ("siftflow", "train.txt", "prepare siftflow --from"),
        ("coco", "labels21/train.txt", "prepare coco --from"),
    ],
)
def test_what_a_root_lacks_is_named_with_what_to_do(name, victim, message, copy):
    root = copy(name)
    path = root / victim
    os.rename(path, root / "elsewhere")
    with pytest.raises(DatasetError, match=message) as caught:
        create_dataset(name, str(root), "train")
    assert "\n" not in str(caught.value) and str(root) in str(caught.value)


def test_a_line_that_is_no_pair_is_named_with_its_number(copy):
    root = copy("sunrgbd")
    (root / "train.txt").write_text("a.jpg a.png\nb.jpg\n")
    with pytest.raises(DatasetError, match=r"train\.txt, line 2: expected 'image-file label-file'"):
        create_dataset("sunrgbd", str(root), "train")


def test_a_colour_that_camvid_does_not_have_is_named(copy):
    root = copy("camvid32")
    path = root / "LabeledApproved_full" / "0001TP_008520_L.png"
    label = cv2.imread(str(path))
    label[0, 0] = (3, 2, 1)
    cv2.imwrite(str(path), label)
    report = check(create_dataset("camvid32", str(root), "train"))
    assert len(report.bad) == 1 and "(1, 2, 3)" in report.bad[0]
    label[0, 0] = (192, 192, 192)  # of the right kind, but not in the list
    cv2.imwrite(str(path), label)
    (message,) = check(create_dataset("camvid32", str(root), "train")).bad
    assert "(192, 192, 192)" in message


def test_a_grey_label_where_colours_are_expected_is_refused(copy):
    root = copy("camvid32")
    path = root / "LabeledApproved_full" / "0001TP_008520_L.png"
    cv2.imwrite(str(path), np.full((24, 32), 5, np.uint8))
    (message,) = check(create_dataset("camvid32", str(root), "train")).bad
    assert "(5, 5, 5)" in message


def test_pictures_shared_by_two_splits_are_noticed(copy):
    root = copy("voc2012")
    lists = root / "ImageSets" / "Segmentation"
    with open(lists / "val.txt", "a") as out:
        out.write("2007_000032\n")
    datasets = [create_dataset("voc2012", str(root), split) for split in ("train", "val")]
    assert shared_names(datasets) == [("train", "val", 1)]


def test_roots_are_found_under_the_names_that_archives_have(copy, tmp_path):
    root = copy("voc2012")
    os.makedirs(tmp_path / "VOCdevkit")
    os.rename(root, tmp_path / "VOCdevkit" / "VOC2012")
    for given in ("", "VOCdevkit/VOC2012"):
        assert len(create_dataset("voc2012", str(tmp_path / given), "train")) == 2


def test_mapillary_reads_the_layout_of_version_two_as_well(copy):
    root = copy("mapillary")
    before = [create_dataset("mapillary", str(root), "train")[i].label for i in range(3)]
    os.makedirs(root / "training" / "v1.2")
    os.rename(root / "training" / "labels", root / "training" / "v1.2" / "labels")
    after = [create_dataset("mapillary", str(root), "train")[i].label for i in range(3)]
    np.testing.assert_array_equal(before, after)


def test_bdd_reads_the_present_layout_as_well(copy):
    root = copy("bdd100k")
    before = [create_dataset("bdd100k", str(root), "train")[i].label for i in range(2)]
    os.rename(root / "images", root / "old")
    os.makedirs(root / "images")
    os.rename(root / "old", root / "images" / "10k")
    os.makedirs(root / "labels" / "sem_seg")
    os.makedirs(root / "labels" / "sem_seg" / "masks")
    for split in ("train", "val"):
        os.rename(root / "labels" / split, root / "labels" / "sem_seg" / "masks" / split)
        for path in (root / "labels" / "sem_seg" / "masks" / split).iterdir():
            os.rename(path, str(path).replace("_train_id", ""))
    after = [create_dataset("bdd100k", str(root), "train")[i].label for i in range(2)]
    np.testing.assert_array_equal(before, after)


def test_samples_are_spread_evenly_or_drawn_with_a_seed(roots):
    root, _ = roots("kitti")
    dataset = create_dataset("kitti", root, "train")
    assert pick(dataset, 3) == [0, 3, 7] and len(pick(dataset, 99)) == 11
    assert pick(dataset, 5, seed=1) == pick(dataset, 5, seed=1) == sorted(set(pick(dataset, 5, seed=1)))


# --- the command line -----------------------------------------------------------------------------


def test_check_prints_a_report_and_writes_json(roots, tmp_path, capsys):
    root, expected = roots("voc2012")
    main(["check", "voc2012", "--root", root, "--json", str(tmp_path / "r.json"), "--workers", "1"])
    text = capsys.readouterr().out
    assert "every file was read and is usable" in text and "1464 published" in text
    reports = json.loads((tmp_path / "r.json").read_text())
    assert [r["split"] for r in reports] == ["train", "val", "test"]
    assert reports[0]["samples"] == len(expected["train"])


def test_check_ends_with_an_error_where_files_are_bad(copy, capsys):
    root = copy("kitti")
    miniatures.truncated(str(root / "training" / "semantic" / "000003_10.png"))
    with pytest.raises(DatasetError, match=r"1 damaged or unusable samples.*data.skip_bad_samples: true"):
        main(["check", "kitti", "--root", str(root), "--workers", "1"])
    assert "000003_10.png" in capsys.readouterr().out


def test_show_writes_a_picture(roots, tmp_path):
    root, _ = roots("kitti")
    for extra in ([], ["--augmented", "--photometric", "--jitter", "0.2", "--blur", "0.5", "--crop", "16"]):
        out = str(tmp_path / f"{len(extra)}.png")
        main(["show", "kitti", "--root", root, "--output", out, "--count", "2", "--width", "60", *extra])
        assert cv2.imread(out).std() > 5


def test_augmented_pictures_of_a_split_without_labels_are_refused(roots, tmp_path):
    root, _ = roots("kitti")
    with pytest.raises(DatasetError, match="has no labels"):
        main(["show", "kitti", "--root", root, "--split", "test", "--augmented", "--output", "x.png"])


def test_list_names_all_and_describes_one(capsys):
    main(["list"])
    text = capsys.readouterr().out
    assert all(f"\n{name} " in "\n" + text for name in NAMES)
    for name in NAMES:
        main(["list", name])
        text = capsys.readouterr().out
        assert "layout:" in text and "classes:" in text
        assert name == "uds" or "prepared from:" in text


def test_prepare_convert_and_pack_run_from_the_command_line(tmp_path, capsys):
    made = miniatures.write("idd19", tmp_path / "archives")
    root = str(tmp_path / "root")
    main(["prepare", "idd19", "--from", *made.sources, "--to", root, "--workers", "1"])
    assert "train: 2 samples, published are 6993" in capsys.readouterr().out
    main(["convert", "idd19", "--root", root, "--to", str(tmp_path / "ids"), "--workers", "1"])
    assert len(list((tmp_path / "ids" / "val").iterdir())) == 1
    main(["pack", "idd19", "--root", root, "--to", str(tmp_path / "pack"), "--workers", "1"])
    assert len(create_dataset("recordio", str(tmp_path / "pack"), "val")) == 1


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (["check", "voc2013"], RegistryError, "did you mean voc2012"),
        (["prepare", "voc2013"], RegistryError, "nearest: voc2012"),
        (["check"], ConfigError, "required: name"),
        (["chek", "voc2012"], ConfigError, "invalid choice"),
        (["check", "kitti", "--workers", "0"], ConfigError, "at least 1"),
        (["check", "kitti", "--root", "/nowhere"], DatasetError, "does not exist"),
        (["show", "kitti", "--count", "0"], ConfigError, "at least 1"),
        (["check", "kitti", "--options", "fold"], ConfigError, "expected key=value"),
        (["check", "kitti", "--options", "fold=1"], RegistryError, "no option 'fold'"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(arguments, error, message):
    with pytest.raises(error, match=message):
        main(arguments)


def test_the_command_prints_one_line_and_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mxnetseg.data", "check", "kitti", "--root", str(tmp_path / "x")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_neither_the_command_nor_its_parts_import_mxnet(roots, tmp_path):
    root, _ = roots("kitti")
    code = (
        "import sys; from mxnetseg.cli.data import main\n"
        f"main(['check', 'kitti', '--root', {root!r}, '--workers', '1'])\n"
        f"main(['show', 'kitti', '--root', {root!r}, '--output', {str(tmp_path / 's.png')!r}])\n"
        f"main(['pack', 'kitti', '--root', {root!r}, '--to', {str(tmp_path / 'p')!r}, '--workers', '1'])\n"
        f"from mxnetseg.data import create_dataset\n"
        f"create_dataset('recordio', {str(tmp_path / 'p')!r}, 'train')[0]\n"
        "assert 'mxnet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_camvid_that_is_at_hand_has_its_published_size(camvid_root):
    sizes = [len(create_dataset("camvid", str(camvid_root), s)) for s in ("train", "val", "test")]
    assert sizes == [367, 101, 10]

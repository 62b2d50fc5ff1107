"""Street scenes: polygons of IDD, 16-bit labels of SYNTHIA, panoptic ones of WildDash 2, lists of GTA5."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import numpy as np

from mxnetseg.data.datasets.base import stem
from mxnetseg.data.datasets.idd import LABELS
from mxnetseg.data.headers import dimensions
from mxnetseg.data.prepare.masks import as_ids
from mxnetseg.data.prepare.matlab import read_numbers
from mxnetseg.data.prepare.preparation import Preparation, route
from mxnetseg.data.prepare.voc_family import damage_named, read_json
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.data.reading import read_image, read_planes
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_POLYGONS = "_gtFine_polygons.json"
_IDS = {row[0]: i for i, row in enumerate(LABELS)}
_UNLABELLED = _IDS["unlabeled"]


def convert_idd(workspace: Workspace) -> None:
    """`gtFine/**/*_polygons.json` -> `*_labelids.png` beside them."""
    tasks = []
    top = workspace.path("gtFine")
    for where, _, names in sorted(os.walk(top)):
        for name in sorted(names):
            if name.endswith(_POLYGONS):
                frame = name[: -len(_POLYGONS)]
                target = os.path.join(where, frame + "_gtFine_labelids.png")
                tasks.append((target, (os.path.join(where, name),)))
    if not tasks:
        raise DatasetError(f"{top}: holds no *{_POLYGONS}; give the archive of IDD's annotations")
    workspace.convert("IDD polygons to ids", _idd_label, tasks)


def _idd_label(workspace: Workspace, target: str, source: str) -> None:
    data = read_json(source, ("imgHeight", "imgWidth", "objects"))
    workspace.write_ids(target, draw_polygons(data, source))


def draw_polygons(data: Any, path: str) -> np.ndarray:
    """An annotation of IDD -> uint8 (H, W) of ids; later objects lie over earlier ones.

    Drawn with Pillow, outline included, as the publication's own tool draws, so that the ids agree.
    """
    from PIL import Image, ImageDraw

    try:
        size = (int(data["imgWidth"]), int(data["imgHeight"]))
        if not (0 < size[0] <= 20000 and 0 < size[1] <= 20000):
            raise ValueError(f"size {size[0]}x{size[1]}")
        picture = Image.new("L", size, _UNLABELLED)
        pen = ImageDraw.Draw(picture)
        for entry in data["objects"]:
            outline = [(float(x), float(y)) for x, y in entry["polygon"]]
            name = entry["label"]
            if name not in _IDS and name.endswith("group"):
                name = name[: -len("group")]
            if entry.get("deleted") or len(outline) < 3:
                continue
            if name not in _IDS:
                raise DatasetError(
                    f"{path}: object labelled {entry['label']!r}, which is none of IDD's {len(_IDS)} labels"
                )
            pen.polygon(outline, fill=_IDS[name])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(f"{path}: annotation is damaged ({error}); unpack it again") from error
    return np.array(picture)


def convert_synthia(workspace: Workspace) -> None:
    """`GT/LABELS/*.png` of 16 bits, class and instance -> `labels/*.png` of classes."""
    top = workspace.path("GT", "LABELS")
    names = sorted(n for n in os.listdir(top) if n.endswith(".png")) if os.path.isdir(top) else []
    if not names:
        raise DatasetError(
            f"{top}: holds no labels; unpack SYNTHIA_RAND_CITYSCAPES.rar so that this folder is in the root"
        )
    tasks = [(workspace.path("labels", name), (os.path.join(top, name),)) for name in names]
    workspace.convert("SYNTHIA labels to ids", _synthia_label, tasks)


def _synthia_label(workspace: Workspace, target: str, source: str) -> None:
    workspace.write_ids(target, as_ids(read_planes(source)[:, :, 0], source))


def convert_wilddash(workspace: Workspace) -> None:
    """`panoptic.json` and `panoptic/*.png` -> `labels/*.png`, and the lists: every fifth is validation."""
    path = workspace.need(["panoptic.json"], "for the labels of WildDash")
    data = read_json(path, ("images", "annotations"))
    with damage_named(path):
        files = {image["id"]: str(image["file_name"]) for image in data["images"]}
        tasks, names = [], []
        for annotation in data["annotations"]:
            name = stem(files[annotation["image_id"]])
            classes = {int(s["id"]): int(s["category_id"]) for s in annotation["segments_info"]}
            source = workspace.path("panoptic", os.path.basename(str(annotation["file_name"])))
            tasks.append((workspace.path("labels", name + ".png"), (source, classes)))
            names.append(name)
    workspace.convert("Panoptic labels to ids", _panoptic_label, tasks)
    names.sort()
    workspace.write_list(workspace.path("train.txt"), [n for i, n in enumerate(names) if i % 5 != 4])
    workspace.write_list(workspace.path("val.txt"), names[4::5])


def _panoptic_label(workspace: Workspace, target: str, source: str, classes: Dict[int, int]) -> None:
    """Segment numbers are red + 256 green + 65536 blue; pixels of no segment are unlabelled, 0."""
    colours = read_image(source).astype(np.int64)
    numbers = colours[:, :, 0] + 256 * colours[:, :, 1] + 65536 * colours[:, :, 2]
    ids = np.zeros(numbers.shape, np.int64)
    for number, label in classes.items():
        ids[numbers == number] = label
    workspace.write_ids(target, as_ids(ids, source))


def convert_gta5(workspace: Workspace) -> None:
    """`train.txt`, `val.txt`, `test.txt` from `split.mat`, less frames whose labels differ in size."""
    path = workspace.need(["split.mat"], "for the splits of GTA5")
    left_out: List[str] = []
    for split in ("train", "val", "test"):
        names = []
        for number in read_numbers(path, split + "Ids"):
            name = f"{number:05d}"
            sizes = [_size(workspace.path(folder, name + ".png")) for folder in ("images", "labels")]
            if None in sizes:
                continue  # of an archive that was not given
            (names if sizes[0] == sizes[1] else left_out).append(name)
        workspace.write_list(workspace.path(split + ".txt"), names)
    if left_out:
        workspace.log(f"left out, labels of another size than the image: {', '.join(sorted(left_out))}")


def _size(path: str) -> Any:
    """(width, height) by the first bytes; None where there is no such file."""
    try:
        with open(path, "rb", opener=only_files) as handle:
            return dimensions(handle.read(64))
    except FileNotFoundError:
        return None


_IDD = Preparation(
    "idd-segmentation.tar.gz",
    (route(r"(leftImg8bit/.+_leftImg8bit\.(?:png|jpg))"), route(r"(gtFine/.+\.json)")),
    convert_idd,
)
_WILDDASH = Preparation(
    "wd_public_02.zip",
    (route(r"(images/[^/]+\.jpg)"), route(r"(panoptic/[^/]+\.png)"), route(r"(panoptic\.json)")),
    convert_wilddash,
)

PREPARATIONS: Dict[str, Preparation] = {
    "acdc": Preparation(
        "rgb_anon_trainvaltest.zip and gt_trainval.zip",
        (
            route(r"(rgb_anon/\w+/(?:train|val|test)/[^/]+/[^/]+_rgb_anon\.png)"),
            route(r"(gt/\w+/(?:train|val)/[^/]+/[^/]+_gt_labelTrainIds\.png)"),
        ),
    ),
    "dark_zurich": Preparation(
        "Dark_Zurich_val_anon.zip (and Dark_Zurich_test_anon_withoutGt.zip, Dark_Zurich_train_anon.zip)",
        (
            route(r"(rgb_anon/(?:train|val|test)/.+_rgb_anon\.png)"),
            route(r"(gt/val/.+_gt_labelTrainIds\.png)"),
        ),
    ),
    "gta5": Preparation(
        "01_images.zip to 10_images.zip, 01_labels.zip to 10_labels.zip and split.mat of read_mapping.zip",
        (route(r"((?:images|labels)/\d+\.png)"), route(r"(split\.mat)")),
        convert_gta5,
    ),
    "idd": _IDD,
    "idd19": _IDD,
    "synthia": Preparation(
        "SYNTHIA_RAND_CITYSCAPES.rar, unpacked by hand in the root, or packed again as .zip or .tar",
        (route(r"(RGB/\d+\.png)"), route(r"(GT/LABELS/\d+\.png)")),
        convert_synthia,
    ),
    "wilddash19": _WILDDASH,
    "wilddash2": _WILDDASH,
}

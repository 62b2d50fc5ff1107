"""Converting street scenes: the polygons of IDD."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mxnetseg.data.datasets.idd import LABELS
from mxnetseg.data.prepare.voc_family import read_json
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import DatasetError

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

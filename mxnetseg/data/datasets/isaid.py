"""iSAID: 1411 / 458 / 937 aerial pictures of up to 13000 pixels, 15 kinds of objects and their background.

Waqas Zamir et al., "iSAID: A Large-scale Dataset for Instance Segmentation in Aerial Images", CVPR
Workshops 2019; pictures of DOTA. Published as coloured labels; `prepare` writes ids and cuts tiles of 896 x
896 every 512 pixels, over which mmsegmentation's scores are taken.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS, palette_array
from mxnetseg.data.datasets.layouts import TiledDataset, tiled_folders

# The position is the id in the files.
_CLASSES = (
    ("background", (0, 0, 0)),
    ("ship", (0, 0, 63)),
    ("storage tank", (0, 63, 63)),
    ("baseball diamond", (0, 63, 0)),
    ("tennis court", (0, 63, 127)),
    ("basketball court", (0, 63, 191)),
    ("ground track field", (0, 63, 255)),
    ("bridge", (0, 127, 63)),
    ("large vehicle", (0, 127, 127)),
    ("small vehicle", (0, 0, 127)),
    ("helicopter", (0, 0, 191)),
    ("swimming pool", (0, 0, 255)),
    ("roundabout", (0, 191, 127)),
    ("soccer ball field", (0, 127, 191)),
    ("plane", (0, 127, 255)),
    ("harbor", (0, 100, 155)),
)


@DATASETS.register("isaid")
class ISAID(TiledDataset):
    name = "isaid"
    title = "iSAID (16 classes)"
    paper = (
        "Waqas Zamir et al., iSAID: A Large-scale Dataset for Instance Segmentation in Aerial Images, "
        "CVPR Workshops 2019"
    )
    url = "https://captain-whu.github.io/iSAID/"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    splits = ("train", "val", "test", "train_scenes", "val_scenes")
    unlabelled_splits = ("test",)
    sizes = {"train": 33978, "val": 11644, "test": 937}
    crop = 896
    base = 896
    folders = {
        **tiled_folders("_instance_color_RGB.png"),
        "test": (("scenes/test/images", None), ("img_dir/test", None)),
    }

"""How published networks see pictures and are scored: the recipe's groups `input` and `evaluation`.

An imported checkpoint carries both in its recipe, so that evaluation, demo and export feed it as its authors
do. Sources are the publishers' configurations: mmsegmentation's test pipelines, the evaluation scripts of
SFSegNets, SwiftNet, GluonCV and MXNetSeg. A file's name tells the crop where one architecture was
published with several, as mmsegmentation's names do (`..._769x769_...`).
"""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple

# The data set that a published network is usually for, by its number of classes.
USUAL_DATA = {2: "drive", 19: "cityscapes", 150: "ade20k", 21: "voc2012"}
_IMAGENET_255 = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], range=255)
_IMAGENET = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], range=1)
# What transformers' image processors of these networks, and timm's of ViT, map to -1 to 1.
_HALVES = ("hf_beit", "hf_data2vec", "hf_dpt_vit", "smp_dpt_vit")
# Beginnings of reference ids; the first that fits counts.
_INPUTS: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("mmseg_cgnet", dict(mean=[72.39239876, 82.90891754, 73.15835921], std=[1.0, 1.0, 1.0], range=255)),
    *((name, dict(mean=[0.5] * 3, std=[0.5] * 3, range=1)) for name in _HALVES),
    ("mmseg_segmenter", dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], range=255)),
    ("hf_mobilenet_v2", dict(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], range=1)),
    # Not standardized.
    ("hf_mobilevit", dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], range=1)),
    ("mmseg_", _IMAGENET_255),
    ("mmsfnet_", _IMAGENET_255),
    ("seaformer_", _IMAGENET_255),
    # PyTorch-ENet scales to 0 to 1 only.
    ("enet_", dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], range=1)),
    # These networks standardize values of 0 to 255 themselves.
    ("swiftnet", dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], range=255)),
    ("", _IMAGENET),
)
_PUBLISHERS = (
    ("mmseg_", "mmseg"),
    ("mmsfnet_", "mmseg"),
    ("swiftnet", "mmseg"),
    ("seaformer_", "mmseg"),
    ("enet_", "own"),
    ("gluoncv_", "gluoncv"),
    ("mxseg_", "mxnetseg"),
    ("ace_", "own"),
    # torchvision and transformers score whole pictures; segmentation_models.pytorch leaves it to its users.
    ("smp_", "own"),
    ("tv_", "own"),
    ("hf_", "own"),
    ("", "sfsegnets"),
)
# Architectures of mmsegmentation that are scored with sliding windows: crop -> stride.
_SLIDING = (
    ("mmseg_setr", {512: 341, 768: 512}),
    ("mmseg_segformer", {1024: 768}),
    ("mmseg_segmenter", {512: 480, 640: 608}),
    ("mmseg_upernet_convnext", {512: 341, 640: 426}),
    ("mmseg_upernet_beit", {640: 426}),
)
# Aerial pictures and tiles, scored by mmsegmentation as they are: their sides.
_WHOLE_TILES = {"loveda": 1024, "potsdam": 512, "vaihingen": 512, "isaid": 896}
# Retinas are slid over at their own size: crop and stride.
_RETINAS = {"drive": (64, 42), "stare": (128, 85), "chase_db1": (128, 85), "hrf": (256, 170)}
# GluonCV's and MXNetSeg's base and crop sizes.
_BASE_AND_CROP = {"cityscapes": (2048, 768)}
_GLUONCV_SCALES = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def published_input(reference: str) -> Dict[str, Any]:
    """The recipe's group `input` for a reference id: mean, std and the range they are stated for."""
    return {key: list(v) if isinstance(v, list) else v for key, v in _of(reference, _INPUTS).items()}


def published_evaluation(reference: str, data: str, file: str = "") -> Dict[str, Any]:
    """The recipe's group `evaluation` that single-scale scores of a reference on a data set were taken with.

    `file`: name of the checkpoint's file. GluonCV publishes scores of several scales with flip only.
    """
    protocol = _of(reference, _PUBLISHERS)
    if protocol == "mmseg":
        if reference.startswith("swiftnet"):
            return {"protocol": "mmseg", "mode": "whole"}
        crop = _crop(file)
        # These pad pictures to whole cells of their coarsest map, with the mean colour.
        pads = reference.startswith("mmseg_segnext")
        pads = pads or (reference.startswith("mmseg_mask2former") and crop != 640)
        padded = {"divisor": 32} if pads else {}
        return {"protocol": "mmseg", **_mmseg(reference, data, crop), **padded}
    if protocol in ("gluoncv", "mxnetseg"):
        base, crop = _BASE_AND_CROP.get(data, (520, 480))
        several = dict(scales=list(_GLUONCV_SCALES), flip=True) if protocol == "gluoncv" else {}
        return {"protocol": protocol, "base": base, "crop": crop, **several}
    return {"protocol": protocol} if protocol == "own" else {"protocol": protocol, "mode": "whole"}


def _mmseg(reference: str, data: str, crop: Optional[int]) -> Dict[str, Any]:
    if data in _RETINAS:
        side, stride = _RETINAS[data]
        return {"mode": "slide", "crop": side, "stride": stride}
    streets = data in ("cityscapes", "mapillary")
    usual = 1024 if streets else 512
    strides = _of(reference, (*_SLIDING, ("", {})))
    if crop is None and strides:
        crop = {("mmseg_setr", True): 768}.get((reference[:10], streets), usual)
    if data in _WHOLE_TILES:
        return {"resize": [_WHOLE_TILES[data]] * 2, "mode": "whole"}
    if data in ("pascal_context", "pascal_context60"):  # its own pictures are small and slid over
        return {"resize": [520, 520], "mode": "slide", "crop": 480, "stride": 320}
    # Windows of 769 and 768 pixels come with pictures one pixel larger than they are.
    wide = crop in strides or reference.startswith("mmseg_mask2former")
    long = 2560 if crop == 640 and wide else 2048
    resize = [2049, 1025] if crop in (768, 769) else [long, crop if crop == 640 else usual]
    stride = 513 if crop == 769 else strides.get(crop)
    if stride is None:
        return {"resize": resize, "mode": "whole"}
    return {"resize": resize, "mode": "slide", "crop": crop, "stride": stride}


def _crop(file: str) -> Optional[int]:
    """The height in a name such as `pspnet_r50-d8_769x769_40k_cityscapes.pth`; `384x384-pre` is the size of
    the pictures that a backbone learnt before."""
    if file.startswith("segmenter_vit-l"):  # whose name says 512
        return 640
    found = re.search(r"(?:^|[_-])(\d{3,4})x\d{3,4}(?!-pre)(?:[_.-]|$)", file)
    return int(found[1]) if found else None


def _of(reference: str, table: Any) -> Any:
    return next(value for beginning, value in table if reference.startswith(beginning))

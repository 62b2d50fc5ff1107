"""Miniatures of aerial pictures, of eyes, and of people."""

from __future__ import annotations

import gzip
import io
import os

import cv2
import numpy as np

from tests.data.miniatures import (
    HEIGHT,
    WIDTH,
    Miniature,
    blocks,
    builder,
    minus_one,
    photo,
    png,
    tarred,
    zipped,
)

_WHOLE = f"0_0_{WIDTH}_{HEIGHT}"  # the only tile of so small a scene


def coloured(ids, colours, end=".png") -> bytes:
    """A picture of the colours of ids."""
    rgb = np.array(colours, np.uint8)[ids]
    return cv2.imencode(end, np.ascontiguousarray(rgb[:, :, ::-1]))[1].tobytes()


@builder("loveda")
def loveda(name, folder, rng):
    sources, expected = [], {}
    for split in ("Train", "Val", "Test"):
        files, samples = {}, {}
        for number, domain in enumerate(("Rural", "Urban")):
            stem = str(2522 + number)
            ids = blocks(rng, range(8))
            files[f"{split}/{domain}/images_png/{stem}.png"] = photo(rng, ".png")
            if split != "Test":
                files[f"{split}/{domain}/masks_png/{stem}.png"] = png(ids)
            samples[stem] = None if split == "Test" else minus_one(ids)
        expected[split.lower()] = samples
        sources.append(zipped(os.path.join(folder, f"{split}.zip"), files))
    return Miniature(sources, expected)


# Boundary, then the classes in their order.
_ISPRS = [(0, 0, 0), (255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)]


def _isprs(rng, scenes, image, label):
    """Files of the images and of the labels, and what is expected of tiles and scenes."""
    images, labels, expected = {}, {}, {}
    for split, ids_of in scenes.items():
        expected[split], expected[f"{split}_scenes"] = {}, {}
        for scene in ids_of:
            ids = blocks(rng, range(7))
            images[image.format(scene)] = photo(rng, ".tif")
            labels[label.format(scene)] = coloured(ids, _ISPRS, ".tif")
            expected[split][f"{scene}_{_WHOLE}"] = minus_one(ids)
            expected[f"{split}_scenes"][scene] = minus_one(ids)
    return images, labels, expected


@builder("potsdam")
def potsdam(name, folder, rng):
    images, labels, expected = _isprs(
        rng,
        {"train": ["2_10", "6_7"], "val": ["7_13"]},
        "2_Ortho_RGB/top_potsdam_{}_RGB.tif",
        "top_potsdam_{}_label_noBoundary.tif",
    )
    images["2_Ortho_RGB/top_potsdam_2_10_RGB.tfw"] = b"text"
    return Miniature(
        [
            zipped(os.path.join(folder, "2_Ortho_RGB.zip"), images),
            zipped(os.path.join(folder, "5_Labels_all_noBoundary.zip"), labels),
        ],
        expected,
    )


@builder("vaihingen")
def vaihingen(name, folder, rng):
    images, labels, expected = _isprs(
        rng,
        {"train": ["area1", "area11"], "val": ["area2"]},
        "top/top_mosaic_09cm_{}.tif",
        "top_mosaic_09cm_{}_noBoundary.tif",
    )
    # Labels of its first part, boundaries included, come along under the images' names.
    images["gts_for_participants/top_mosaic_09cm_area1.tif"] = photo(rng, ".tif")
    base = os.path.join(folder, "ISPRS_semantic_labeling_Vaihingen")
    return Miniature(
        [zipped(base + ".zip", images), zipped(base + "_ground_truth_eroded_COMPLETE.zip", labels)],
        expected,
    )


@builder("isaid")
def isaid(name, folder, rng):
    levels = [(0, 0, 0), (0, 0, 63), (0, 63, 63), (0, 63, 0), (0, 63, 127), (0, 63, 191), (0, 63, 255)]
    levels += [(0, 127, 63), (0, 127, 127), (0, 0, 127), (0, 0, 191), (0, 0, 255), (0, 191, 127)]
    levels += [(0, 127, 191), (0, 127, 255), (0, 100, 155)]
    expected = {split: {} for split in ("train", "val", "test", "train_scenes", "val_scenes")}
    number = 0
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        images, masks = {}, {}
        for _ in range(count):
            scene, number = f"P{number:04d}", number + 3
            images[f"images/{scene}.png"] = photo(rng, ".png")
            if split == "test":
                expected[split][scene] = None
                continue
            ids = blocks(rng, range(16))
            masks[f"images/{scene}_instance_color_RGB.png"] = coloured(ids, levels)
            expected[split][f"{scene}_{_WHOLE}"] = expected[f"{split}_scenes"][scene] = ids
        # Every part has archives of the same names.
        for kind, files in (("images", images), ("Semantic_masks", masks)):
            if files:
                os.makedirs(os.path.join(folder, "iSAID", split, kind))
                zipped(os.path.join(folder, "iSAID", split, kind, "images.zip"), files)
    return Miniature([os.path.join(folder, "iSAID")], expected)


def _vessels(rng):
    return (blocks(rng, range(9)) % 2).astype(np.uint8)


def gif(ids) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(ids * 255).save(out, "GIF")
    return out.getvalue()


@builder("drive")
def drive(name, folder, rng):
    sources, expected = [], {}
    for split, part, first in (("train", "training", 21), ("val", "test", 1)):
        files, expected[split] = {}, {}
        for number in range(first, first + 2):
            ids = _vessels(rng)
            files[f"{part}/images/{number:02d}_{part}.tif"] = photo(rng, ".tif")
            files[f"{part}/1st_manual/{number:02d}_manual1.gif"] = gif(ids)
            files[f"{part}/mask/{number:02d}_{part}_mask.gif"] = gif(1 - ids)
            expected[split][f"{number:02d}"] = ids
        sources.append(zipped(os.path.join(folder, f"{part}.zip"), files))
    return Miniature(sources, expected)


@builder("stare")
def stare(name, folder, rng):
    images, labels, expected = {}, {}, {"train": {}, "val": {}}
    for i in range(4):
        stem, ids = f"im{i:04d}", _vessels(rng)
        images[f"{stem}.ppm.gz"] = gzip.compress(photo(rng, ".ppm"))
        mask = cv2.imencode(".pgm", ids * 200 + 40)[1].tobytes()
        labels[f"{stem}.ah.ppm.gz"] = gzip.compress(mask)
        expected["train" if i < 2 else "val"][stem] = ids
    return Miniature(
        [
            tarred(os.path.join(folder, "stare-images.tar"), images),
            tarred(os.path.join(folder, "labels-ah.tar"), labels),
        ],
        expected,
    )


@builder("chase_db1")
def chase_db1(name, folder, rng):
    files, expected = {}, {"train": {}, "val": {}}
    for i in range(7):
        stem, ids = f"Image_{i // 2:02d}{'LR'[i % 2]}", _vessels(rng)
        files[f"{stem}.jpg"] = photo(rng)
        files[f"{stem}_1stHO.png"] = cv2.imencode(".png", ids * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])[
            1
        ].tobytes()
        files[f"{stem}_2ndHO.png"] = png(np.zeros_like(ids))
        expected["train" if i < 5 else "val"][stem] = ids
    return Miniature([zipped(os.path.join(folder, "CHASEDB1.zip"), files)], expected)


@builder("hrf")
def hrf(name, folder, rng):
    sources, expected = [], {"train": {}, "val": {}}
    for kind, mark, end in (
        ("healthy", "h", ".jpg"),
        ("glaucoma", "g", ".jpg"),
        ("diabetic_retinopathy", "dr", ".JPG"),
    ):
        images, labels = {}, {}
        for number in (1, 5, 6):
            stem, ids = f"{number:02d}_{mark}", _vessels(rng)
            images[stem + end] = photo(rng)
            labels[stem + ".tif"] = cv2.imencode(".tif", ids * 200 + 40)[1].tobytes()
            expected["train" if number < 6 else "val"][stem] = ids
        sources.append(zipped(os.path.join(folder, f"{kind}.zip"), images))
        sources.append(zipped(os.path.join(folder, f"{kind}_manualsegm.zip"), labels))
    return Miniature(sources, expected)


@builder("lip")
def lip(name, folder, rng):
    images, labels, test = {}, {}, {}
    expected = {"train": {}, "val": {}, "test": {}}
    for split, count in (("train", 2), ("val", 1)):
        for i in range(count):
            stem = f"{split}_{i}_77"
            ids = blocks(rng, rng.permutation(20)[:16])
            images[f"TrainVal_images/{split}_images/{stem}.jpg"] = photo(rng)
            labels[f"TrainVal_parsing_annotations/{split}_segmentations/{stem}.png"] = png(ids)
            labels[f"TrainVal_parsing_annotations/{split}_segmentations_reversed/{stem}.png"] = png(ids)
            expected[split][stem] = ids
    test["Testing_images/testing_images/100034_483681.jpg"] = photo(rng)
    expected["test"]["100034_483681"] = None
    return Miniature(
        [
            zipped(os.path.join(folder, "TrainVal_images.zip"), images),
            zipped(os.path.join(folder, "TrainVal_parsing_annotations.zip"), labels),
            zipped(os.path.join(folder, "Testing_images.zip"), test),
        ],
        expected,
    )

"""Miniatures of street scenes at night, in bad weather, rendered, or under other tables."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np

from tests.data.miniatures import (
    HEIGHT,
    WIDTH,
    Miniature,
    blocks,
    builder,
    mat,
    palette_png,
    photo,
    png,
    relabel,
    zipped,
)


@builder("acdc")
def acdc(name, folder, rng):
    images, labels, expected = {}, {}, {"train": {}, "val": {}, "test": {}}
    for number, condition in enumerate(("fog", "night", "rain", "snow")):
        for split in expected:
            frame = f"GOPR0{number}_frame_000041"
            where = f"{condition}/{split}/GOPR0{number}"
            images[f"rgb_anon/{where}/{frame}_{split}_rgb_anon.png"] = photo(rng, ".png")
            # The same place in fair weather.
            images[f"rgb_anon/{condition}/{split}_ref/GOPR0{number}/{frame}_rgb_ref_anon.png"] = photo(rng)
            sample = f"{frame}_{split}_rgb_anon"
            if split == "test":
                expected[split][sample] = None
                continue
            ids = blocks(rng, [*rng.permutation(19)[:15], 255])
            base = f"gt/{where}/{frame}_{split}_gt_"
            labels[base + "labelTrainIds.png"] = png(ids)
            labels[base + "invIds.png"] = png(ids)
            expected[split][sample] = ids
    return Miniature(
        [
            zipped(os.path.join(folder, "rgb_anon_trainvaltest.zip"), images),
            zipped(os.path.join(folder, "gt_trainval.zip"), labels),
        ],
        expected,
    )


@builder("dark_zurich")
def dark_zurich(name, folder, rng):
    sources, expected = [], {}
    for split, times in (("train", ("night", "day")), ("val", ("night",)), ("test", ("night",))):
        files, expected[split] = {}, {}
        for time in times:
            stem = f"{split}_{time}_frame_000321"
            files[f"rgb_anon/{split}/{time}/GOPR0356/{stem}_rgb_anon.png"] = photo(rng, ".png")
            expected[split][f"{stem}_rgb_anon"] = None
            if split == "val":
                ids = blocks(rng, [*rng.permutation(19)[:15], 255])
                files[f"gt/val/night/GOPR0356/{stem}_gt_labelTrainIds.png"] = png(ids)
                files[f"gt/val/night/GOPR0356/{stem}_gt_labelColor.png"] = photo(rng, ".png")
                expected[split][f"{stem}_rgb_anon"] = ids
        sources.append(zipped(os.path.join(folder, f"Dark_Zurich_{split}_anon.zip"), files))
    return Miniature(sources, expected)


_CITY_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12}
_CITY_IDS.update({26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18})


@builder("gta5")
def gta5(name, folder, rng):
    numbers = {"train": [1, 4, 6], "val": [2], "test": [3, 5]}
    images, labels, expected = {}, {}, {split: {} for split in numbers}
    for split, group in numbers.items():
        for number in group:
            stem = f"{number:05d}"
            ids = blocks(rng, rng.permutation(35))
            images[f"images/{stem}.png"] = photo(rng, ".png")
            labels[f"labels/{stem}.png"] = palette_png(ids)
            expected[split][stem] = np.vectorize(lambda v: _CITY_IDS.get(v, 255))(ids)
    # As published: some labels are smaller than their frames.
    labels["labels/00006.png"] = palette_png(np.zeros((12, 16)))
    del expected["train"]["00006"]
    splits = {f"{split}Ids": np.array(group)[:, None] for split, group in numbers.items()}
    return Miniature(
        [
            zipped(os.path.join(folder, "01_images.zip"), images),
            zipped(os.path.join(folder, "01_labels.zip"), labels),
            zipped(os.path.join(folder, "read_mapping.zip"), {"read_mapping/split.mat": mat(**splits)}),
        ],
        expected,
    )


@builder("synthia")
def synthia(name, folder, rng):
    table = {1: 10, 2: 2, 3: 0, 4: 1, 5: 4, 6: 8, 7: 5, 8: 13, 9: 7, 10: 11, 11: 18, 12: 17, 15: 6, 16: 9}
    table.update({17: 12, 18: 14, 19: 15, 20: 16, 21: 3})
    files, expected = {}, {"train": {}, "val": {}}
    for i in range(12):
        stem = f"{i:07d}"
        ids = blocks(rng, rng.permutation(23))
        # 16 bits: the class in red, the instance in green.
        deep = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
        deep[:, :, 2], deep[:, :, 1] = ids, rng.integers(0, 60000, ids.shape)
        files[f"RAND_CITYSCAPES/RGB/{stem}.png"] = photo(rng, ".png")
        files[f"RAND_CITYSCAPES/GT/LABELS/{stem}.png"] = cv2.imencode(".png", deep)[1].tobytes()
        files[f"RAND_CITYSCAPES/GT/COLOR/{stem}.png"] = photo(rng, ".png")
        expected["val" if i == 9 else "train"][stem] = np.vectorize(lambda v: table.get(v, 255))(ids)
    return Miniature([zipped(os.path.join(folder, "SYNTHIA_RAND_CITYSCAPES.zip"), files)], expected)


@builder("wilddash2", "wilddash19")
def wilddash(name, folder, rng):
    # Label in the files: (class of the benchmark, train id of Cityscapes)
    table = {0: (255, 255), 1: (0, 255), 7: (1, 0), 18: (7, 255), 26: (15, 13), 31: (18, 16), 34: (21, 14)}
    table.update({35: (22, 13), 38: (25, 0), 52: (2, 1), 58: (19, 17), 80: (2, 1)})
    column = 0 if name == "wilddash2" else 1
    files, images, annotations = {}, [], []
    expected = {"train": {}, "val": {}}
    for i in range(6):
        stem = f"ab{i:04d}_100000"
        ids = blocks(rng, table)
        numbers = np.where(ids == 0, 0, ids * 1000 + 7)  # beyond 16 bits
        colours = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], 2)
        files[f"images/{stem}.jpg"] = photo(rng)
        files[f"panoptic/{stem}.png"] = cv2.imencode(".png", colours.astype(np.uint8))[1].tobytes()
        images.append({"id": f"image{i}", "file_name": stem + ".jpg"})
        segments = [{"id": k * 1000 + 7, "category_id": k} for k in table if k]
        annotations.append({"image_id": f"image{i}", "file_name": stem + ".png", "segments_info": segments})
        both = {label: pair[column] for label, pair in table.items()}
        expected["val" if i == 4 else "train"][stem] = relabel(ids, both)
    files["panoptic.json"] = json.dumps({"images": images, "annotations": annotations}).encode()
    files["readme.txt"] = b"text"
    return Miniature([zipped(os.path.join(folder, "wd_public_02.zip"), files)], expected)


@builder("mapillary_v2")
def mapillary_v2(name, folder, rng):
    files, expected = {"config_v2.0.json": b"{}"}, {}
    for split, where, count in (("train", "training", 2), ("val", "validation", 1), ("test", "testing", 1)):
        expected[split] = {}
        for i in range(count):
            stem = f"{split}_{i}_AbC-dEf"
            files[f"{where}/images/{stem}.jpg"] = photo(rng)
            expected[split][stem] = None
            if split != "test":
                ids = blocks(rng, [*rng.permutation(123)[:15], 123])
                files[f"{where}/v2.0/labels/{stem}.png"] = palette_png(ids)
                files[f"{where}/v1.2/labels/{stem}.png"] = palette_png(np.zeros_like(ids))
                expected[split][stem] = np.where(ids == 123, 255, ids)
    path = os.path.join(folder, "mapillary-vistas-dataset_public_v2.0.zip")
    return Miniature([zipped(path, files)], expected)

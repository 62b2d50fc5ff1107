"""Draws the pictures that the repository carries: the demo's samples and the one that opens the README.

    python demo/make_pictures.py                                  # demo/images
    python demo/make_pictures.py --checkpoint weights/runs/demo   # and demo/picture.jpg

The scenes are of the `test` split, which no recipe trains on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from segmenter import HERE, SAMPLES, Segmenter

from mxnetseg.cli.common import run
from mxnetseg.data import create_dataset
from mxnetseg.report import visualize

SCENES = (0, 1, 4, 6)  # chosen for variety of light and things


def readme_picture(segment, dataset):
    """Contact sheet uint8 RGB: a row for each of three scenes, the legend below."""
    rows = []
    for index in SCENES[:3]:
        sample = dataset[index]
        labels, _ = segment(sample.image)
        rows.append(
            (
                "",
                [
                    sample.image,
                    visualize.colourize(sample.label, segment.palette),
                    visualize.overlay(sample.image, labels, segment.palette),
                ],
            )
        )
    titles = ("scene", "label", f"prediction, {segment.model} {segment.backbone}")
    return visualize.contact_sheet(rows, titles, segment.classes, segment.palette)


def main(argv=None):
    """Write demo/images, and demo/picture.jpg where a checkpoint is given."""
    parser = argparse.ArgumentParser(
        prog="python demo/make_pictures.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, help="run folder or .params file trained on synthetic")
    options = parser.parse_args(argv)
    dataset = create_dataset("synthetic", split="test", size=(512, 1024))
    for number, index in enumerate(SCENES, 1):
        visualize.save_picture(str(SAMPLES / f"street{number}.jpg"), dataset[index].image)
    if options.checkpoint:
        scenes = create_dataset("synthetic", split="test", size=(256, 512))
        picture = readme_picture(Segmenter(options.checkpoint), scenes)
        visualize.save_picture(str(HERE / "picture.jpg"), picture)


if __name__ == "__main__":
    run(main)

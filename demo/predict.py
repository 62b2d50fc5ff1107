"""Segment pictures: `python demo/predict.py street.jpg` writes street_overlay.png and street_colour.png.

Without pictures it takes those in demo/images; without --checkpoint the small model in weights/demo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from segmenter import SMALL_MODEL, Segmenter, sample_pictures

from mxnetseg.cli.common import add_context_argument, add_engine_argument, run
from mxnetseg.data.datasets.loose import output_names
from mxnetseg.data.reading import read_image
from mxnetseg.report import visualize


def parser():
    p = argparse.ArgumentParser(prog="python demo/predict.py", description=__doc__)
    p.add_argument("pictures", nargs="*", type=Path, help="PNG or JPEG files of any size")
    p.add_argument(
        "--checkpoint",
        type=Path,
        default=SMALL_MODEL,
        help="a .params file with recipe.yaml beside it, or a run folder",
    )
    p.add_argument(
        "--out", type=Path, default=Path("runs/predictions"), help="folder to write to (default %(default)s)"
    )
    p.add_argument("--ms", action="store_true", help="average over several scales and mirroring")
    add_context_argument(p)
    add_engine_argument(p, ("mxnet", "torch", "onnxruntime", "openvino"))
    return p


def main(argv=None):
    """Write an overlay and a colour map of every picture, and print what is in it."""
    options = parser().parse_args(argv)
    segment = Segmenter(options.checkpoint, options.ctx, options.ms, options.engine)
    print(f"{segment.model} ({segment.backbone}), {len(segment.classes)} classes of {segment.data}")
    pictures = options.pictures or sample_pictures()
    for path, name in zip(pictures, output_names([str(path) for path in pictures])):
        image = read_image(str(path))
        labels, seconds = segment(image)
        overlay = options.out / f"{name}_overlay.png"
        visualize.save_picture(str(overlay), visualize.overlay(image, labels, segment.palette))
        visualize.save_picture(
            str(options.out / f"{name}_colour.png"), visualize.colourize(labels, segment.palette)
        )
        found = ", ".join(
            f"{segment.classes[index]} {share:.0%}" for index, share in segment.shares(labels)[:5]
        )
        print(f"{path.name}: {seconds:.2f} s, {found}\n  -> {overlay}")


if __name__ == "__main__":
    run(main)

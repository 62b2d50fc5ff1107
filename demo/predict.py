"""Segment pictures, folders and films: `python demo/predict.py street.jpg` writes street_overlay.png and
street_colour.png, `python demo/predict.py drive.mp4` writes drive_overlay.mp4.

Without arguments it takes the drawn scenes in demo/images and the network in weights/demo, trained on such.
Pictures of yours go to the one in weights/camvid, trained on street photographs, or to --checkpoint.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from films import SUFFIXES, Film, FilmWriter, is_film
from segmenter import SMALL_MODEL, STREETS, Segmenter, sample_pictures

from mxnetseg.cli.common import Parser, add_context_argument, add_engine_argument, run
from mxnetseg.data.datasets.loose import output_names, pictures_under
from mxnetseg.data.reading import read_image
from mxnetseg.predict.evaluation import track
from mxnetseg.report import visualize


class Picture(NamedTuple):
    """A picture that has been read."""

    path: str
    name: str
    image: np.ndarray


def parser():
    p = Parser("python demo/predict.py", description=__doc__)
    p.add_argument(
        "inputs",
        nargs="*",
        metavar="FILE",
        help=f"pictures of any size, folders of them, films ({', '.join(SUFFIXES)})",
    )
    p.add_argument(
        "--checkpoint",
        type=Path,
        help="a .params file with recipe.yaml beside it, a run folder, or an ONNX file",
    )
    p.add_argument(
        "--out", type=Path, default=Path("runs/predictions"), help="folder to write to (default %(default)s)"
    )
    p.add_argument(
        "--ms", "--tta", action="store_true", help="average over several scales and mirroring: slower, better"
    )
    add_context_argument(p)
    add_engine_argument(p, ("mxnet", "torch", "onnxruntime", "openvino"))
    return p


def main(argv=None):
    """Write an overlay and a colour map of every picture, and print what is in it; overlays of films."""
    options = parser().parse_args(argv)
    inputs = options.inputs or [str(path) for path in sample_pictures()]
    # Everything is opened before anything is computed: a misspelt name shall not end a long run.
    films = [Film(path) for path in inputs if is_film(path)]
    pictures = [path for given in inputs if not is_film(given) for path in pictures_under(given)]
    checkpoint = options.checkpoint or (STREETS if options.inputs else SMALL_MODEL)
    segment = Segmenter(checkpoint, options.ctx, options.ms, options.engine)
    print(f"{segment.model} ({segment.backbone}), {len(segment.classes)} classes of {segment.data}")
    if pictures:
        _pictures(segment, pictures, options.out)
    for film, name in zip(films, output_names([str(film.path) for film in films])):
        _film(segment, film, options.out / f"{name}_overlay.mp4")


def _pictures(segment, paths, out):
    names = output_names(paths)
    samples = (Picture(path, name, read_image(path)) for path, name in zip(paths, names))
    started = time.perf_counter()
    for picture, labels in segment.stream(samples):
        overlay = out / f"{picture.name}_overlay.png"
        visualize.save_picture(str(overlay), visualize.overlay(picture.image, labels, segment.palette))
        visualize.save_picture(
            str(out / f"{picture.name}_colour.png"), visualize.colourize(labels, segment.palette)
        )
        seconds, started = time.perf_counter() - started, time.perf_counter()
        found = ", ".join(
            f"{segment.classes[index]} {share:.0%}" for index, share in segment.shares(labels)[:5]
        )
        print(f"{Path(picture.path).name}: {seconds:.2f} s, {found}\n  -> {overlay}")


def _film(segment, film, path):
    started, frames = time.perf_counter(), 0
    with FilmWriter(path, film.rate) as writer:
        for frame, labels in track(segment.stream(film), film.count, film.path.name):
            writer.add(visualize.overlay(frame.image, labels, segment.palette))
            frames += 1
    seconds = time.perf_counter() - started
    print(f"{film.path.name}: {frames} frames, {frames / seconds:.2f} frames/s\n  -> {path}")


if __name__ == "__main__":
    run(main)

"""`python -m mxnetseg.data`: list, prepare, check, show, convert and pack data sets."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, Dict, List, Optional

from mxnetseg.cli.common import Parser, run
from mxnetseg.data import DATASETS, Dataset, create_dataset, dataset_info, list_datasets
from mxnetseg.errors import ConfigError, DatasetError
from mxnetseg.recipe import parse_settings

_EXAMPLES = """
examples:
  python -m mxnetseg.data list
  python -m mxnetseg.data list voc2012
  python -m mxnetseg.data prepare voc_aug --from downloads --to datasets/voc_aug --workers 8
  python -m mxnetseg.data prepare potsdam --from downloads --to datasets/potsdam --tile 1024 --stride 512
  python -m mxnetseg.data check camvid --root ../shared/camvid
  python -m mxnetseg.data show camvid --root ../shared/camvid --output camvid.png
  python -m mxnetseg.data show camvid --root ../shared/camvid --augmented --photometric
  python -m mxnetseg.data convert idd19 --root datasets/idd --to datasets/idd_train_ids
  python -m mxnetseg.data pack camvid --root ../shared/camvid --to packed/camvid --shards 4
"""
# What messages of other rooms advise, and the flag for it.
FLAGS = {"data.root": "--root", "root": "--to", "archives": "--from", "archive": "--from"}


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.data`."""
    top = Parser(
        "python -m mxnetseg.data",
        description="Prepare data sets, check them, look at them, pack them.",
        epilog=_EXAMPLES,
    )
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("list", help="the data sets there are, or the facts of one")
    one.add_argument("name", nargs="?", help="data set; none: all of them")

    one = commands.add_parser("prepare", help="unpack and convert the official archives")
    one.add_argument("name", help="data set")
    one.add_argument(
        "--from",
        nargs="+",
        default=[],
        dest="sources",
        metavar="ARCHIVE",
        help="archives, or folders that hold them; none: convert what lies in the root already",
    )
    one.add_argument("--to", metavar="ROOT", help="folder to fill (default: datasets/NAME)")
    one.add_argument(
        "--tile", type=int, metavar="PIXELS", help="side of the tiles that large pictures are cut into"
    )
    one.add_argument(
        "--stride", type=int, metavar="PIXELS", help="with --tile: from tile to tile (default: no overlap)"
    )
    _add_workers(one)

    one = commands.add_parser("check", help="read every file; report damage, sizes, classes, weights")
    _add_dataset(one)
    one.add_argument("--json", metavar="FILE", help="write the report as JSON too")
    _add_workers(one)

    one = commands.add_parser("show", help="a contact sheet of samples with their labels")
    _add_dataset(one, splits=False)
    one.add_argument("--output", default="sheet.png", metavar="FILE", help="picture (default: sheet.png)")
    one.add_argument("--count", type=int, default=6, help="samples (default: 6)")
    one.add_argument("--seed", type=int, help="draw samples at random; default: evenly spread")
    one.add_argument("--width", type=int, default=384, help="pixels of one picture (default: 384)")
    one.add_argument("--augmented", action="store_true", help="as training sees them")
    one.add_argument("--recipe", metavar="YAML", help="with --augmented: augmentation of this recipe")
    one.add_argument("--crop", type=int, help="with --augmented: crop, pixels (default: the set's)")
    one.add_argument("--jitter", type=float, default=0.0, help="with --augmented: colour jitter")
    one.add_argument("--blur", type=float, default=0.0, help="with --augmented: chance of blur")
    one.add_argument(
        "--photometric", action="store_true", help="with --augmented: mmsegmentation's distortion"
    )

    one = commands.add_parser("convert", help="write train-id label files of every labelled split")
    _add_dataset(one)
    one.add_argument("--to", required=True, metavar="FOLDER", help="gets SPLIT/NAME.png")
    _add_workers(one)

    one = commands.add_parser("pack", help="write RecordIO shards that a loader streams")
    _add_dataset(one)
    one.add_argument("--to", required=True, metavar="FOLDER", help="gets SPLIT-00000.rec, ...")
    one.add_argument("--shards", type=int, help="files per split (default: about 256 MB each)")
    one.add_argument(
        "--image-format",
        choices=("original", "png", "jpeg", "raw"),
        default="original",
        help="pictures as they are (default), or encoded again; raw decodes fastest and is largest",
    )
    one.add_argument("--quality", type=int, default=95, help="of jpeg (default: 95)")
    _add_workers(one)
    return top


def _add_dataset(one: argparse.ArgumentParser, splits: bool = True) -> None:
    one.add_argument("name", help="data set")
    one.add_argument("--root", help="its folder (default: $MXNETSEG_DATA/NAME or datasets/NAME)")
    if splits:
        one.add_argument("--split", nargs="+", help="splits (default: all that are there)")
    else:
        one.add_argument("--split", default="train", help="split (default: train)")
    one.add_argument("--options", nargs="+", default=[], metavar="KEY=VALUE", help="keywords of the data set")


def _add_workers(one: argparse.ArgumentParser) -> None:
    cores = os.cpu_count() or 1
    one.add_argument(
        "--workers", type=int, default=min(8, cores), help="processes (default: cores, at most 8)"
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(command, argv, FLAGS)


def command(argv: Optional[List[str]]) -> None:
    arguments = parser().parse_args(argv)
    if getattr(arguments, "workers", 1) < 1:
        raise ConfigError(f"--workers {arguments.workers}: expected at least 1")
    _COMMANDS[arguments.command](arguments)


def _list(arguments: argparse.Namespace) -> None:
    if arguments.name:
        _describe(arguments.name)
        return
    for name in list_datasets():
        kind = DATASETS.get(name)
        sizes = getattr(kind, "sizes", {})
        counts = " / ".join(str(sizes[s]) for s in kind.splits if s in sizes)
        classes = f"{len(kind.classes)} classes" if kind.classes else "any classes"
        print(f"{name:<20} {classes:>12}  {counts:<22} {kind.title}")


def _describe(name: str) -> None:
    from mxnetseg.data.prepare import PREPARATIONS

    facts = dataset_info(name)
    print(f"{name}: {facts['title']}\n  {facts['paper']}\n  {facts['url']}")
    print(f"  splits: {', '.join(facts['splits'])}\n  layout: {facts['layout']}")
    if name in PREPARATIONS:
        print(f"  prepared from: {PREPARATIONS[name].archives}")
    print(f"  ignored label: {facts['ignore_index']}\n  classes:")
    for k, (label, colour) in enumerate(zip(facts["classes"], facts["palette"])):
        print(f"    {k:>3}  {label:<32} {tuple(int(v) for v in colour)}")


def _prepare(arguments: argparse.Namespace) -> None:
    from mxnetseg.data.prepare import prepare

    root = arguments.to or os.path.join("datasets", arguments.name)
    prepare(arguments.name, root, arguments.sources, arguments.workers, tiling=_tiling(arguments))
    print(f"ready: python train.py --model NAME --data {arguments.name} --root {root}")


def _tiling(arguments: argparse.Namespace) -> Any:
    """What --tile and --stride ask for; None: as published."""
    from mxnetseg.data.prepare.tiles import Tiling

    size, stride = arguments.tile, arguments.stride
    if size is None and stride is None:
        return None
    if size is None or size < 1 or not 1 <= (stride or size) <= size:
        raise ConfigError(
            f"--tile {size} --stride {stride}: expected the side of a tile and a stride of at most that"
        )
    return Tiling(size, stride or size)


def _check(arguments: argparse.Namespace) -> None:
    from mxnetseg.data.check import check, shared_names

    datasets = _datasets(arguments)
    reports = [check(dataset, arguments.workers) for dataset in datasets]
    print("\n\n".join(report.text() for report in reports))
    shared = shared_names(datasets)
    for first, second, count in shared:
        print(f"\n{count} images are in both {first} and {second}: scores on one do not hold for new images")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as out:
            json.dump([report.as_dict() for report in reports], out, indent=1)
    bad = sum(len(report.bad) for report in reports)
    if bad:
        raise DatasetError(
            f"{bad} damaged or unusable samples (listed above): replace the files, or train with "
            f"data.skip_bad_samples: true"
        )


def _show(arguments: argparse.Namespace) -> None:
    from mxnetseg.data.show import augmented_sheet, pick, sheet
    from mxnetseg.report import visualize

    if arguments.count < 1 or not 16 <= arguments.width <= 8192:
        raise ConfigError("--count must be at least 1 and --width from 16 to 8192")
    dataset = create_dataset(arguments.name, arguments.root, arguments.split, **_options(arguments.options))
    indices = pick(dataset, arguments.count, arguments.seed)
    if arguments.augmented:
        if not dataset.has_labels:
            raise DatasetError(f"split {arguments.split!r} has no labels; --augmented needs them")
        picture = augmented_sheet(
            dataset, indices, _transform(arguments, dataset), cell_width=arguments.width * 2 // 3
        )
    else:
        picture = sheet(dataset, indices, arguments.width)
    visualize.save_picture(arguments.output, picture)
    print(arguments.output)


def _transform(arguments: argparse.Namespace, dataset: Dataset) -> Any:
    """The transform of a recipe's `augment` group, which `--recipe` gives or the other options make up."""
    from pydantic import ValidationError

    from mxnetseg.data.augment import make_transform
    from mxnetseg.recipe import load_recipe
    from mxnetseg.recipe.fields import AugmentGroup

    if arguments.recipe:
        recipe = load_recipe(arguments.recipe)
        return make_transform(recipe.augment, dataset, recipe.input)
    try:
        settings = AugmentGroup(
            crop=arguments.crop or dataset.crop,
            color_jitter=arguments.jitter,
            blur=arguments.blur,
            photometric_distortion=arguments.photometric,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ConfigError(f"--augmented: {wrong['loc'][-1]} {wrong['input']}: {wrong['msg']}") from None
    return make_transform(settings, dataset)


def _convert(arguments: argparse.Namespace) -> None:
    from mxnetseg.data.pack import write_train_ids

    for dataset in _datasets(arguments):
        if dataset.has_labels:
            count = write_train_ids(dataset, arguments.to, arguments.workers)
            print(f"{os.path.join(arguments.to, dataset.split)}: {count} label files")


def _pack(arguments: argparse.Namespace) -> None:
    from mxnetseg.data.pack import pack

    for dataset in _datasets(arguments):
        made = pack(
            dataset,
            arguments.to,
            shards=arguments.shards,
            image_format=arguments.image_format,
            quality=arguments.quality,
            workers=arguments.workers,
        )
        print(f"{dataset.split}: {made.samples} samples in {made.shards} shards, {made.bytes / 1e6:.1f} MB")
    print(f"ready: python train.py --model NAME --data recordio --root {arguments.to}")


def _datasets(arguments: argparse.Namespace) -> List[Dataset]:
    """The splits asked for; by default all that this copy holds."""
    options = _options(arguments.options)
    if arguments.split:
        return [create_dataset(arguments.name, arguments.root, split, **options) for split in arguments.split]
    list_datasets()
    found, problems = [], []
    for split in DATASETS.get(arguments.name).splits:
        try:
            found.append(create_dataset(arguments.name, arguments.root, split, **options))
        except DatasetError as error:
            problems.append(error)
            print(f"split {split} left out: {error}\n")
    if not found:
        raise problems[0]
    return found


def _options(settings: List[str]) -> Dict[str, Any]:
    return parse_settings(settings, "--options")


_COMMANDS = {
    "list": _list,
    "prepare": _prepare,
    "check": _check,
    "show": _show,
    "convert": _convert,
    "pack": _pack,
}


if __name__ == "__main__":
    main()

"""`python -m mxnetseg.weights list | fetch | import | export | shrink | average`: checkpoints in and out."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from mxnetseg.cli.common import Parser, run
from mxnetseg.errors import CheckpointError
from mxnetseg.places import imagenet_folder
from mxnetseg.recipe import parse_settings
from mxnetseg.weights import reference_info, references
from mxnetseg.weights.fetch import fetch
from mxnetseg.weights.index import entry_of, matching, read_index, select

# What messages of other rooms advise, and the flag for it.
FLAGS = {
    "output folder": "--out",
    "be replaced": "--force",
    "data set": "--data",
    "number of classes": "--nclass",
    "index": "--index",
}


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.weights`."""
    p = Parser(
        "python -m mxnetseg.weights",
        description="Use published checkpoints of SFSegNets, mmsegmentation, GluonCV, MXNetSeg, SwiftNet and "
        "AceCoooool/segmentation with the networks of this library.",
    )
    commands = p.add_subparsers(
        dest="command", required=True, metavar="list | fetch | import | export | shrink | average"
    )

    listing = commands.add_parser("list", help="published weights that fetch knows, and reference ids")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern of names")
    listing.add_argument("--model", help="only of this model")
    listing.add_argument("--data", help="only of this data set")
    listing.add_argument(
        "--score", type=float, metavar="MIN", help="only scored at least MIN mIoU, percent, at one scale"
    )
    listing.add_argument("--references", action="store_true", help="list the reference ids of import")

    fetching = commands.add_parser("fetch", help="download, check and convert published weights")
    fetching.add_argument("name", help="a name that `list` prints")
    fetching.add_argument("--out", help="folder to write to (default weights/imported/NAME)")
    fetching.add_argument("--quiet", action="store_true", help="no progress bar")

    importing = commands.add_parser("import", help="convert a file that is already here")
    importing.add_argument(
        "file", help="the published file: .pth, .pt, .tar, .pkl, .bin, .safetensors, .params or .npz"
    )
    importing.add_argument(
        "--reference", required=True, help="which published network it is (list --references)"
    )
    importing.add_argument("--out", help="folder to write to (default weights/imported/<file name>)")
    importing.add_argument("--nclass", type=int, help="number of classes (default: read off the file)")
    importing.add_argument("--data", help="data set the classes belong to (default: by their number)")
    importing.add_argument(
        "--option",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="network keyword over the reference's, as align_corners=true",
    )

    exporting = commands.add_parser("export", help="write what was trained here in a reference's own format")
    exporting.add_argument("run", help="a run's folder or a .params file with its recipe beside it")
    exporting.add_argument("out", help="file to write: .pth, .safetensors or .npz")
    exporting.add_argument(
        "--reference", required=True, help="the published network that it is (list --references)"
    )
    exporting.add_argument(
        "--prefix", default="", help="put in front of every name, as module. for SFSegNets' scripts"
    )

    shrinking = commands.add_parser("shrink", help="a small copy of a network to pass on")
    shrinking.add_argument("run", help="a run's folder or a .params file with its recipe beside it")
    shrinking.add_argument(
        "out", help="folder to write to: weights, recipe, and the curves and report of a run"
    )
    shrinking.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        default=16,
        help="16: float16; 8: integers with a scale per channel",
    )

    averaging = commands.add_parser("average", help="the mean of several trainings of one network")
    averaging.add_argument(
        "runs", nargs="+", metavar="run", help="runs' folders or .params files with their recipes beside them"
    )
    averaging.add_argument("--out", required=True, help="folder to write to: weights, recipe of the last run")

    for command in (listing, fetching):
        command.add_argument("--index", help="index of published weights (default weights/index.yaml)")
    for command in (fetching, importing, shrinking, averaging):
        command.add_argument(
            "--force", action="store_true", help="replace what an earlier command left in the output folder"
        )
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_weights, argv, FLAGS)


def _weights(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    commands = {
        "list": _list,
        "fetch": _fetch,
        "import": _import,
        "export": _export,
        "shrink": _shrink,
        "average": _average,
    }
    return commands[options.command](options)


def _list(options):
    if options.references:
        for name in matching(options.pattern, references(), "references"):
            print(f"{name:<44} {reference_info(name).model}")
        return 0
    found = select(read_index(options.index), options.pattern, options.model, options.data, options.score)
    for name, entry in found.items():
        what = entry.get("reference") or f"ImageNet backbone {entry['backbone']}"
        score = f"{entry['miou']:.2f} mIoU" if "miou" in entry else ""
        print(f"{name:<58} {what:<34} {entry.get('data', ''):<16} {score}")
    return 0


def _fetch(options):
    from mxnetseg.weights.imagenet import local_file
    from mxnetseg.weights.importer import check_target

    entry = entry_of(options.name, options.index)
    if "backbone" in entry:
        folder = Path(options.out or imagenet_folder())
        present = local_file(entry["backbone"], folder)
        if present and not options.force:
            raise CheckpointError(f"{present} exists: give another output folder, or let it be replaced")
        path = fetch(entry, folder / "downloads", not options.quiet, options.force)
        target = folder / (entry["backbone"] + path.suffix)
        path.replace(target)
        print(f"ImageNet weights of {entry['backbone']}: {target}")
        return 0
    out = Path(options.out or Path("weights", "imported", entry["name"]))
    check_target(out, options.force)
    file = fetch(entry, out.parent / "downloads", not options.quiet, options.force)
    return _convert(
        entry["reference"],
        file,
        out,
        entry["nclass"],
        entry["data"],
        entry.get("options"),
        options.force,
        entry.get("miou"),
    )


def _import(options):
    file = Path(options.file)
    out = Path(options.out or Path("weights", "imported", file.stem))
    return _convert(
        options.reference,
        file,
        out,
        options.nclass,
        options.data,
        parse_settings(options.option, "--option"),
        options.force,
    )


def _export(options):
    from mxnetseg.weights.checkpoint import load_network
    from mxnetseg.weights.dumping import dump
    from mxnetseg.weights.rename import reference_info
    from mxnetseg.weights.writing import write_tensors

    net, recipe = load_network(options.run)
    entry, model = reference_info(options.reference), recipe.model.name
    if entry.model != model:
        own = [name for name in references() if reference_info(name).model == model]
        raise CheckpointError(
            f"{options.run} is a {model}, and reference {options.reference} a {entry.model}: "
            + (f"take one of {model}, such as {', '.join(own[:3])}" if own else f"there is none of {model}")
        )
    found = entry.turned(dump(options.reference, net))
    tensors = {options.prefix + name: array for name, array in found.items()}
    write_tensors(options.out, tensors)
    print(f"{options.run} as {options.reference}, {len(tensors)} tensors: {options.out}")
    return 0


def _shrink(options):
    from mxnetseg.weights.shrinking import shrink

    found = shrink(options.run, options.out, options.bits, options.force)
    print(
        f"{found.path}: {found.size / 1e6:.1f} MB; numbers change by at most {found.change:.1e} "
        f"of the largest of their tensor"
    )
    return 0


def _average(options):
    from mxnetseg.weights.averaging import average

    print(f"{average(options.runs, options.out, options.force)}: the mean of {len(options.runs)} networks")
    return 0


def _convert(reference, file, out, nclass, data, keywords, force, miou=None):
    from mxnetseg.weights.importer import import_checkpoint

    path, nclass = import_checkpoint(reference, file, out, nclass, data, keywords, force)
    print(f"{file} is {reference} with {nclass} classes: every tensor is in {path}")
    if miou:
        print(f"its authors state {miou} mIoU")
    print(f"python eval.py --checkpoint {path} --mode val")
    return 0

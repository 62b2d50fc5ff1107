"""What can be fetched: `weights/index.yaml`, read, checked and searched."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Union

import yaml

from mxnetseg.errors import CheckpointError, nearest
from mxnetseg.places import weights_index

Entry = Dict[str, Any]


def read_index(path: Optional[Union[str, Path]] = None) -> Dict[str, Entry]:
    """{name: entry} of the index: `reference` or `backbone`, `url` (one or a list of mirrors; of a backbone
    that has none `from`, where a person finds it, and `file`, its name), and where known `sha256`, `sha1`
    (whole or a prefix), `bytes`, `nclass`, `data`, `options`, `miou`.

    Raises CheckpointError for a file that is missing or no index.
    """
    path = Path(path or weights_index())
    if not path.is_file():
        raise CheckpointError(f"no index of published weights at {path}; give another index")
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError("expected a list of entries")
        for number, entry in enumerate(entries, 1):
            wrong = _wrong_in(entry)
            if wrong:
                raise ValueError(f"entry {number}: {wrong}")
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OSError) as error:
        raise CheckpointError(
            f"{path} is no index of weights: {' '.join(str(error).split())[:160]}"
        ) from None
    return {entry["name"]: entry for entry in entries}


def _wrong_in(entry):
    """What an entry of the index lacks, None where it is sound. Names become file names."""
    if not isinstance(entry, dict):
        return "not a mapping"
    if not re.fullmatch(r"\w[\w.+-]*", str(entry.get("name"))):
        return f"name {str(entry.get('name'))[:40]!r} is not of letters, digits and ._+-"
    if isinstance(entry.get("reference"), str) == isinstance(entry.get("backbone"), str):
        return "one of reference and backbone is needed"
    if "reference" in entry and not (type(entry.get("nclass")) is int and isinstance(entry.get("data"), str)):
        return "a reference needs nclass and data"
    if "backbone" in entry and not re.fullmatch(r"\w[\w.+-]*", entry["backbone"]):
        return f"{entry['backbone'][:40]!r} is no backbone"
    if isinstance(entry.get("from"), str) and "url" not in entry and "backbone" in entry:
        return None
    for url in urls_of(entry):
        # The last part becomes the file's name.
        if not re.fullmatch(r"https?://[^\s]+/\w[\w.+%-]*", str(url)):
            return f"{str(url)[:60]!r} is no address of a file"
    if type(entry.get("bytes", 0)) is not int:
        return "bytes is no number"
    return None


def urls_of(entry: Entry) -> List[str]:
    """The addresses of an entry's file, mirrors in order."""
    urls = entry.get("url")
    if urls is None and "from" in entry:
        return []
    return urls if isinstance(urls, list) and urls else [urls]


def entry_of(name: str, index: Optional[Union[str, Path]] = None) -> Entry:
    """The index entry of `name`; CheckpointError with the nearest names if there is none."""
    entries = read_index(index)
    if name not in entries:
        close = nearest(name, entries) or list(entries)[:3]
        raise CheckpointError(f"no published weights are named {name!r}; nearest: {', '.join(close)}")
    return entries[name]


def select(
    entries: Dict[str, Entry],
    pattern: str = "*",
    model: Optional[str] = None,
    data: Optional[str] = None,
    score: Optional[float] = None,
) -> Dict[str, Entry]:
    """The entries whose name matches a shell pattern, of a model, of a data set, scored `score` or more.

    `score`: mIoU in percent at one scale. Raises CheckpointError with the nearest names where none matches.
    """
    names = matching(pattern, entries, "published weights")
    found = {name: entries[name] for name in names}
    for what, wanted, fact in (("model", model, model_of), ("data set", data, lambda e: e.get("data"))):
        if wanted is not None:
            there = sorted({str(fact(entry)) for entry in found.values() if fact(entry)})
            found = {name: entry for name, entry in found.items() if fact(entry) == wanted}
            if not found:
                close = nearest(wanted, there)
                hint = f"nearest: {', '.join(close)}" if close else f"there are {', '.join(there) or 'none'}"
                raise CheckpointError(f"no published weights of {what} {wanted!r}; {hint}")
    if score is None:
        return found
    scores = {name: entry["miou"] for name, entry in found.items() if "miou" in entry}
    if max(scores.values(), default=0) < score:
        best = max(scores, key=scores.get, default=None)
        hint = f"the best is {best} with {scores[best]}" if best else "none of them states one"
        raise CheckpointError(f"none of these {len(found)} published weights scores {score:g} mIoU; {hint}")
    return {name: found[name] for name, miou in scores.items() if miou >= score}


def matching(pattern: str, names: Iterable[str], what: str) -> List[str]:
    """The names that match a shell pattern; CheckpointError with the nearest where none does."""
    names = list(names)
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if found:
        return found
    inside = [name for name in names if pattern in name]
    if inside:
        raise CheckpointError(
            f"no {what} are named {pattern!r}; '*{pattern}*' matches {len(inside)}, as {inside[0]}"
        )
    # What begins alike is rather meant than what is only spelt alike.
    close = nearest(pattern, [name for name in names if name[:4] == pattern[:4]]) or nearest(pattern, names)
    hint = f"nearest: {', '.join(close)}" if close else f"there are {', '.join(names[:3])} ..."
    raise CheckpointError(f"no {what} match {pattern!r}; {hint}")


def model_of(entry: Entry) -> Optional[str]:
    """The model that an entry is read into; None for weights of a backbone."""
    from mxnetseg.weights.rename import reference_info

    return reference_info(entry["reference"]).model if "reference" in entry else None

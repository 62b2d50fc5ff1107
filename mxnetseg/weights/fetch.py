"""Downloading published files: explicit, resumable, checked, and in place only when whole.

`weights/index.yaml` lists what can be fetched. Nothing else in the package opens a connection.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Optional, Union

import yaml

from mxnetseg.errors import CheckpointError, nearest
from mxnetseg.places import weights_index

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte


def read_index(path: Optional[Union[str, Path]] = None) -> Dict[str, Dict[str, Any]]:
    """{name: entry} of the index: `reference` or `backbone`, `url` (one or a list of mirrors), and
    where known `sha256`, `sha1` (whole or a prefix), `bytes`, `nclass`, `data`, `options`, `miou`.

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
    for url in _urls(entry):
        # The last part becomes the file's name.
        if not re.fullmatch(r"https?://[^\s]+/\w[\w.+%-]*", str(url)):
            return f"{str(url)[:60]!r} is no address of a file"
    if type(entry.get("bytes", 0)) is not int:
        return "bytes is no number"
    return None


def _urls(entry):
    urls = entry.get("url")
    return urls if isinstance(urls, list) and urls else [urls]


def entry_of(name: str, index: Optional[Union[str, Path]] = None) -> Dict[str, Any]:
    """The index entry of `name`; CheckpointError with the nearest names if there is none."""
    entries = read_index(index)
    if name not in entries:
        close = nearest(name, entries) or list(entries)[:3]
        raise CheckpointError(f"no published weights are named {name!r}; nearest: {', '.join(close)}")
    return entries[name]


def fetch(
    entry: Dict[str, Any], folder: Union[str, Path], progress: bool = True, force: bool = False
) -> Path:
    """Download the file of an index entry into `folder`; returns its path.

    Of a zip the one file inside is taken, and the checksum is that file's. A partial download is kept
    as `<file>.part` and continued. The file appears under its name only when its checksum and size are
    right. Mirrors are tried in order. `force`: replace another file of that name. Raises CheckpointError.
    """
    urls = _urls(entry)
    archived = urls[0].endswith(".zip")
    target = Path(folder) / (entry["name"] + ".params" if archived else urls[0].rsplit("/", 1)[-1])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot create the folder {target.parent}: {error.strerror}") from None
    if target.exists():
        complaint = _complaint(target, entry)
        if not complaint:
            return target
        if not force:
            raise CheckpointError(f"{target} is there and another file ({complaint}): let it be replaced")
    failures = []
    for url in urls:
        try:
            part = target.with_name(target.name + ".part")
            _download(url, part, entry, progress)
            if archived:
                _unzip(part)
        except OSError as error:  # requests' own exceptions are OSErrors too
            failures.append(f"{url}: {_reason(error)}")
            continue
        complaint = _complaint(part, entry)
        if complaint:
            part.unlink()
            failures.append(f"{url}: {complaint}")
            continue
        os.replace(part, target)
        return target
    raise CheckpointError(
        f"could not fetch {entry['name']}: {'; '.join(failures)}. Put the file at {target} by hand to go on"
    )


def _download(url, part, entry, progress):
    import requests
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing left to send: the part is whole, the checksum will tell
            return
        answer.raise_for_status()
        if answer.status_code != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else entry.get("bytes")
        received = have
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress
            ) as bar,
        ):
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                if total and received > total:
                    raise OSError(f"more than {total} bytes came")
        if length and received != total:
            raise OSError(f"the connection ended after {received} of {total} bytes; run it again to continue")


def _unzip(part):
    """Replace the archive `part` by the only file in it."""
    inner = part.with_name(part.name + ".inner")
    try:
        with zipfile.ZipFile(part) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) != 1:
                raise OSError(f"the archive holds {len(members)} files where one was expected")
            if members[0].file_size > shutil.disk_usage(part.parent).free:
                raise OSError(f"the {members[0].file_size} bytes in the archive do not fit on the disk")
            with archive.open(members[0]) as source, open(inner, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        part.unlink()
        inner.unlink(missing_ok=True)
        raise OSError("what came is no zip file, or damaged") from None
    except OSError:
        inner.unlink(missing_ok=True)
        raise
    os.replace(inner, part)


def _complaint(path, entry):
    if not path.is_file():
        return "no file"
    size = path.stat().st_size
    if entry.get("bytes") and size != entry["bytes"]:
        return f"{size} bytes came, {entry['bytes']} were expected"
    for kind in ("sha256", "sha1"):
        wanted = entry.get(kind)
        if wanted and not _digest(path, kind).startswith(wanted):
            return f"the {kind} is not {wanted}: the file is damaged or another one"
    return None


def _digest(path, kind):
    digest = hashlib.new(kind)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _reason(error):
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"the server answered {answer.status_code} {answer.reason}"
    return str(error).splitlines()[0][:160] or type(error).__name__

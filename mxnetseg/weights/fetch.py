"""Downloading published files: explicit, resumable, checked, and in place only when whole.

`weights/index.yaml` lists what can be fetched (see `index`). Nothing else in the package opens a
connection. The environment variable MXNETSEG_WEIGHTS names what stands in for the publishers' servers: a
folder of files that were downloaded already, which are looked for there first, or the address of a mirror,
which is asked and nobody else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import List, Union
from urllib.parse import urlsplit

from mxnetseg.errors import CheckpointError
from mxnetseg.places import imagenet_folder, weights_folder, weights_mirror
from mxnetseg.weights.index import Entry, urls_of

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte


def fetch(entry: Entry, folder: Union[str, Path], progress: bool = True, force: bool = False) -> Path:
    """Download the file of an index entry into `folder`; returns its path.

    Of a zip the one file inside is taken, and the checksum is that file's. A partial download is kept
    as `<file>.part` and continued, by the same call while the server goes on sending something. The file
    appears under its name only when its checksum and size are right. Mirrors are tried in order. `force`:
    replace another file of that name. Raises CheckpointError.
    """
    urls = urls_of(entry)
    if not urls:
        raise CheckpointError(f"{entry['name']} cannot be fetched by a program: {by_hand(entry)}")
    archived = urls[0].endswith(".zip")
    target = Path(folder) / (entry["name"] + ".params" if archived else file_name(urls[0]))
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
    part = target.with_name(target.name + ".part")
    failures = []
    for source in [*_on_disk(urls), *_addresses(urls)]:
        try:
            if isinstance(source, Path):
                shutil.copyfile(source, part)
            else:
                _download(source, part, entry, progress)
            if archived:
                _unzip(part)
        except OSError as error:  # requests' own exceptions are OSErrors too
            failures.append(f"{source}: {_reason(error)}")
            continue
        complaint = _complaint(part, entry)
        if complaint:
            part.unlink()
            failures.append(f"{source}: {complaint}")
            continue
        os.replace(part, target)
        return target
    kept = "Run it again to continue, or put" if part.exists() else "Put"
    raise CheckpointError(
        f"could not fetch {entry['name']}: {'; '.join(failures)}. {kept} the file at {target} by hand"
    )


def by_hand(entry: Entry) -> str:
    """What a person does who needs the weights of a backbone that lie at no address."""
    file = entry.get("file", "a file of them")
    place = imagenet_folder() / f"{entry['backbone']}.pth"
    return f"{file} is linked in {entry['from']}; download it and put it at {place}"


def file_name(url: str) -> str:
    """The last part of an address."""
    return url.rsplit("/", 1)[-1]


def _on_disk(urls: List[str]) -> List[Path]:
    """The files of MXNETSEG_WEIGHTS that may be one of these: by name, or under the path of the address."""
    folder = weights_folder()
    if folder is None:
        return []
    names = [name for url in urls for name in (file_name(url), urlsplit(url).path.lstrip("/"))]
    return [folder / name for name in dict.fromkeys(names) if (folder / name).is_file()]


def _addresses(urls: List[str]) -> List[str]:
    """Where to ask: the publishers, or the mirror of MXNETSEG_WEIGHTS, with their folders or without."""
    mirror = weights_mirror()
    if mirror is None:
        return urls
    names = [name for url in urls for name in (file_name(url), urlsplit(url).path.lstrip("/"))]
    return [f"{mirror}/{name}" for name in dict.fromkeys(names)]


def _download(url, part, entry, progress):
    """Fetch into `part`, from where it ends; again after each connection that brought something and broke."""
    import requests

    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _receive(url, part, entry, progress)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, _Ended) as error:
            there = part.stat().st_size if part.exists() else 0
            if there <= before:
                broken = isinstance(error, requests.exceptions.ChunkedEncodingError)
                raise _Ended(f"the connection ended after {there} bytes") if broken else error from None


class _Ended(OSError):
    """A connection that ended before the file did."""


def _receive(url, part, entry, progress):
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
            raise _Ended(f"the connection ended after {received} of {total} bytes")


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

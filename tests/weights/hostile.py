"""Weights files made to do harm, and damaged ones without number: `python -m tests.weights.hostile`.

Each case is a file of the corpus changed at random, in its bytes or, where a checksum would give that away,
in what it holds; or a pickle of random instructions. A case passes when `read_tensors` returns arrays or
raises CheckpointError in one line, with the memory of the process below a ceiling. A case that runs longer
than a minute ends the process with a traceback. The same seed gives the same cases.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import io
import pickletools
import random
import resource
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError
from mxnetseg.weights.reading import read_tensors
from tests.weights.torch_writer import save

FILES = Path(__file__).parent / "files"
SECONDS = 60  # that one case may take
TENSORS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn.bias": np.ones(3, np.float32),
    "half": np.ones((2, 2), np.float16),
    "steps": np.array(3),
}
NUMBERS = [0, 1, 2, 7, 31, 32, 33, 80, 127, 128, 255, 256, 65535, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31]
NUMBERS += [(1 << 32) - 1, 1 << 40, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1]
# Instructions that make containers and calls of what is on the stack, and that keep or fetch things.
CONTAINERS = [b"\x85", b"\x86", b"2", b"e", b"u", b"R", b"t", b"s", b"a", b"(", b"]", b"}"]
MEMORY = [b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x94", b"0"]
# Names that a program may ask for, those it is given something for and those it must not be.
NAMES = [
    "collections OrderedDict",
    "collections defaultdict",
    "collections Counter",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_sparse_tensor",
    "torch._tensor _rebuild_from_type_v2",
    "torch Size",
    "torch FloatStorage",
    "torch bfloat16",
    "os system",
    "builtins exec",
    "builtins eval",
    "numpy.core.multiarray _reconstruct",
]


def corpus():
    """[(ending, content)] of whole files of every kind."""
    whole = [path for path in sorted(FILES.glob("*.pth")) if path.name != "no_crc.pth"]
    found = [(".pth", path.read_bytes()) for path in whole]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net"
        for stream in (False, True):
            save({"state_dict": TENSORS, "epoch": 3, "loss": [0.5, 0.25]}, path, stream)
            found.append((".pth", path.read_bytes()))
        safetensors.numpy.save_file(TENSORS, path)
        found.append((".safetensors", path.read_bytes()))
        for write in (np.savez, np.savez_compressed):
            with open(path, "wb") as file:
                write(file, **TENSORS)
            found.append((".npz", path.read_bytes()))
        with open(path, "wb") as file:
            params_file.write(file, {f"arg:{name}": np.atleast_1d(a) for name, a in TENSORS.items()})
        found.append((".params", path.read_bytes()))
    return found


def damaged(data, rng):
    """`data` with a few places changed, left out, repeated or cut."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        place = rng.randrange(len(data))
        length = rng.choice((1, 2, 4, 8, 16, 64))
        kind = rng.randrange(6)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            size = rng.choice((1, 2, 4, 8))
            data[place : place + size] = (rng.choice(NUMBERS) % (1 << (8 * size))).to_bytes(size, "little")
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length] * rng.choice((1, 2, 100))
        elif kind == 4:
            data[place : place + length] = rng.randbytes(length)
        else:
            del data[place:]
    return bytes(data)


def repacked(data, rng):
    """A zip archive with one entry damaged or replaced and every checksum right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(entries))
    if name.endswith("data.pkl") and rng.random() < 0.8:
        entries[name] = changed_program(entries[name], rng) if rng.random() < 0.7 else random_program(rng)
    else:
        entries[name] = damaged(entries[name], rng)
    if rng.random() < 0.1:
        entries[rng.choice(list(entries))] = b""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def changed_program(program, rng):
    """A pickle with whole instructions exchanged, repeated, moved or left out."""
    starts = [place for _, _, place in pickletools.genops(program)] + [len(program)]
    steps = [program[a:b] for a, b in zip(starts, starts[1:])]
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(steps))
        kind = rng.randrange(5)
        if kind == 0:
            steps[place] = instruction(rng)
        elif kind == 1:
            steps.insert(place, instruction(rng))
        elif kind == 2 and len(steps) > 1:
            del steps[place]
        elif kind == 3:
            steps[place:place] = steps[place : place + rng.randrange(1, 12)] * rng.choice((1, 1, 50))
        else:
            other = rng.randrange(len(steps))
            steps[place], steps[other] = steps[other], steps[place]
    return b"".join(steps)


def random_program(rng):
    """A pickle of random instructions, most of which find what they need on the stack."""
    steps = [b"\x80\x02"]
    for _ in range(rng.choice((5, 20, 100, 1000))):
        steps += [instruction(rng) for _ in range(rng.randrange(4))]
        steps.append(
            rng.choice((b"\x85", b"\x86", b"2", b"e", b"u", b"R", b"t", b"s", b"a", b"(", b"]", b"}"))
        )
        if rng.random() < 0.3:
            steps.append(rng.choice((b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x94", b"0")))
    return b"".join(steps) + b"."


def instruction(rng):
    """One instruction of a pickle with a likely or an unlikely argument."""
    code = rng.choice(pickletools.opcodes)
    letter = code.code.encode("latin-1")
    if code.arg is None:
        return letter
    number = rng.choice(NUMBERS)
    text = rng.choice((b"state_dict", b"0", b"x" * rng.choice((1, 300)), b"-1", str(number).encode()))
    name = code.arg.name
    if name in ("stringnl_noescape_pair",):
        return letter + rng.choice(NAMES).replace(" ", "\n").encode() + b"\n"
    if code.arg.n >= 0:
        return letter + (number % (1 << (8 * code.arg.n))).to_bytes(code.arg.n, "little")
    if code.arg.n in (
        pickletools.TAKEN_FROM_ARGUMENT1,
        pickletools.TAKEN_FROM_ARGUMENT4,
        pickletools.TAKEN_FROM_ARGUMENT4U,
        pickletools.TAKEN_FROM_ARGUMENT8U,
    ):
        width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(code.arg.n, 4)
        length = number if rng.random() < 0.2 else len(text)
        return letter + (length % (1 << (8 * width))).to_bytes(width, "little") + text
    return letter + text + b"\n"


def case(files, seed, index):
    """(ending, content) of one case."""
    rng = random.Random(f"{seed} {index}")
    ending, content = rng.choice(files)
    if content.startswith(b"PK") and rng.random() < 0.7:
        return ending, repacked(content, rng)
    if ending == ".safetensors" and rng.random() < 0.5:
        return ending, _other_header(content, rng)
    return ending, damaged(content, rng)


def _other_header(content, rng):
    """A safetensors file whose JSON says something else."""
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length].decode()
    for _ in range(rng.choice((1, 2, 4))):
        digits = [i for i, c in enumerate(header) if c.isdigit()]
        place = rng.choice(digits)
        header = header[:place] + str(rng.choice(NUMBERS)) + header[place + 1 :]
    if rng.random() < 0.2:
        header = header.replace("[2,3,2,2]", str([1] * 100 + [24]).replace(" ", ""))
    return struct.pack("<Q", len(header)) + header.encode() + content[8 + length :]


def attempt(path):
    """ "read" or "refused"; anything else that `read_tensors` does is an error of this run."""
    try:
        found = read_tensors(path)
    except CheckpointError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error), f"not one line: {error}"
        return "refused"
    assert all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in found.items())
    return "read"


def peak():
    """The most memory that this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forbid_more_than(size):
    """From here on every allocation that would take the process `size` bytes further fails."""
    with open("/proc/self/statm") as handle:
        now = int(handle.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + size, now + size))


def main():
    """Run cases and print how they ended; status 1 with the first that failed."""
    p = argparse.ArgumentParser(prog="python -m tests.weights.hostile", description=__doc__)
    p.add_argument("--cases", type=int, default=20000, help="default %(default)s")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--first", type=int, default=0, help="number of the first case")
    p.add_argument("--ceiling", type=int, default=1024, help="MB beside those at the start (%(default)s)")
    p.add_argument(
        "--files", nargs="*", type=Path, help="read these instead of making cases, and say how each ended"
    )
    options = p.parse_args()
    files, results = corpus(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for ending, content in files:
            path = Path(folder) / f"whole{ending}"
            path.write_bytes(content)
            attempt(path)
        start = peak()
        forbid_more_than(options.ceiling << 20)
        given = [(path.suffix, path.read_bytes()) for path in options.files or ()]
        numbers = range(len(given)) if given else range(options.first, options.first + options.cases)
        for index in numbers:
            ending, content = given[index] if given else case(files, options.seed, index)
            path = Path(folder) / f"net{ending}"
            path.write_bytes(content)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                verdict = attempt(path)
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"hostile_{options.seed}_{index}{ending}"
                kept.write_bytes(content)
                print(f"case {index} of seed {options.seed}, kept as {kept}:", file=sys.stderr)
                raise
            faulthandler.cancel_dump_traceback_later()
            results[verdict] += 1
            if given:
                print(f"{options.files[index].name}: {verdict}, {(peak() - start) >> 20} MB at most so far")
    print(
        f"{sum(results.values())} files: {results['refused']} refused in one line, {results['read']} read; "
        f"{(peak() - start) / 2**20:.0f} MB more than at the start"
    )


if __name__ == "__main__":
    main()

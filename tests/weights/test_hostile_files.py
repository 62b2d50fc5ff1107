"""Small weights files that would take the machine: each is read by a process of its own, with little memory.

`python -m tests.weights.hostile` makes more of them.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from mxnetseg.errors import CheckpointError
from mxnetseg.weights import limits, unpickle
from mxnetseg.weights.rename import reference_info
from tests.weights.hostile import NAMES
from tests.weights.torch_writer import Tensor, archive, save

ONE = np.ones(1, np.float16)
MEGABYTES = 700  # beside those at the start: the 256 MB that any file may take, twice, and some


def many_dimensions(path):
    save({"w": Tensor(np.ones(1, np.float32), (1,) * 80, (2**40,) * 80)}, path)


def expanded_tensors(path):
    save({f"w{i}": Tensor(ONE, (1 << 12, 1 << 12), (0, 0)) for i in range(60)}, path)


def one_tensor_under_many_names(path):
    tensor = Tensor(ONE, (1 << 12, 1 << 12), (0, 0))
    save({f"w{i}": tensor for i in range(60)}, path)


NESTED = b")q\x000" + b"h\x00h\x00\x86q\x000" * 60  # place 0: a tuple of two tuples of two tuples ...


def nested_key(path):
    archive(path, b"\x80\x02" + NESTED + b"}h\x00Ns.")


def nested_storage_name(path):
    archive(path, b"\x80\x02" + NESTED + b"(U\x07storagectorch\nFloatStorage\nh\x00U\x03cpuK\x01tQ.")


def nested_lists(path):
    archive(path, b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")


def memory_of_any_place(path):
    archive(path, b"\x80\x02Nr\xff\xff\xff\x7f0}.")


def bytes_of_any_length(path):
    archive(path, b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"x.")


def copied_dictionaries(path):
    items = b"(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(100_000)) + b"u"
    copies = b"h\x01h\x00\x85Rq\x02" * 100_000
    archive(path, b"\x80\x02}" + items + b"q\x00ccollections\nOrderedDict\nq\x01" + copies + b".")


def calls_within_calls(path):
    maker = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00"
    archive(path, b"\x80\x02" + maker + b"Nq\x01" + b"(h\x00Nh\x01Ntq\x01" * 50_000 + b"h\x00h\x01R.")


def endless_program(path):
    archive(path, b"\x80\x02" + b"}" * (65 << 20) + b".", compression=zipfile.ZIP_DEFLATED)


def many_instructions(path):
    archive(path, b"\x80\x02" + b"}" * (4 << 20) + b".", compression=zipfile.ZIP_DEFLATED)


def inflated_storage(path):
    save({"w": np.zeros(70 << 20, np.float32)}, path)
    with zipfile.ZipFile(path) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as small:
        for name, content in entries.items():
            small.writestr(name, content)


def inflated_npz(path):
    np.savez_compressed(path, w=np.zeros(70 << 20, np.float32))


def lying_npz(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, dict(descr="<f4", fortran_order=False, shape=(1 << 40,)))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w.npy", header.getvalue() + bytes(64))


def objects_in_npz(path):
    np.savez(path, w=np.array([{}], dtype=object))


def safetensors_of(shape, data=b""):
    def write(path):
        header = {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, len(data)]}}
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)

    return write


def params_of(*numbers, form="QQQIii"):
    def write(path):
        path.write_bytes(struct.pack("<" + form, *numbers) + bytes(64))

    return write


CASES = {
    "many dimensions.pth": many_dimensions,
    "expanded tensors.pth": expanded_tensors,
    "one tensor under many names.pth": one_tensor_under_many_names,
    "a storage named by nested tuples.pth": nested_storage_name,
    "lists in lists.pth": nested_lists,
    "bytes of any length.pth": bytes_of_any_length,
    "dictionaries copied.pth": copied_dictionaries,
    "an endless program.pth": endless_program,
    "many instructions.pth": many_instructions,
    "an inflated storage.pth": inflated_storage,
    "an inflated archive.npz": inflated_npz,
    "an array larger than its entry.npz": lying_npz,
    "objects.npz": objects_in_npz,
    "many dimensions.safetensors": safetensors_of([1] * 100, bytes(4)),
    "an empty tensor without bound.safetensors": safetensors_of([0, 1 << 62]),
    "dimensions without end.params": params_of(0x112, 0, 1, 0xF993FAC9, 0, 2**31 - 1),
    "no dimensions at all.params": params_of(0x112, 0, 1, 0xF993FAC9, 0, -5),
    "a shape without bound.params": params_of(
        0x112, 0, 1, 0xF993FAC9, 0, 3, 2**40, 2**40, 2**40, form="QQQIiiqqq"
    ),
    "arrays without end.params": params_of(0x112, 0, 2**62, 0, 0, 0),
    "a sparse array.params": params_of(0x112, 0, 1, 0xF993FAC9, 1, 2),
    # Nothing is wrong with these but what they would make `pickle` do; they hold no tensors.
    "a key of nested tuples.pth": nested_key,
    "memory of any place.pth": memory_of_any_place,
    "calls within calls.pth": calls_within_calls,
}


def read_apart(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.weights.hostile", "--ceiling", str(MEGABYTES), *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """{name of a case: how its reading ended}, all read by one process."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, write in CASES.items():
        write(folder / name)
    done = read_apart("--files", *(folder / name for name in CASES))
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines()[:-1])


@pytest.mark.parametrize("name", CASES)
def test_a_small_file_takes_neither_the_memory_nor_the_time_of_the_machine(name, verdicts):
    assert verdicts[name].startswith("refused")


def test_files_damaged_at_random_are_read_or_refused_in_one_line():
    done = read_apart("--cases", 1500, "--seed", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1500 files: ")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_program_names_is_never_imported(name, monkeypatch):
    monkeypatch.setattr("builtins.__import__", lambda *_: pytest.fail("imported"))
    module, attribute = name.split()
    program = f"c{module}\n{attribute}\n(tR.".encode()
    assert isinstance(unpickle.Unpickler(io.BytesIO(program)).load(), unpickle.Inert)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_of_every_protocol_come_back(protocol):
    value = {
        "text": ["street", "straße 🚗", "", 'a "quoted"\\name\n'],
        "numbers": [0, -1, 255, 65536, -(2**31), 2**40, -(2**70), True, False, None, 0.5, -1e300],
        "bytes": (b"", b"abc", b"x" * 300, ()),
        5: {"nested": [[], {}, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]},
    }
    if protocol < 3:
        del value["bytes"]  # pickled by naming an encoder, which is not called
    assert unpickle.Unpickler(io.BytesIO(pickle.dumps(value, protocol))).load() == value


def test_an_allowance_grows_with_the_file_and_is_spent():
    allowance = limits.Allowance(1 << 20)
    allowance.take(200 << 20, "a tensor")
    with pytest.raises(ValueError, match="a tensor would take 100 MB"):
        allowance.take(100 << 20, "a tensor")
    limits.Allowance(1 << 30).take(8 << 30, "a large file's tensors")


def test_keys_that_are_neither_text_nor_numbers_are_left_out():
    program = pickle.dumps({"a": 1, (1, 2): 2, 3: 3}, 2)
    assert unpickle.Unpickler(io.BytesIO(program)).load() == {"a": 1, 3: 3}


REARRANGED = {
    "emanet": "emau.mu",
    "mmseg_segformer_mit-b0": "backbone.layers.0.1.0.attn.attn.in_proj_weight",
    "mmseg_segmenter_vit-t_mask": "backbone.pos_embed",
    "mmseg_setr_vit-s_naive": "backbone.pos_embed",
}


@pytest.mark.parametrize("shape", [None, (), (7, 3), (1, 1, 1, 1), (0,)])
@pytest.mark.parametrize("reference, name", REARRANGED.items())
def test_tensors_of_another_network_are_one_line_where_a_reference_rearranges_its_own(reference, name, shape):
    entry = reference_info(reference)
    tensors = {"other.weight": np.zeros(3, np.float32)}
    if shape is not None:
        tensors[name] = np.zeros(shape, np.float32)
    for use in (entry.options_for, entry.arranged):
        try:
            use(tensors)
        except CheckpointError as error:
            assert str(error).startswith("the tensors are not those of this reference (")

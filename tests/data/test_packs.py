"""RecordIO: the file format against MXNet's own, packs against what was packed, damage, streaming."""

from __future__ import annotations

import json
import os
import pickle

import cv2
import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.pack import _ENCODED, _PAYLOAD, _RAW, _SIZE, _TAG, pack, unpack_payload, write_train_ids
from mxnetseg.data.prepare import prepare
from mxnetseg.data.recordio import Record, read_index, read_record, write_record
from mxnetseg.data.samplers.weighted import StreamSampler
from mxnetseg.data.transforms import TrainTransform
from mxnetseg.errors import ConfigError, DatasetError
from tests.data import miniatures

_MAGIC = (0xCED7230A).to_bytes(4, "little")
PAYLOADS = [
    b"",
    b"a",
    b"abcd" * 5,
    _MAGIC,
    _MAGIC * 3,
    b"1234" + _MAGIC + b"5678" + _MAGIC + b"9",
    b"12" + _MAGIC,  # not at a multiple of four: stays as it is
    bytes(range(256)) * 300,
]


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camvid")
    made = miniatures.write("camvid", folder / "archives")
    prepare("camvid", str(folder / "root"), made.sources, log=lambda text: None)
    return str(folder / "root")


def _written(path, payloads):
    with open(path + ".rec", "wb") as out, open(path + ".idx", "w") as index:
        for number, payload in enumerate(payloads):
            index.write(f"{number}\t{write_record(out, Record(number, payload))}\n")


def _read_all(path):
    file = os.open(path + ".rec", os.O_RDONLY)
    try:
        return [read_record(file, position, path, 16) for _, position in read_index(path + ".idx")]
    finally:
        os.close(file)


def test_records_come_back_as_written(tmp_path):
    path = str(tmp_path / "a")
    _written(path, PAYLOADS)
    assert [record.payload for record in _read_all(path)] == PAYLOADS
    assert [record.id for record in _read_all(path)] == list(range(len(PAYLOADS)))


def test_mxnet_reads_the_records_that_are_written_here(tmp_path):
    import mxnet as mx

    path = str(tmp_path / "a")
    _written(path, PAYLOADS)
    reader = mx.recordio.MXIndexedRecordIO(path + ".idx", path + ".rec", "r")
    for number in reversed(range(len(PAYLOADS))):
        header, payload = mx.recordio.unpack(reader.read_idx(number))
        assert header.id == number and payload == PAYLOADS[number]
    reader.close()


def test_records_that_mxnet_writes_are_read_here(tmp_path):
    import zlib

    import mxnet as mx

    path = str(tmp_path / "a")
    writer = mx.recordio.MXIndexedRecordIO(path + ".idx", path + ".rec", "w")
    for number, payload in enumerate(PAYLOADS):
        header = mx.recordio.IRHeader(0, 0.0, number, zlib.crc32(payload))
        writer.write_idx(number, mx.recordio.pack(header, payload))
    writer.close()
    assert [record.payload for record in _read_all(path)] == PAYLOADS


@pytest.mark.parametrize("image_format", ["original", "png", "raw"])
@pytest.mark.parametrize("shards", [1, 3])
def test_a_pack_gives_the_samples_that_were_packed(image_format, shards, camvid, tmp_path):
    source = create_dataset("camvid", camvid, "train")
    made = pack(source, str(tmp_path), shards, image_format)
    assert (made.samples, made.shards) == (len(source), shards)
    packed = create_dataset("recordio", str(tmp_path), "train")
    assert packed.name == "camvid" and list(packed.classes) == list(source.classes)
    np.testing.assert_array_equal(packed.palette, source.palette)
    assert packed.ignore_index == source.ignore_index and packed.scales == source.scales
    for i in range(len(source)):
        np.testing.assert_array_equal(packed[i].image, source[i].image)
        np.testing.assert_array_equal(packed[i].label, source[i].label)
        assert packed[i].label.dtype == np.int32 and packed[i].name == source[i].name


def test_a_jpeg_pack_is_close_to_what_was_packed(camvid, tmp_path):
    source = create_dataset("camvid", camvid, "train")
    pack(source, str(tmp_path), 1, "jpeg", quality=98)
    packed = create_dataset("recordio", str(tmp_path), "train")
    difference = packed[0].image.astype(int) - source[0].image
    assert np.abs(difference).mean() < 3


def test_a_split_without_labels_is_packed_too(tmp_path):
    made = miniatures.write("kitti", tmp_path / "archives")
    prepare("kitti", str(tmp_path / "root"), made.sources, log=lambda text: None)
    pack(create_dataset("kitti", str(tmp_path / "root"), "test"), str(tmp_path / "pack"))
    packed = create_dataset("recordio", str(tmp_path / "pack"), "test")
    assert packed[0].label is None and not packed.has_labels


def test_packed_splits_are_joined_with_a_plus(camvid, tmp_path):
    for split in ("train", "val"):
        pack(create_dataset("camvid", camvid, split), str(tmp_path), 1)
    both = create_dataset("recordio", str(tmp_path), "train+val")
    assert both.splits == ("train", "val") and len(both) == 5
    assert both[4].name == create_dataset("camvid", camvid, "val")[1].name


def test_packing_in_several_processes_gives_the_same_files(camvid, tmp_path):
    source = create_dataset("camvid", camvid, "train")
    for workers in (1, 2):
        pack(source, str(tmp_path / str(workers)), 3, workers=workers)
    for name in os.listdir(tmp_path / "1"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_damaged_sample_stops_packing_and_leaves_nothing(camvid, tmp_path):
    made = miniatures.write("camvid", tmp_path / "archives")
    root = tmp_path / "root"
    prepare("camvid", str(root), made.sources, log=lambda text: None)
    miniatures.truncated(str(root / "trainannot" / "0001TP_000001.png"))
    with pytest.raises(DatasetError, match=r"0001TP_000001\.png"):
        pack(create_dataset("camvid", str(root), "train"), str(tmp_path / "pack"), shards=1)
    assert os.listdir(tmp_path / "pack") == []


@pytest.mark.parametrize("keywords", [dict(image_format="gif"), dict(quality=0), dict(shards=9)])
def test_packing_options_out_of_their_limits_are_refused(keywords, camvid, tmp_path):
    with pytest.raises(ConfigError):
        pack(create_dataset("camvid", camvid, "train"), str(tmp_path), **keywords)


@pytest.fixture
def packed(camvid, tmp_path):
    pack(create_dataset("camvid", camvid, "train"), str(tmp_path / "pack"), 2)
    return tmp_path / "pack"


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: os.unlink(f / "train-00001.rec"), "shard is missing"),
        (lambda f: os.unlink(f / "train-00001.idx"), "index of a RecordIO file cannot be read"),
        (lambda f: (f / "train-00001.idx").write_text("0\tx\n"), "cannot be read"),
        (lambda f: (f / "train-00001.idx").write_text(""), "lists 0 records"),
        (lambda f: (f / "train-00001.rec").write_bytes(b""), "truncated"),
        (lambda f: (f / "train.json").write_text("{"), "facts of a pack cannot be read"),
        (lambda f: (f / "train.json").write_text("{}"), "lack title"),
    ],
)
def test_a_damaged_pack_says_what_is_wrong(damage, message, packed):
    damage(packed)
    with pytest.raises(DatasetError, match=message):
        create_dataset("recordio", str(packed), "train")


@pytest.mark.parametrize("image_format", ["original", "raw"])
def test_fuzzed_shards_end_in_one_line_that_names_the_file(image_format, camvid, tmp_path):
    packed = tmp_path / "pack"
    pack(create_dataset("camvid", camvid, "train"), str(packed), 2, image_format)
    rng = np.random.default_rng(1)
    path = packed / "train-00000.rec"
    whole = path.read_bytes()
    source = create_dataset("recordio", str(packed), "train")
    expected = [source[i] for i in range(len(source))]
    noticed = 0
    for _ in range(60):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        dataset = create_dataset("recordio", str(packed), "train")
        for i in range(len(dataset)):
            try:
                sample = dataset[i]
            except DatasetError as error:
                noticed += 1
                assert str(path) in str(error) and "\n" not in str(error)
            else:
                # What is read is right: nothing damaged slips through.
                np.testing.assert_array_equal(sample.label, expected[i].label)
                np.testing.assert_array_equal(sample.image, expected[i].image)
    assert noticed > 40


def test_a_pack_is_missing_or_has_no_such_split(packed, tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        create_dataset("recordio", str(tmp_path / "nowhere"), "train")
    with pytest.raises(DatasetError, match=r"no split 'val'; it has train"):
        create_dataset("recordio", str(packed), "val")


@pytest.mark.parametrize("mode", ["process", "thread", "none"])
def test_a_loader_streams_a_pack_in_every_mode_with_equal_batches(mode, packed):
    dataset = create_dataset("recordio", str(packed), "train")
    transform = TrainTransform(16, ignore_index=dataset.ignore_index)
    with TrainLoader(dataset, transform, 1, seed=3, workers=2, mode=mode) as loader:
        assert isinstance(loader.sampler, StreamSampler)
        got = [(batch.images.copy(), batch.names) for batch in loader.epoch(1)]
    with TrainLoader(dataset, transform, 1, seed=3, mode="none") as loader:
        want = [(batch.images.copy(), batch.names) for batch in loader.epoch(1)]
    assert len(got) == 3
    for (images, names), (other, others) in zip(got, want):
        np.testing.assert_array_equal(images, other)
        assert names == others


def test_a_damaged_record_stops_training_and_is_skipped_if_asked(packed):
    path = packed / "train-00000.rec"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    dataset = create_dataset("recordio", str(packed), "train")
    transform = TrainTransform(16)
    with TrainLoader(dataset, transform, 3, mode="none") as loader, pytest.raises(DatasetError):
        list(loader.epoch(0))
    with TrainLoader(dataset, transform, 3, mode="none", skip_bad_samples=True) as loader:
        assert len(list(loader.epoch(0))) == 1
        assert list(loader.bad_samples) == [0]


def test_a_pack_survives_pickling_and_reading_from_many_threads(packed):
    from concurrent.futures import ThreadPoolExecutor

    dataset = create_dataset("recordio", str(packed), "train")
    dataset[0]
    copy = pickle.loads(pickle.dumps(dataset))
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda i: copy[i % 3].name, range(60)))
    assert names == [dataset[i % 3].name for i in range(60)]


def test_stream_order_visits_all_once_and_depends_on_epoch_and_seed_only():
    sampler = StreamSampler([(0, 40), (40, 55), (55, 100)], window=8)
    first = sampler(0, 1)
    assert sorted(i for i, _ in first) == list(range(100)) and len(sampler) == 100
    assert first == StreamSampler([(0, 40), (40, 55), (55, 100)], window=8)(0, 1)
    assert first != sampler(1, 1) and first != sampler(0, 2)


def test_a_stream_stays_near_the_front_of_its_shard():
    sampler = StreamSampler([(0, 1000)], window=10)
    order = [i for i, _ in sampler(0, 0)]
    # A sample waits at most until it is drawn; none is read ahead of the window.
    assert all(index <= place + 10 for place, index in enumerate(order))
    strict = [i for i, _ in StreamSampler([(0, 1000)], window=1)(0, 0)]
    assert strict == list(range(1000))


def test_train_ids_are_written_under_the_names_of_the_samples(tmp_path):
    made = miniatures.write("idd19", tmp_path / "archives")
    root = str(tmp_path / "root")
    prepare("idd19", root, made.sources, log=lambda text: None)
    dataset = create_dataset("idd19", root, "train")
    assert write_train_ids(dataset, str(tmp_path / "ids")) == 2
    for name, label in made.expected["train"].items():
        stored = cv2.imread(str(tmp_path / "ids" / "train" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(stored, label)


def test_the_facts_file_of_a_pack_is_plain_json(packed):
    facts = json.loads((packed / "train.json").read_text())
    assert facts["samples"] == 3 and [s["samples"] for s in facts["shards"]] == [1, 2]


@pytest.mark.parametrize(
    "kind, name, image, complaint",
    [
        (_RAW, b"a", b"", "another size"),
        (_RAW, b"a", _SIZE.pack(65535, 65535), "another size"),
        (_RAW, b"a", _SIZE.pack(2, 2) + bytes(11), "another size"),
        (_ENCODED, b"\xff\xfe", b"", "cannot be decoded"),
        (_ENCODED, b"a", b"P5 65535 65535 255 ", "cannot be decoded"),
    ],
)
def test_a_record_that_says_what_cannot_be_is_one_line(kind, name, image, complaint):
    payload = _PAYLOAD.pack(_TAG, kind, len(name), len(image), 0) + name + image
    with pytest.raises(DatasetError, match=rf"here: picture of .*{complaint}"):
        unpack_payload(payload, "here")

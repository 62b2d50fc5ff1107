"""Pictures and labels of every kind that people have, and the words for those that are broken."""

from __future__ import annotations

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mxnetseg.data import png
from mxnetseg.data.headers import dimensions
from mxnetseg.data.reading import read_image, read_label
from mxnetseg.errors import ConfigError, DatasetError
from tests.data.disk import labels, picture, write
from tests.data.test_png import block


def one_line_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_colour_pictures_come_back_as_rgb(tmp_path):
    image = picture()
    assert np.array_equal(read_image(str(write(tmp_path / "a.png", image))), image)


def test_grey_pictures_become_three_equal_channels(tmp_path):
    grey = picture()[:, :, 0]
    read = read_image(str(write(tmp_path / "a.png", grey)))
    assert all(np.array_equal(read[:, :, k], grey) for k in range(3))


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    grey = picture()[:, :, 0]
    read = read_image(str(write(tmp_path / "a.png", grey.astype(np.uint16) * 257)))
    assert np.array_equal(read[:, :, 0], grey)


def test_alpha_is_dropped(tmp_path):
    image = picture()
    alpha = np.full(image.shape[:2], 7, np.uint8)
    read = read_image(str(write(tmp_path / "a.png", np.dstack([image, alpha]))))
    assert np.array_equal(read, image)


def test_palette_pictures_show_their_colours(tmp_path):
    indices = labels([0, 1, 2])
    pictured = Image.fromarray(indices).convert("P")
    pictured.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    pictured.save(tmp_path / "a.png")
    colours = np.uint8([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    assert np.array_equal(read_image(str(tmp_path / "a.png")), colours[indices])


def test_exif_orientation_is_applied_as_viewers_do(tmp_path):
    image = picture((16, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_image(str(tmp_path / "a.jpg")).shape == (48, 16, 3)


def test_palette_labels_give_indices_not_colours(tmp_path):
    indices = labels([0, 1, 5])
    pictured = Image.fromarray(indices).convert("P")
    pictured.putpalette([200, 10, 20] * 256)
    pictured.putdata(indices.ravel().tolist())
    pictured.save(tmp_path / "a.png")
    assert np.array_equal(read_label(str(tmp_path / "a.png")), indices)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_labels_of_few_bits_keep_their_values(tmp_path, bits):
    indices = labels(range(2**bits), size=(4, 8))
    packed = b""
    for row in indices:
        joined = "".join(format(int(value), f"0{bits}b") for value in row)
        packed += b"\0" + int(joined, 2).to_bytes(len(joined) // 8, "big")

    header = struct.pack(">IIBBBBB", 8, 4, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header)
    data += block(b"IDAT", zlib.compress(packed)) + block(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    assert np.array_equal(read_label(str(tmp_path / "a.png")), indices)


def test_sixteen_bit_labels_keep_values_above_255(tmp_path):
    wide = labels([0, 300, 40000], dtype=np.uint16)
    read = read_label(str(write(tmp_path / "a.png", wide)))
    assert read.dtype == np.uint16
    assert np.array_equal(read, wide)


def test_labels_saved_as_three_equal_channels_count_as_ids(tmp_path):
    ids = labels([0, 1, 2])
    assert np.array_equal(read_label(str(write(tmp_path / "a.png", np.dstack([ids] * 3)))), ids)


def test_jpeg_labels_are_refused(tmp_path):
    path = write(tmp_path / "a.jpg", labels([0, 1]))
    with pytest.raises(DatasetError) as error:
        read_label(str(path))
    assert "JPEG" in one_line_of(error)


@pytest.mark.parametrize("extension", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_truncated_files_are_named(tmp_path, extension, kept):
    path = write(tmp_path / f"a.{extension}", picture((64, 64)))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DatasetError) as error:
        read_image(str(path))
    assert str(path) in one_line_of(error)
    assert "it is truncated" in one_line_of(error)


def test_flipped_bytes_inside_a_png_are_found(tmp_path):
    path = write(tmp_path / "a.png", picture((64, 64)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DatasetError) as error:
        read_image(str(path))
    assert "checksum" in one_line_of(error)


@pytest.mark.parametrize("read", [read_image, read_label])
@pytest.mark.parametrize(
    ("name", "contents", "word"),
    [("none.png", None, "does not exist"), ("empty.png", b"", "0 bytes"), ("text.png", b"hello", "decoded")],
)
def test_files_that_are_no_pictures_are_named(tmp_path, read, name, contents, word):
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(DatasetError) as error:
        read(str(tmp_path / name))
    assert name in one_line_of(error)
    assert word in one_line_of(error)


def test_random_damage_never_gives_anything_but_a_dataset_error(tmp_path):
    rng = np.random.default_rng(0)
    for extension in ("png", "jpg"):
        whole = write(tmp_path / f"whole.{extension}", picture((40, 40))).read_bytes()
        for case in range(60):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
            path = tmp_path / f"{case}.{extension}"
            path.write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
            for read in (read_image, read_label):
                try:
                    read(str(path))
                except DatasetError as error:
                    assert str(path) in str(error)


@pytest.mark.parametrize("read", [read_image, read_label])
def test_a_pipe_or_a_device_under_a_pictures_name_is_refused(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "endless.png"):
        with pytest.raises(DatasetError, match="is a pipe or a device") as error:
            read(str(tmp_path / name))
        assert name in one_line_of(error)


def bomb(side):
    """A grey PNG of side x side zeros: a thousandth of what it states."""
    packer = zlib.compressobj(1)
    lines = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return png.SIGNATURE + block(b"IHDR", header) + block(b"IDAT", lines) + block(b"IEND", b"")


@pytest.mark.parametrize("read", [read_image, read_label])
def test_a_small_file_of_a_huge_picture_is_not_decoded(read, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(bomb(20_000))
    assert (tmp_path / "a.png").stat().st_size < 3_000_000
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(png, "read_plain", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DatasetError) as error:
        read(str(tmp_path / "a.png"))
    assert "20000 x 20000 pixels" in one_line_of(error)


def test_the_limit_of_pixels_can_be_set(tmp_path, monkeypatch):
    path = str(write(tmp_path / "a.png", picture((24, 32))))
    monkeypatch.setenv("MXNETSEG_MAX_PIXELS", str(24 * 32))
    assert read_image(path).shape == (24, 32, 3)
    monkeypatch.setenv("MXNETSEG_MAX_PIXELS", str(24 * 32 - 1))
    with pytest.raises(DatasetError, match="32 x 24 pixels; 767 are the most"):
        read_image(path)
    monkeypatch.setenv("MXNETSEG_MAX_PIXELS", "many")
    with pytest.raises(ConfigError, match="MXNETSEG_MAX_PIXELS=many"):
        read_image(path)


def test_a_file_larger_than_any_picture_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(1 << 33)  # takes no room on the disk
    with pytest.raises(DatasetError, match="8192 MB"):
        read_image(str(tmp_path / "a.png"))


def files_of_every_kind(image):
    """{kind: bytes} of one picture."""
    found = {}
    for ending in (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".pgm"):
        pixels = image[:, :, 0] if ending == ".pgm" else image
        found[ending] = cv2.imencode(ending, pixels)[1].tobytes()
    for kind, options in (
        ("gif", {}),
        ("webp", dict(lossless=True)),
        ("webp", dict(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")),
        ("jpeg", dict(progressive=True, exif=b"Exif\0\0" + bytes(500))),
        ("tiff", dict(compression="tiff_lzw")),
        ("tiff", dict(big_tiff=True)),
    ):
        file = io.BytesIO()
        Image.fromarray(image).save(file, kind, **options)
        found[f"{kind} {', '.join(options)}"] = file.getvalue()
    found["commented pgm"] = b"P5 # made by hand\n# twice\n53\n37 255\n" + bytes(37 * 53)
    found["os2 bmp"] = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 53, 37, 1, 24) + bytes(100)
    return found


def test_dimensions_are_read_off_the_header_of_every_kind():
    for kind, data in files_of_every_kind(picture((37, 53))).items():
        assert dimensions(data) == (53, 37), kind


def test_a_header_cut_or_damaged_anywhere_gives_numbers_or_nothing():
    rng = np.random.default_rng(0)
    for data in files_of_every_kind(picture((37, 53))).values():
        for end in range(0, min(len(data), 700)):
            found = dimensions(data[:end])
            assert found is None or len(found) == 2
        for _ in range(200):
            changed = bytearray(data)
            changed[rng.integers(0, min(len(data), 64))] = rng.integers(0, 256)
            found = dimensions(bytes(changed))
            assert found is None or min(found) >= 0

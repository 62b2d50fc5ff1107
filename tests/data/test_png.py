"""The quick way to the pixels of a PNG gives what the slow ones give, or steps aside."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mxnetseg.data import png
from mxnetseg.data.reading import read_image, read_label
from mxnetseg.errors import DatasetError


def drawn(shape, seed=0):
    """Smooth with noise, so that encoders choose every kind of filter."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)
    return (ramp.reshape(shape[:2] + (1,) * (len(shape) - 2)) + rng.integers(0, 30, shape)).astype(np.uint8)


def saved(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


def interlaced(image):
    """Adam7: seven passes, each a picture of its own, of lines without filters."""
    lines = b""
    for top, left, down, across in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        for row in image[top::down, left::across]:
            lines += b"\0" + row.tobytes() if row.size else b""
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, png.RGB, 0, 0, 1)
    return png.SIGNATURE + block(b"IHDR", header) + block(b"IDAT", zlib.compress(lines)) + block(b"IEND", b"")


def block(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_stream(data, stream):
    """`data` with other compressed pixels."""
    return data[:33] + block(b"IDAT", stream) + block(b"IEND", b"")


@pytest.mark.parametrize("shape, kind", [((37, 53, 3), png.RGB), ((37, 53), png.GREY), ((1, 1, 3), png.RGB)])
def test_plain_pictures_come_back_as_they_were(shape, kind):
    image = drawn(shape)
    stored = image[..., ::-1] if image.ndim == 3 else image
    files = [saved(image), saved(image, optimize=True), saved(image, compress_level=0)]
    files += [
        cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_STRATEGY, strategy])[1].tobytes()
        for strategy in (cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_STRATEGY_RLE)
    ]
    for data in files:
        found = png.read_plain(data, kind)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, image)


def test_what_is_not_plain_is_left_to_others():
    image = drawn((16, 20, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = np.dstack([image, image[:, :, :1]])
    palette = io.BytesIO()
    Image.fromarray(image).quantize(8).save(palette, "PNG")
    for data in (
        saved(image, exif=exif),
        interlaced(image),
        saved(alpha),
        palette.getvalue(),
        saved(image[:, :, 0]),
        saved(image[:, :, 0].astype(np.uint16) * 256),
        b"",
        b"GIF89a",
        png.SIGNATURE,
    ):
        assert png.read_plain(data, png.RGB) is None


def test_an_interlaced_picture_is_read_the_slow_way(tmp_path):
    image = drawn((17, 21, 3))
    (tmp_path / "a.png").write_bytes(interlaced(image))
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), image)


@pytest.mark.parametrize("extra, missing", [(1, 0), (0, 1)])
def test_a_stream_that_is_longer_or_shorter_than_the_picture_is_left_to_others(extra, missing):
    data = saved(drawn((16, 20, 3)))
    begin, end = next((b, e) for name, b, e in png._blocks(data) if name == b"IDAT")
    lines = zlib.decompress(data[begin:end]) + b"x" * extra
    stream = zlib.compress(lines[: len(lines) - missing])
    assert png.read_plain(with_stream(data, stream), png.RGB) is None


def test_a_wrong_sum_of_the_pixels_is_no_traceback():
    data = saved(drawn((16, 20, 3)))
    begin, end = next((b, e) for name, b, e in png._blocks(data) if name == b"IDAT")
    stream = bytearray(data[begin:end])
    stream[len(stream) // 2] ^= 0x55
    assert png.read_plain(with_stream(data, bytes(stream)), png.RGB) is None


@pytest.mark.parametrize(
    "height, width", [(16, 19), (16, 21), (17, 20), (60000, 60000), (2**31 - 1, 2**31 - 1), (0, 0)]
)
def test_a_header_that_does_not_fit_the_pixels_is_no_picture(tmp_path, height, width):
    for data, kind, read in (
        (saved(drawn((16, 20, 3))), png.RGB, read_image),
        (saved(drawn((16, 20))), png.GREY, read_label),
    ):
        header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        assert png.damage(data) is None
        assert png.read_plain(data, kind) is None
        path = tmp_path / "picture.png"
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=r"picture\.png"):
            read(str(path))

"""Width and height of a picture off its first bytes: what decoding would take is known before it begins.

A file of a megabyte can state a picture of gigabytes, and decoders believe it. `MOST_PIXELS` holds for every
picture and label that is read; the environment variable MXNETSEG_MAX_PIXELS gives another number.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Optional, Tuple

from mxnetseg.errors import ConfigError

MOST_PIXELS = 1 << 28  # 16384 x 16384, 800 MB in RGB
VARIABLE = "MXNETSEG_MAX_PIXELS"

# Start-of-frame markers of JPEG: C0 to CF but for Huffman tables, extensions and arithmetic conditioning.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})")
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_FORMS = {3: "H", 4: "I", 16: "Q"}


def most_pixels() -> int:
    """The number of pixels that a picture may have; ConfigError where the variable is no number."""
    text = os.environ.get(VARIABLE)
    if not text:
        return MOST_PIXELS
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"{VARIABLE}={text}: expected a number of pixels")
    return int(text)


def dimensions(data: bytes) -> Optional[Tuple[int, int]]:
    """(width, height) of a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM; None for other files and headers that are
    cut short."""
    for begin, read in _KINDS:
        if data.startswith(begin):
            try:
                return read(data)
            except (struct.error, IndexError, OverflowError):
                return None
    return None


def _png(data: bytes) -> Tuple[int, int]:
    return struct.unpack_from(">II", data, 16)


def _jpeg(data: bytes) -> Optional[Tuple[int, int]]:
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
        elif marker in _STANDALONE:
            place += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", data, place + 2)
            place += 2 + max(2, length)
    return None


def _bmp(data: bytes) -> Tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _gif(data: bytes) -> Optional[Tuple[int, int]]:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + _colours(flags)
    while data[place] == 0x21:  # an extension: blocks, each with its length, to one of none
        place += 2
        while data[place]:
            place += 1 + data[place]
        place += 1
    if data[place] != 0x2C:
        return None
    # The first frame may be larger than the screen that it is for.
    left, top, across, down = struct.unpack_from("<HHHH", data, place + 1)
    return max(width, left + across), max(height, top + down)


def _colours(flags: int) -> int:
    """Bytes of the table of colours that follows."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Optional[Tuple[int, int]]:
    kind = data[8:16]
    if kind == b"WEBPVP8X":
        # 24 bits each, less one.
        low, middle, high = struct.unpack_from("<HHH", data, 24)
        return (low | (middle & 0xFF) << 16) + 1, (middle >> 8 | high << 8) + 1
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _pnm(data: bytes) -> Optional[Tuple[int, int]]:
    found = _PNM.match(data[:4096])
    return (int(found[1]), int(found[2])) if found else None


def _tiff(data: bytes) -> Optional[Tuple[int, int]]:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    big = version == 43
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
    place += 8 if big else 2
    step, value = (20, 12) if big else (12, 8)
    sides = {}
    for entry in range(place, place + step * min(count, 4096), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_FORMS:
            (sides[tag],) = struct.unpack_from(order + _TIFF_FORMS[kind], data, entry + value)
        if tag > _TIFF_HEIGHT and len(sides) == 2:
            break
    return (sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT]) if len(sides) == 2 else None


_KINDS = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8", _jpeg),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"P", _pnm),
)

"""Reading pictures and label maps from disk, with errors that name the file.

`read_image` gives what a viewer shows: RGB, 8 bits, EXIF orientation applied, alpha dropped, palettes
resolved, 16 bits scaled to 8. `read_label` gives what is stored: the ids of a grey or palette file,
never colours by accident, never rotated, never scaled.
"""

from __future__ import annotations

import io
import os
from typing import Optional, Sequence

import cv2
import numpy as np

from mxnetseg.data import png
from mxnetseg.data.headers import VARIABLE, dimensions, most_pixels
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm")

if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.setLogLevel(0)  # a damaged file is one line of ours

_METADATA = 1 << 24  # bytes of a picture file beside its pixels
_JPEG_SIGNATURE = b"\xff\xd8"
# Decoding straight to RGB saves a pass over the picture; OpenCV has it since 4.10.
_READ_RGB = getattr(cv2, "IMREAD_COLOR_RGB", None)


def read_image(path: str) -> np.ndarray:
    """Read a picture of any usual kind as uint8 (H, W, 3), RGB.

    Raises DatasetError where the file is missing, empty, truncated, not a picture, or states more pixels than
    `headers.most_pixels`.
    """
    data = _read_bytes(path, "image")
    image = png.read_plain(data, png.RGB)
    if image is not None:
        return image
    if data.startswith(b"GIF8"):
        return _read_gif(path, data)
    flag = cv2.IMREAD_COLOR if _READ_RGB is None else _READ_RGB
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise _undecodable(path, "image", str(error)) from error
    if image is None:
        raise _undecodable(path, "image", "its format is not one that OpenCV reads")
    if _READ_RGB is None:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image


def read_channels(paths: Sequence[str], channels: int) -> np.ndarray:
    """All channels of one or several files as stored, one after the other: uint8 (H, W, channels).

    A file may have 1, 2, 3 or 4 channels (the second and the fourth as often infrared or depth as opacity);
    16 bits are scaled to 8. Raises DatasetError where the files have other sizes or other channels in all.
    """
    planes = [_read_stored(path) for path in paths]
    for path, plane in zip(paths, planes):
        if plane.shape[:2] != planes[0].shape[:2]:
            sizes = [f"{p.shape[1]}x{p.shape[0]}" for p in (plane, planes[0])]
            raise DatasetError(f"{path}: is {sizes[0]} but {paths[0]} is {sizes[1]}; both are of one image")
    counts = [plane.shape[2] for plane in planes]
    if sum(counts) != channels:
        found = " + ".join(map(str, counts))
        raise DatasetError(
            f"{paths[0]}: image has {found} channels, the data set states {channels}: correct "
            f"data.options.channels or convert the file"
        )
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _read_stored(path: str) -> np.ndarray:
    """Every channel of a file, uint8 (H, W, C); colours in the order red, green, blue."""
    image = read_planes(path)
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def read_planes(path: str) -> np.ndarray:
    """Every channel of a file as stored, uint8 or uint16 (H, W, C); colours in the order red, green, blue."""
    data = _read_bytes(path, "image")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _undecodable(path, "image", str(error)) from error
    if image is None:
        raise _undecodable(path, "image", "its format is not one that OpenCV reads")
    if image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{path}: image holds {image.dtype} values; expected 8 or 16 bits per channel")
    if image.ndim == 2:
        return image[:, :, None]
    if png.depth_and_kind(data)[1] == png.GREY_ALPHA and image.shape[2] == 4:  # OpenCV makes colours of it
        return np.ascontiguousarray(image[:, :, 2:])
    if image.shape[2] >= 3:
        image[:, :, :3] = image[:, :, 2::-1].copy()
    return image


def read_label(path: str) -> np.ndarray:
    """Read a label file as stored: uint8 or uint16 (H, W) of ids, or uint8 (H, W, 3) RGB colours.

    A palette file gives its indices. Files of 1, 2 or 4 bits give their values unscaled (a 1-bit mask: 0
    and 1). An RGB file whose three channels agree everywhere counts as grey. Callers that expect ids
    refuse the remaining RGB ones, see `Dataset.decode_label`.
    """
    data = _read_bytes(path, "label")
    if data.startswith(_JPEG_SIGNATURE):
        raise DatasetError(
            f"{path}: label is a JPEG file, whose compression changes the ids; "
            f"expected a PNG of class ids: export the labels again without loss"
        )
    label = png.read_plain(data, png.GREY)
    if label is not None:
        return label
    bits, kind = png.depth_and_kind(data)
    # OpenCV expands palettes to colours and stretches less than 8 bits to 0..255; Pillow keeps them.
    if kind == png.PALETTE or (kind is not None and bits < 8) or kind is None:
        label = _read_label_with_pillow(path, data, bits, kind)
    else:
        try:
            label = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise _undecodable(path, "label", str(error)) from error
        if label is None:
            raise _undecodable(path, "label", "its contents are damaged")
        if kind == png.GREY_ALPHA and label.ndim == 3:
            label = label[:, :, 0]
        elif label.ndim == 3:
            label = cv2.cvtColor(np.ascontiguousarray(label[:, :, :3]), cv2.COLOR_BGR2RGB)
    if label.ndim == 3 and _channels_agree(label):
        label = label[:, :, 0]
    if label.ndim == 3 and label.dtype != np.uint8:
        raise DatasetError(
            f"{path}: label has 16-bit colours; expected 8 or 16-bit ids in one channel, or 8-bit RGB"
        )
    return np.ascontiguousarray(label)


def exif_orientation(path: str) -> int:
    """The EXIF orientation of a picture, 1..8; 1 (upright) where it has none or cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return int(picture.getexif().get(0x0112, 1))
    except Exception:
        return 1


def _read_bytes(path: str, what: str) -> bytes:
    most = most_pixels()
    try:
        with open(path, "rb", opener=only_files) as handle:
            size = os.fstat(handle.fileno()).st_size
            # What the largest picture takes without any compression, four channels of 16 bits.
            if size > 8 * most + _METADATA:
                raise DatasetError(f"{path}: {what} has {size >> 20} MB, more than any picture of its kind")
            data = handle.read()
    except FileNotFoundError:
        raise DatasetError(f"{path}: {what} file does not exist; check the root and its lists") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"{path}: {what} file cannot be read: {reason}") from error
    if not data:
        raise DatasetError(f"{path}: {what} file is empty (0 bytes); copy or unpack it again")
    problem = _damage(data)
    if problem:
        raise _undecodable(path, what, problem)
    shape = dimensions(data)
    if shape is None:
        raise _undecodable(path, what, "it is no PNG, JPEG, BMP, TIFF, WebP, GIF or PNM")
    if shape[0] * shape[1] > most:
        raise DatasetError(
            f"{path}: {what} has {shape[0]} x {shape[1]} pixels; {most} are the most, or what {VARIABLE} says"
        )
    return data


def _damage(data: bytes) -> Optional[str]:
    """What is wrong with a PNG or JPEG byte string, None when it is whole.

    Decoders differ in what they do with half a file: some fill the rest with grey, which would be
    trained on, and none says which file it was. About 1 ms for 2.5 MB.
    """
    if data.startswith(png.SIGNATURE):
        return png.damage(data)
    # Within the compressed scan 0xff is always followed by 0x00 or a restart marker, and an end
    # marker before the last start of scan belongs to the embedded thumbnail.
    whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if data.startswith(_JPEG_SIGNATURE) and not whole:
        return f"the JPEG ends after {len(data)} bytes without its end marker: it is truncated"
    return None


def _read_label_with_pillow(path: str, data: bytes, bits: int, kind: Optional[int]) -> np.ndarray:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # its own limit, lower than ours, which was looked at
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode in ("RGBA", "CMYK", "YCbCr", "LAB", "HSV", "PA"):
                picture = picture.convert("RGB")
            elif picture.mode == "LA":
                picture = picture.convert("L")
            label = np.array(picture)
    except Exception as error:  # Pillow raises many kinds; each of them means the same to the reader
        raise _undecodable(path, "label", str(error)) from error
    if label.dtype == bool:
        return label.astype(np.uint8)
    if kind == png.GREY and bits in (2, 4):
        # Pillow stretches grey of 2 and 4 bits over 0..255.
        return label // np.uint8(255 // (2**bits - 1))
    if label.dtype in (np.uint8, np.uint16):
        return label
    if np.issubdtype(label.dtype, np.integer) and label.min() >= 0 and label.max() < 65536:
        return label.astype(np.uint16)
    raise DatasetError(
        f"{path}: label holds {label.dtype} values; expected whole numbers 0..65535: export ids as PNG"
    )


def _read_gif(path: str, data: bytes) -> np.ndarray:
    """The first picture of a GIF, which OpenCV's wheels do not read."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # its own limit, lower than ours, which was looked at
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds; each of them means the same to the reader
        raise _undecodable(path, "image", str(error)) from error


def _channels_agree(label: np.ndarray) -> bool:
    # One pixel in the first row that differs settles nearly every colour file at once.
    if not np.array_equal(label[:1, :, 0], label[:1, :, 1]):
        return False
    return np.array_equal(label[:, :, 0], label[:, :, 1]) and np.array_equal(label[:, :, 1], label[:, :, 2])


def _undecodable(path: str, what: str, reason: str) -> DatasetError:
    reason = " ".join(reason.split())
    return DatasetError(
        f"{os.fspath(path)}: {what} cannot be decoded: {reason}; copy or unpack the file again"
    )

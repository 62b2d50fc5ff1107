"""Label maps as pictures: colours, overlays, errors, and sheets of them with titles and a legend.

Pictures are uint8 (H, W, 3) RGB, label maps integer (H, W), palettes uint8 (nclass, 3).
"""

from __future__ import annotations

import os
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mxnetseg.errors import MxnetsegError
from mxnetseg.run_files import atomic_file, make_folder

RIGHT = (70, 160, 90)
WRONG = (215, 48, 39)
_PAPER, _INK, _FAINT = (255, 255, 255), (28, 30, 34), (120, 124, 130)


def colourize(labels: np.ndarray, palette: np.ndarray, other: Sequence[int] = (0, 0, 0)) -> np.ndarray:
    """Each pixel in the colour of its class; values without a colour (the ignore value) in `other`."""
    labels = np.asarray(labels)
    table = np.empty((len(palette) + 1, 3), np.uint8)
    table[:-1] = palette
    table[-1] = other
    inside = (labels >= 0) & (labels < len(palette))
    return table[np.where(inside, labels, len(palette))]


def visible(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) of a picture with any number of channels: the first three, or the first as grey."""
    if image.shape[2] == 3:
        return image
    return np.ascontiguousarray(image[..., :3] if image.shape[2] > 3 else image[..., :1].repeat(3, axis=2))


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """The picture tinted with class colours, thin light lines between classes; ignored pixels untouched."""
    labels, image = np.asarray(labels), visible(image)
    known = (labels >= 0) & (labels < len(palette))
    tinted = cv2.addWeighted(colourize(labels, palette), opacity, image, 1 - opacity, 0)
    result = np.where(known[..., None], tinted, image)
    edges = _edges(labels)
    result[edges] = cv2.addWeighted(result, 0.35, np.full_like(result, 255), 0.65, 0)[edges]
    return result


def error_map(
    prediction: np.ndarray, label: np.ndarray, ignore_index: int, image: Optional[np.ndarray] = None
) -> np.ndarray:
    """Wrong pixels red and right ones green over the greyed picture; ignored pixels dark and untinted."""
    height, width = label.shape
    grey = np.full((height, width, 3), 150, np.uint8)
    if image is not None:
        grey = cv2.cvtColor(cv2.cvtColor(visible(image), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    valid = label != ignore_index
    wrong = valid & (prediction != label)
    paint = np.zeros_like(grey)
    paint[valid & ~wrong] = RIGHT
    paint[wrong] = WRONG
    faint = cv2.addWeighted(grey, 0.72, paint, 0.28, 0)
    strong = cv2.addWeighted(grey, 0.25, paint, 0.75, 0)
    return np.where(wrong[..., None], strong, np.where(valid[..., None], faint, grey // 4))


def legend(classes: Sequence[str], palette: np.ndarray, width: int) -> np.ndarray:
    """A strip `width` pixels wide: one colour patch and name for each class, in as many rows as it takes."""
    size = 14
    font = _font(size)
    row, patch, gap = int(size * 1.75), int(size * 1.15), int(size * 1.1)
    places, x, y = [], 0, 0
    for name in classes:
        item = patch + size // 2 + int(font.getlength(name))
        if x and x + item > width:
            x, y = 0, y + row
        places.append((x, y))
        x += item + gap
    canvas = Image.new("RGB", (width, y + row), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for (x, y), name, colour in zip(places, classes, palette):
        top = y + (row - patch) // 2
        draw.rounded_rectangle(
            (x, top, x + patch, top + patch), 3, fill=tuple(int(v) for v in colour), outline=(90, 90, 90)
        )
        draw.text((x + patch + size // 2, y + row / 2), name, font=font, fill=_INK, anchor="lm")
    return np.asarray(canvas)


def contact_sheet(
    rows: Sequence[Tuple[str, Sequence[np.ndarray]]],
    titles: Sequence[str] = (),
    classes: Sequence[str] = (),
    palette: Optional[np.ndarray] = None,
    cell_width: int = 384,
    heading: str = "",
    note: str = "",
) -> np.ndarray:
    """Rows of pictures with column titles above and the legend of `classes` below.

    `rows` holds pairs (name, pictures): pictures of one row are scaled to `cell_width`. `heading` and `note`
    are lines at the top and the bottom. Returns uint8 RGB.
    """
    margin, gap, size = 20, 8, 15
    columns = max(len(pictures) for _, pictures in rows)
    width = columns * cell_width + (columns - 1) * gap
    parts: List[np.ndarray] = []
    if heading:
        parts.append(_text_strip([heading], [0], width, int(size * 1.45), _INK))
    if titles:
        parts.append(
            _text_strip(titles, [i * (cell_width + gap) for i in range(len(titles))], width, size, _INK)
        )
    for name, pictures in rows:
        parts.append(_row(pictures, cell_width, gap, width))
        parts.append(_text_strip([name], [0], width, 12, _FAINT))
    if len(classes):
        parts.append(legend(classes, palette, width))
    if note:
        parts.append(_text_strip([note], [0], width, 12, _FAINT))
    body = np.concatenate(parts)
    sheet = np.full((body.shape[0] + 2 * margin, width + 2 * margin, 3), 255, np.uint8)
    sheet[margin:-margin, margin:-margin] = body
    return sheet


def save_picture(path: str, picture: np.ndarray) -> None:
    """Write uint8 (H, W) or (H, W, 3) RGB as PNG or JPEG by the path's ending, whole or not at all.

    Raises MxnetsegError where that cannot be done.
    """
    bgr = picture[..., ::-1] if picture.ndim == 3 else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if path.lower().endswith((".jpg", ".jpeg")) else []
    try:
        data = cv2.imencode(os.path.splitext(path)[1], np.ascontiguousarray(bgr), options)[1]
    except cv2.error:
        raise MxnetsegError(f"{path}: cannot be encoded: use .png or .jpg") from None
    make_folder(os.path.dirname(path) or ".")
    with atomic_file(path, durable=False) as out:
        out.write(data.tobytes())


def _row(pictures, cell_width, gap, width) -> np.ndarray:
    scaled = []
    for picture in pictures:
        height = max(1, round(picture.shape[0] * cell_width / picture.shape[1]))
        shrink = picture.shape[1] > cell_width
        how = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
        scaled.append(cv2.resize(np.ascontiguousarray(picture), (cell_width, height), interpolation=how))
    strip = np.full((max(p.shape[0] for p in scaled), width, 3), 255, np.uint8)
    for index, picture in enumerate(scaled):
        left = index * (cell_width + gap)
        strip[: picture.shape[0], left : left + cell_width] = picture
    return strip


def _text_strip(texts, lefts, width, size, ink) -> np.ndarray:
    canvas = Image.new("RGB", (width, int(size * 1.9)), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for text, left in zip(texts, lefts):
        draw.text((left, size * 0.85), text, font=_font(size), fill=ink, anchor="lm")
    return np.asarray(canvas)


def _font(size: int):
    # Pillow carries its own outline font, so that pictures look alike on every machine.
    return ImageFont.load_default(size)


def _edges(labels: np.ndarray) -> np.ndarray:
    edges = np.zeros(labels.shape, bool)
    edges[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges

"""Charts as inline SVG for `report.html`: lines, bars and a heat map, coloured by the page's CSS variables.

Written here because a report must open anywhere, years later, in light and dark, without a library or
a network.
"""

from __future__ import annotations

import json
import math
from html import escape
from typing import List, NamedTuple, Optional, Sequence, Tuple

WIDTH, HEIGHT = 560, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 34
_POINTS = 500  # per line; more cannot be told apart at this width


class Line(NamedTuple):
    """One curve: values None are gaps. `faint` draws it thin, behind, without a place in the legend."""

    name: str
    x: Sequence[float]
    y: Sequence[Optional[float]]
    faint: bool = False


def line_chart(
    title: str,
    lines: Sequence[Line],
    unit: str = "",
    zero: bool = False,
    x_end: Optional[float] = None,
    axis: str = "iteration",
) -> str:
    """A titled chart of curves over one x axis, or an empty string where there is nothing to draw.

    `zero` makes the y axis start at 0; `x_end` makes the x axis go from 0 to it; `axis` names what x counts.
    The nearest values under the pointer are shown by the page's script, which reads them from the element's
    data.
    """
    lines = [clean for clean in (_thin(line) for line in lines) if clean.x]
    if not lines:
        return ""
    xs = [x for line in lines for x in line.x]
    strong = [line for line in lines if not line.faint] or lines
    ys = [y for line in strong for y in line.y]
    faint = sorted(y for line in lines if line.faint for y in line.y)
    if faint:  # outliers of the raw values shall not flatten the curve
        ys += [faint[int(0.01 * (len(faint) - 1))], faint[int(0.99 * (len(faint) - 1))]]
    x_range = (0.0, max(x_end, *xs)) if x_end else (min(xs), max(xs))
    x_ticks = _ticks(*x_range, 6, whole=True)
    y_ticks = _ticks(0.0 if zero else min(ys), max(ys), 5)
    y_range = (y_ticks[0], y_ticks[-1])

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">']
    for tick in y_ticks:
        y = _scale(tick, y_range, (HEIGHT - _BOTTOM, _TOP))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        )
    for tick in x_ticks:
        if not x_range[0] <= tick <= x_range[1]:
            continue
        x = _scale(tick, x_range, (_LEFT, WIDTH - _RIGHT))
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{_short(tick)}</text>'
        )
    parts.append(
        f'<clipPath id="{_identity(title)}"><rect x="{_LEFT - 4}" y="{_TOP - 4}" '
        f'width="{WIDTH - _LEFT - _RIGHT + 8}" height="{HEIGHT - _TOP - _BOTTOM + 8}"/></clipPath>'
    )
    parts.append(f'<g clip-path="url(#{_identity(title)})">')
    number = 0
    legend, data = [], []
    for line in sorted(lines, key=lambda item: not item.faint):
        number += 0 if line.faint else 1
        style = "faint" if line.faint else f"series s{number}"
        points = [
            (_scale(x, x_range, (_LEFT, WIDTH - _RIGHT)), _scale(y, y_range, (HEIGHT - _BOTTOM, _TOP)))
            for x, y in zip(line.x, line.y)
        ]
        if len(points) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline class="{style}" points="{path}"/>')
        if len(points) <= 30 and not line.faint:
            parts += [f'<circle class="{style} dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        if not line.faint:
            legend.append(f'<span><i class="s{number}"></i>{escape(line.name)}</span>')
            data.append({"name": line.name, "x": line.x, "y": [float(f"{y:.6g}") for y in line.y]})
    parts.append("</g>")
    parts.append(f'<line class="cursor" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" visibility="hidden"/></svg>')
    extent = {
        "x": x_range,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "width": WIDTH,
        "unit": unit,
        "axis": axis,
        "lines": data,
    }
    shown = f'<p class="legend">{"".join(legend)}</p>' if len(legend) > 1 else ""
    heading = f"{escape(title)}{f' <small>{escape(unit)}</small>' if unit else ''}"
    return (
        f'<figure class="chart" data-chart="{escape(json.dumps(extent), quote=True)}">'
        f"<figcaption>{heading}</figcaption>{shown}{''.join(parts)}</figure>"
    )


def bar_chart(
    names: Sequence[str],
    values: Sequence[Optional[float]],
    colours: Sequence[Sequence[int]] = (),
) -> str:
    """Horizontal bars of ratios in [0, 1], shown as percent, each with the colour patch of its class."""
    rows = []
    for index, (name, value) in enumerate(zip(names, values)):
        colour = "#{:02x}{:02x}{:02x}".format(*map(int, colours[index])) if len(colours) > index else ""
        patch = f'<i style="background:{colour}"></i>' if colour else ""
        if value is None:
            bar, shown = "", "<em>absent</em>"
        else:
            bar, shown = f'<b style="width:{100 * value:.2f}%"></b>', f"{100 * value:.1f}"
        rows.append(
            f"<tr><th>{patch}{escape(name)}</th><td class=bar><div>{bar}</div></td><td>{shown}</td></tr>"
        )
    return f'<table class="bars">{"".join(rows)}</table>'


def heat_map(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """A confusion matrix, each row as percent of its label's pixels; rows without pixels stay empty."""
    count = len(names)
    cell = 34 if count <= 24 else max(6, 816 // count)
    longest = max(len(name) for name in names)
    label = min(200, 14 + int(6.6 * longest)) if count <= 70 else 10
    top = label
    width, height = label + count * cell + label // 2 + 8, top + count * cell + 8
    parts = [
        f'<svg class="heat" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="confusion matrix">'
    ]
    size = min(12, cell - 1)
    for index, name in enumerate(names):
        middle = (index + 0.5) * cell
        if count <= 70:
            parts.append(
                f'<text class="name" font-size="{size}" x="{label - 6}" y="{top + middle + 4:.1f}" '
                f'text-anchor="end">{escape(name)}</text>'
            )
            parts.append(
                f'<text class="name" font-size="{size}" '
                f'transform="translate({label + middle + 4:.1f},{top - 6}) rotate(-60)">{escape(name)}</text>'
            )
    for r, row in enumerate(matrix):
        total = sum(row)
        for c, value in enumerate(row):
            share = value / total if total else 0.0
            x, y = label + c * cell, top + r * cell
            tip = f"{names[r]} taken for {names[c]}: {100 * share:.2f}% ({value:,} pixels)"
            # The square root lets a confusion of one percent be seen.
            kind = "hit" if r == c else "miss"
            parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                f'fill-opacity="{math.sqrt(share):.3f}"><title>{escape(tip)}</title></rect>'
            )
            if count <= 24 and total and share >= 0.005:
                tone = "over" if share > 0.3 else "under"
                text = f"{100 * share:.0f}" if share >= 0.0095 else "·"
                parts.append(
                    f'<text class="{tone}" x="{x + cell / 2 - 0.5:.1f}" y="{y + cell / 2 + 3.5:.1f}">'
                    f"{text}</text>"
                )
    parts.append("</svg>")
    return "".join(parts)


def smooth(values: Sequence[Optional[float]], window: int) -> List[Optional[float]]:
    """Centred running mean over about `window` values; gaps stay out of the means."""
    half = max(window // 2, 0)
    result: List[Optional[float]] = []
    total, count = 0.0, 0
    low = high = 0
    for index in range(len(values)):
        while high < min(len(values), index + half + 1):
            if values[high] is not None:
                total, count = total + values[high], count + 1
            high += 1
        while low < index - half:
            if values[low] is not None:
                total, count = total - values[low], count - 1
            low += 1
        result.append(total / count if count else None)
    return result


def _thin(line: Line) -> Line:
    """The line without gaps and with neighbours averaged until few enough points are left."""
    points = [(float(x), float(y)) for x, y in zip(line.x, line.y) if y is not None and math.isfinite(y)]
    if len(points) > _POINTS:
        step = len(points) / _POINTS
        groups = [points[int(k * step) : int((k + 1) * step)] for k in range(_POINTS)]
        points = [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]
    return Line(line.name, [x for x, _ in points], [y for _, y in points], line.faint)


def _ticks(low: float, high: float, count: int, whole: bool = False) -> List[float]:
    """About `count` round numbers from at or below `low` to at or above `high`."""
    if high <= low:
        high = low + (abs(low) * 0.1 or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)
    if whole:
        step = max(1.0, round(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(int(first), int(last) + 1)]


def _scale(value: float, source: Tuple[float, float], target: Tuple[float, float]) -> float:
    span = source[1] - source[0]
    return target[0] + (value - source[0]) / span * (target[1] - target[0]) if span else sum(target) / 2


def _short(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    if abs(value) >= 10000:
        return f"{value / 1000:.6g}k"
    return f"{value:.6g}"


def _identity(title: str) -> str:
    return "clip-" + "".join(ch if ch.isalnum() else "-" for ch in title)

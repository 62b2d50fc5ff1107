"""The code of a translated network, from one line for each operator: in one function, or in segments whose
activations are computed again in the backward pass."""

from __future__ import annotations

import math
from typing import List, Mapping, NamedTuple, Sequence

from mxnetseg.compute.torch.recompute import recomputed


class Line(NamedTuple):
    """`x<place> = <expression>`, the places whose values it reads, and the last place that reads it."""

    place: int
    expression: str
    reads: Sequence[int]
    last_use: int


def written(data: str, first: Mapping[str, str], lines: Sequence[Line], outputs: str, segmented: bool) -> str:
    """The source of `run(self, <data>)`.

    first      {variable: line} of what is computed before all else.
    outputs    expressions of the results, each followed by a comma.
    segmented  several functions, called by way of `recomputed`.
    """
    parts = _cut(lines) if segmented else [list(lines)]
    if len(parts) == 1:
        return _function("run", [data], [*first.values(), *_body(parts[0], {}), f"return ({outputs})"])
    last_use = {line.place: line.last_use for line in lines}
    source, calls = "", list(first.values())
    for number, part in enumerate(parts):
        own = {line.place for line in part}
        end = part[-1].place
        taken = sorted({k for line in part for k in line.reads} - own)
        given = [line.place for line in part if line.last_use > end]
        arguments = [data, *first, *(f"x{k}" for k in taken)]
        results = "".join(f"x{k}, " for k in given).rstrip()
        body = _body(part, {k: n for k, n in last_use.items() if k in own or k in taken})
        source += _function(f"part{number}", arguments, [*body, f"return ({results})"]) + "\n"
        calls.append(f"({results}) = {recomputed.__name__}(part{number}, self, {', '.join(arguments)})")
        calls += _deleted([k for k in taken if last_use[k] <= end])
    return source + _function("run", [data], [*calls, f"return ({outputs})"])


def _body(lines: Sequence[Line], last_use: Mapping[int, int]) -> List[str]:
    """The lines, and after each what nothing reads any more: Python would keep every map until the end."""
    last_use = {**{line.place: line.last_use for line in lines}, **last_use}
    body = []
    for line in lines:
        body.append(f"x{line.place} = {line.expression}")
        body += _deleted([k for k in line.reads if last_use.get(k) == line.place])
    return body


def _deleted(places: Sequence[int]) -> List[str]:
    return ["del " + ", ".join(f"x{k}" for k in places)] if places else []


def _function(name: str, arguments: Sequence[str], body: Sequence[str]) -> str:
    return f"def {name}({', '.join(['self', *arguments])}):\n" + "".join(f"    {line}\n" for line in body)


def _cut(lines: Sequence[Line]) -> List[List[Line]]:
    """About as many segments as each has lines, cut where the fewest values are needed later: those are what
    stays in memory."""
    count = math.isqrt(len(lines))
    if count < 2:
        return [list(lines)]
    alive, needed = [], set()
    for line in lines:
        needed = {k for k in (*needed, (line.place, line.last_use)) if k[1] > line.place}
        alive.append(len(needed))
    size = len(lines) / count
    ends = []
    for number in range(1, count):
        middle = number * size
        window = range(max(1, round(middle - size / 2)), min(len(lines) - 1, round(middle + size / 2)))
        if window:
            ends.append(min(window, key=lambda end: (alive[end - 1], abs(end - middle))))
    edges = [0, *sorted(set(ends)), len(lines)]
    return [list(lines[a:b]) for a, b in zip(edges, edges[1:])]

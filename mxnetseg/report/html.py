"""What the pages have in common: the document around them, sections, how numbers are written."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any, Mapping, Optional


def document(title: str, body: str) -> str:
    """A page that needs no other file. `body` is HTML, `title` text."""
    parts = {"title": escape(title), "style": _file("page.css"), "script": _file("page.js"), "body": body}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    """A part of the page that lies beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def section(title: str, content: str) -> str:
    """HTML under a heading; nothing where there is no content."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def when(record: Mapping[str, Any]) -> str:
    """Epoch or iteration of a record, in words."""
    epoch = record.get("epoch")
    if epoch is None:
        return f"iteration {record.get('iteration')}"
    return f"epoch {round(epoch, 2):g}"


def percent(value: Optional[float]) -> str:
    """A ratio in percent with two digits; a dash for None."""
    return "–" if value is None else f"{100 * value:.2f} %"


def hundred(value: Optional[float]) -> Optional[float]:
    """A ratio as percent; None stays None."""
    return None if value is None else 100 * value


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

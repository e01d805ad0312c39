"""Pieces of GitHub's Markdown; what comes from data or parameters is never taken as markup."""

from __future__ import annotations

import math
from collections.abc import Sequence

MARKS = {"pass": "✅", "fail": "❌", "cannot judge": "⚠️", "note": "🔹"}
MARKUP: dict[str, str | int | None] = {
    **{"|": "\\|", "*": "\\*", "[": "\\["},
    **{"<": "&lt;", ">": "&gt;", "@": "@\u200b"},
}
LINES = 60  # of a table
WIDTH = 160  # characters of a cell that comes from elsewhere


def code(value: object) -> str:
    """Return a value as code, from which no link, mention or markup can come."""
    words = " ".join(str(value).split()).replace("`", "'").replace("|", "¦")
    return f"`{words[: WIDTH - 1] + '…' if len(words) > WIDTH else words}`" if words else ""


def prose(words: str) -> str:
    """Return words that quote what comes from elsewhere, on one line and without markup."""
    return " ".join(words.split()).translate(str.maketrans(MARKUP))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """Return a table; `align` has l, r or c for each column (else l). Long tables are cut."""
    marks = {"l": ":--", "r": "--:", "c": ":-:"}
    rule = [marks[mark] for mark in align.ljust(len(head), "l")[: len(head)]]
    lines = [head, rule, *rows[:LINES]]
    if len(rows) > LINES:
        lines.append([f"… and {len(rows) - LINES} more", *[""] * (len(head) - 1)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def details(title: str, body: str) -> str:
    """Return a part of the text that opens on a click."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """Return a figure, or a dash where it is undefined; `sign` "+" always shows its sign."""
    if value is None or not math.isfinite(value):
        return "—"
    shown = f"{value:{sign}.{digits}f}"
    return shown.lstrip("+-") if not float(shown) else shown


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return "—" if value is None or not math.isfinite(value) else f"{value:.{digits}%}"


def points(before: float, after: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points."""
    gap = (after - before) * 100
    return f"{gap:+.{digits}f} points" if math.isfinite(gap) else "—"

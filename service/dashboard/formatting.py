"""Write times, numbers and severities as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SEVERITIES = ("quiet", "notice", "warning", "alarm")
SHADES = ("#2a9d6f", "#9aa5b1", "#e0a526", "#c8453b")
TITLES = {
    "score": "Credit score",
    "roc_auc": "ROC-AUC",
    "calibration": "Calibration",
    "challenger": "Retraining",
}
COLOURED = {
    "quiet": ":green-badge[quiet]",
    "notice": ":gray-badge[notice]",
    "warning": ":orange-badge[warning]",
    "alarm": ":red-badge[alarm]",
}


def minute(time: str) -> str:
    """Return the ledger's text of a time to the minute, such as "2026-11-21 18:30"."""
    return time[:16].replace("T", " ")


def escape(words: str) -> str:
    """Return a text in which every character that is special in Markdown is escaped."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>$#~:|!" else letter for letter in words)


def with_sign(value: float, digits: int = 1) -> str:
    """Return a number with its sign, 0 without one."""
    shown = f"{value:+.{digits}f}"
    return shown.lstrip("+-") if not float(shown) else shown


def models_in_words(names: Iterable[str]) -> str:
    """Return "model `a`" or "models `a`, `b`" in Markdown."""
    listed = [f"`{name}`" for name in names]
    return f"model{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def severity(field: str, findings: Iterable[dict[str, Any]]) -> str:
    """Return the loudest word of the findings about a field, "quiet" without one."""
    words = [f["loudness"] for f in findings if f["field"] == field]
    return max(words, key=SEVERITIES.index, default="quiet")


def title_of(feature: str, report: dict[str, Any]) -> str:
    """Return what people call a feature, as the report says it; else its name."""
    if feature in TITLES:
        return TITLES[feature]
    return str(report.get("titles", {}).get(feature) or feature)


def with_title(words: str, report: dict[str, Any]) -> str:
    """Return the words of an incident, "FIELD: ...", with the field's title in its place."""
    field, mark, rest = words.partition(": ")
    return f"{title_of(field, report)}: {rest}" if mark else words


def describe_incident(incident: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """Return an incident as a row for people."""
    source = incident["key"].partition("/")[0]
    return {
        "opened": incident["opened"],
        "closed": incident["closed"],
        "severity": incident["loudness"],
        "decisions": f"{int(source):,}" if source.isdigit() else "",
        "what happened": with_title(incident["words"], report),
    }

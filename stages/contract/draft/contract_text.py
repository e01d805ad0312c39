"""The text of a drafted contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from stages.contract.draft import keys, outcome
from stages.contract.draft.book import DraftField, RawBook
from stages.contract.draft.columns import column_names, dialect
from stages.contract.draft.columns.column import scalar
from stages.contract.draft.columns.quantities import without_fraction
from stages.contract.draft.outcome import TargetCoding

HEADER = """\
# The first draft of this contract, made from the files themselves. Every line with `confirm` is a
# guess: correct it, then check it against the files with `python -m stages.contract check`.
# A field may also say: unit, help, reason (what a declined applicant is told), ordered (categories
# listed from low to high), risk (increasing | decreasing: the direction in which PD may move),
# actionable (increase | decrease | any: what an applicant can change; advice names multiples of
# `step`).
"""
REMARK = "   # "
WORDED = 12  # categories that each get words of their own


def write_contract(book: RawBook, parts: list[DraftField], date: str | None, about: str) -> str:
    """Return the text of the contract; `about` says why `date` was chosen, or why there is none."""
    kept, out = divide_fields(parts, date)
    lines = [f"title: {as_flow(column_names.title(book.base))}", "", *_write_tables(book, parts)]
    lines += ["", *_write_target(book.target, book.outcome)]
    if date is None:
        lines.append(f"# date: {about}; the split is random, with the same bad rate in each part")
    else:
        lines.append(f"date: {as_flow(date)}" + (f"{REMARK}confirm: {about}" if about else ""))
    entity, seen = find_entity(book, parts)
    lines += [f"entity: {as_flow(entity)}{REMARK}confirm: {seen}"] if entity else []
    window, why = suggest_window(book, parts, date)
    lines += [f"# {window}{REMARK}confirm: {why}"] if window else []
    lines += ["", "fields:", *(line for part in kept for line in _write_field(part, book.base))]
    if out:
        lines += ["", "  # Left out:"]
        lines += [f"  # {p.name!r} of {p.table}: {p.guess.left_out}" for p in out]
    return HEADER + "\n".join([*lines, *_suggest_ratio(kept)]) + "\n"


def divide_fields(
    parts: list[DraftField], date: str | None
) -> tuple[list[DraftField], list[DraftField]]:
    """Return the columns that become fields, and those that are left out."""
    others = [p for p in parts if p.name != date or p.guess.left_out or p.guess.written]
    return [p for p in others if not p.guess.left_out], [p for p in others if p.guess.left_out]


def _write_tables(book: RawBook, parts: list[DraftField]) -> list[str]:
    """Return the lines of the tables."""
    key = find_key(book, parts)
    base = dialect.as_keys(book.forms[book.base]) | ({"key": key} if key else {})
    lines = [
        f"tables:{REMARK}the first has one row per loan",
        f"  {as_flow(book.base)}: {as_flow(base)}",
    ]
    for name, link in book.links.items():
        table = dialect.as_keys(book.forms[name]) | {"key": link.key, "join": link.join}
        remark = f"{REMARK}{link.share:.1%} of the loans have a row" if link.share < 1 else ""
        lines.append(f"  {as_flow(name)}: {as_flow(table)}{remark}")
    return lines + [f"  # {name!r} is left out: {why}" for name, why in book.unlinked.items()]


def find_key(book: RawBook, parts: list[DraftField]) -> str | None:
    """Return the column that names each loan, if there is one."""
    loans = book.frames[book.base]
    names = [p.name for p in parts if p.table == book.base and p.guess.left_out]
    unique = [n for n in names if keys.is_key(loans[n])]
    order = [(n in book.keys, not column_names.tells(column_names.IDENTITY, n)) for n in unique]
    return min(zip(order, unique, strict=True))[1] if unique else None


def find_entity(book: RawBook, parts: list[DraftField]) -> tuple[str | None, str]:
    """Return the column of the customer, where customers have several loans, and why."""
    loans = [p for p in parts if p.table == book.base]
    names = [p.name for p in loans if p.guess.left_out or p.guess.unused]
    return keys.find_customer(book.frames[book.base], names, find_key(book, parts))


def suggest_window(book: RawBook, parts: list[DraftField], date: str | None) -> tuple[str, str]:
    """Return the line of an outcome window and the reason for it; "" where there is none."""
    decided = next((p.days for p in parts if p.name == date and p.table == book.base), None)
    if decided is None:
        return "", ""
    y, dates = book.outcome.y, [p for p in parts if p.table == book.base and p.days.size]
    event = next((p for p in dates if outcome.dates_defaults(p.days, y)), None)
    why = outcome.describe_fall(decided, y)
    if event:
        why = "; ".join(filter(None, (f"{event.name} is filled for the bad loans alone", why)))
    if not why:
        return "", ""
    last = np.nanmax(event.days if event else decided)
    last = max(last, np.nanmax(decided))
    window = {"months": outcome.MONTHS, "observed_until": str(np.datetime64(int(last), "D"))}
    window |= {"event": event.name} if event else {}
    return f"outcome: {as_flow(window)}", f"{why}: say how long loans were observed"


def _write_target(field: str, coded: TargetCoding) -> list[str]:
    """Return the lines of the target."""
    target = {"field": field, "bad": _one_or_list(coded.bad), "good": _one_or_list(coded.good)}
    if coded.unknown:
        target["indeterminate"] = [scalar(word) for word in coded.unknown]
    return [
        f"target: {as_flow(target)}{REMARK}confirm: {bad_rate(coded):.1%} are bad ({coded.why})"
    ]


def _write_field(part: DraftField, base: str) -> list[str]:
    """Return the lines of one field."""
    g = part.guess
    doubts = {key: f"confirm: {why}" for key, why in g.doubts.items()}
    seen = "; ".join(filter(None, (g.observed, doubts.get("constraints"))))
    rows: list[tuple[str, object, str]] = [
        ("title", column_names.title(part.name), ""),
        ("table", "" if part.table == base else part.table, ""),
        ("column", part.name if part.field else "", ""),
        ("type", g.type, ""),
        *((key, value, doubts.get(key, "")) for key, value in g.written.items()),
        ("trueValues", g.true, ""),
        ("falseValues", g.false, ""),
        ("constraints", _constraints(part), seen),
        ("ordered", g.ordered or "", doubts.get("ordered", "")),
        ("other", g.other, doubts.get("other", "")),
        ("missingValues", [scalar(w) for w in g.missing], doubts.get("missingValues", "")),
        ("repair", g.repair, doubts.get("repair", "")),
        (
            "known_at",
            part.late,
            part.why if part.settled else f"suspected leak: {part.why} — confirm",
        ),
        ("protected", part.protected or "", "confirm"),
        ("feature", False if g.unused else "", g.unused),
        ("step", _step(part), ""),
        ("example", g.example if part.is_feature else "", ""),
        ("reason", _propose_words(part) if part.is_feature else "", ""),
    ]
    lines = [f"  {as_flow(part.field or part.name)}:"]
    for key, value, remark in rows:
        if value not in ("", [], {}, None):
            lines.append(f"    {key}: {as_flow(value)}" + (f"{REMARK}{remark}" if remark else ""))
    if "known_at" in doubts:
        lines.append(f"    # known_at: {part.suspected}   # suspected leak: {part.why} — confirm")
    if column_names.tells(column_names.PLACE, part.name) and part.is_feature:
        lines.append("    # confirm: where people live may stand in for a protected attribute")
    return lines + ([f"    # {part.risk}"] if part.risk and part.is_feature else [])


def _propose_words(part: DraftField) -> dict[str, Any]:
    """Return the `reason` of a drafted field; empty where the default wording is adequate."""
    title = column_names.title(part.name)
    if part.guess.enum and len(part.guess.enum) <= WORDED:
        return {"categories": {value: f"{title}: {value}" for value in part.guess.enum}}
    if part.guess.enum or part.guess.type not in ("integer", "number"):
        return {}
    sides = {"high": "higher", "low": "lower"}
    if part.risk:  # the bad rate goes in one direction: the other side is the favourable one
        sides.pop("low" if "increasing" in part.risk else "high")
    return {side: f"{title}: {word} than is usual" for side, word in sides.items()}


def _constraints(part: DraftField) -> dict[str, Any]:
    """Return the constraints of a field; only what a model reads is required."""
    g = part.guess
    limits: dict[str, Any] = {}
    if not g.unused and g.minimum is not None and g.maximum is not None:
        limits = {"minimum": without_fraction(g.minimum), "maximum": without_fraction(g.maximum)}
    limits |= {"enum": g.enum} if g.enum else {}
    return limits | ({"required": True} if g.required and part.is_feature else {})


def _step(part: DraftField) -> object:
    """Return the step in which advice would name a number: two digits of its usual value."""
    g = part.guess
    if not part.is_feature or g.enum or g.type not in ("integer", "number") or not g.example:
        return ""
    step = 10.0 ** (np.floor(np.log10(abs(float(g.example)))) - 1)
    return without_fraction(max(step, 1.0) if g.type == "integer" else float(f"{step:g}"))


def _suggest_ratio(kept: list[DraftField]) -> list[str]:
    """Suggest the ratio of loan to income, which improves most models, as a comment."""
    usable = [p for p in kept if p.is_feature and p.guess.type in ("integer", "number")]
    usable = [p for p in usable if p.guess.enum is None and p.name.isidentifier()]
    loan = next((p.name for p in usable if column_names.tells(column_names.LOAN, p.name)), None)
    income = next((p.name for p in usable if column_names.tells(column_names.INCOME, p.name)), None)
    if loan is None or income is None or loan == income:
        return []
    return [
        "",
        "# derived:   # ratios of fields; remove the # of what the business wants",
        f"#   loan_to_income: {{title: Loan amount to income, formula: {loan} / {income}}}",
    ]


def bad_rate(coded: TargetCoding) -> float:
    """Return the share of bad loans among the known outcomes."""
    return float(np.nanmean(coded.y))


def _one_or_list(words: list[str]) -> object:
    """Return one raw value, or a list of several."""
    values = [scalar(w) for w in words]
    return values[0] if len(values) == 1 else values


def as_flow(value: object) -> str:
    """Return a value as YAML on one line."""
    line = yaml.safe_dump(
        value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False
    )
    return str(line).removesuffix("...\n").strip()

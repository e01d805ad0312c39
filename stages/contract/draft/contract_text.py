"""The text of a drafted contract, and the list of what a person should confirm in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from stages.contract.draft import column_names, keys, ripeness
from stages.contract.draft.book import Book, Part
from stages.contract.draft.column import scalar
from stages.contract.draft.outcome import Outcome
from stages.contract.draft.quantities import number

HEADER = """\
# The first draft of this contract, made from the files themselves. Every line with `confirm` is a
# guess: correct it, then hold the files against it with `python -m stages.contract check`.
# A field may also say: unit, help, reason (what a declined applicant is told), ordered (categories
# listed from low to high), risk (increasing | decreasing: the direction in which PD may move),
# actionable (increase | decrease | any: what an applicant can change).
"""
AWAY = "   # "


def contract(book: Book, parts: list[Part], date: str | None, about: str) -> str:
    """The text of the contract; `about` says why the date was chosen, or why there is none."""
    kept, out = sorted_out(parts, date)
    lines = [f"title: {flow(column_names.title(book.base))}", "", *_tables(book, parts)]
    lines += ["", *_target(book.target, book.outcome)]
    if date is None:
        lines.append(f"# date: {about}; the split is random, with the same bad rate in each part")
    else:
        lines.append(f"date: {flow(date)}" + (f"{AWAY}confirm: {about}" if about else ""))
    entity, seen = _customer(book, parts)
    lines += [f"entity: {flow(entity)}{AWAY}confirm: {seen}"] if entity else []
    window, why = _window(book, parts, date)
    lines += [f"# {window}{AWAY}confirm: {why}"] if window else []
    lines += ["", "fields:", *(line for part in kept for line in _field(part, book.base))]
    if out:
        lines += ["", "  # Left out:"]
        lines += [f"  # {p.name!r} of {p.table}: {p.guess.left_out}" for p in out]
    return HEADER + "\n".join([*lines, *_ratio(kept)]) + "\n"


def confirm(book: Book, parts: list[Part], date: str | None, about: str) -> list[str]:
    """What a person should look at, a line each."""
    kept, out = sorted_out(parts, date)
    said = [*_about_target(book), f"date: {date or 'none'}" + (f" ({about})" if about else "")]
    said += [f"table {name} is left out: {why}" for name, why in book.unlinked.items()]
    entity, seen = _customer(book, parts)
    said += [f"entity: {entity} ({seen})"] if entity else []
    window, why = _window(book, parts, date)
    said += [f"outcome: {why}; then remove the # before `{window}`"] if window else []
    names = [p.name for p in kept if p.table == book.base]
    repeated = 0.0 if _key(book, parts) else book.repeated(names)
    if repeated > 0.01:
        said.append(
            f"{repeated:.1%} of the rows repeat an earlier one and no column names the loan; "
            "they count as invalid (params.yaml: preprocess.max_invalid)"
        )
    for p in (p for p in kept if p.late):
        undo = f"remove its line `known_at: {p.late}` if it is known when the decision is made"
        said.append(f"{p.name}: suspected leak ({p.why}); {undo}")
    said += [f"{p.name}: {why}" for p in kept for why in p.guess.doubts.values()]
    named = {*book.keys, _key(book, parts), entity}
    protected = ", ".join(p.name for p in kept if p.protected)
    if protected:
        said.append(
            f"protected attributes, by their names: {protected}; they are never a model's input: "
            "remove the line `protected: true` of one that is none"
        )
    said += [f"{p.name}: no feature: {p.guess.unused}" for p in kept if p.guess.unused]
    said += [f"{p.name}: left out: {p.guess.left_out}" for p in out if p.name not in named]
    if not any(p.is_feature and p.known_at == "application" for p in kept):
        said.append("no field is left as a feature; a model needs at least one")
    return said


def sorted_out(parts: list[Part], date: str | None) -> tuple[list[Part], list[Part]]:
    """The columns that are fields, and those that are left out."""
    others = [p for p in parts if p.name != date or p.guess.left_out]
    return [p for p in others if not p.guess.left_out], [p for p in others if p.guess.left_out]


def _tables(book: Book, parts: list[Part]) -> list[str]:
    """The lines of the tables."""
    key = _key(book, parts)
    base = {"path": book.paths[book.base]} | ({"key": key} if key else {})
    lines = [f"tables:{AWAY}the first has one row a loan", f"  {flow(book.base)}: {flow(base)}"]
    for name, link in book.links.items():
        table = {"path": book.paths[name], "key": link.key, "join": link.join}
        remark = f"{AWAY}{link.found:.1%} of the loans have a row" if link.found < 1 else ""
        lines.append(f"  {flow(name)}: {flow(table)}{remark}")
    return lines + [f"  # {name!r} is left out: {why}" for name, why in book.unlinked.items()]


def _key(book: Book, parts: list[Part]) -> str | None:
    """The column that names each loan, if there is one."""
    loans = book.frames[book.base]
    names = [p.name for p in parts if p.table == book.base and p.guess.left_out]
    unique = [n for n in names if keys.is_key(loans[n])]
    order = [(n in book.keys, not column_names.tells(column_names.IDENTITY, n)) for n in unique]
    return min(zip(order, unique, strict=True))[1] if unique else None


def _customer(book: Book, parts: list[Part]) -> tuple[str | None, str]:
    """The column that names a loan's customer, where customers have several; and what was seen."""
    loans = [p for p in parts if p.table == book.base]
    names = [p.name for p in loans if p.guess.left_out or p.guess.unused]
    return keys.customer(book.frames[book.base], names, _key(book, parts))


def _window(book: Book, parts: list[Part], date: str | None) -> tuple[str, str]:
    """The line of an outcome window, and why it may be needed; "" where nothing speaks for one."""
    decided = next((p.days for p in parts if p.name == date and p.table == book.base), None)
    if decided is None:
        return "", ""
    y, dates = book.outcome.y, [p for p in parts if p.table == book.base and p.days.size]
    event = next((p for p in dates if ripeness.dates_defaults(p.days, y)), None)
    why = ripeness.describe_fall(decided, y)
    if event:
        why = "; ".join(filter(None, (f"{event.name} is filled for the bad loans alone", why)))
    if not why:
        return "", ""
    last = np.nanmax(event.days if event else decided)
    last = max(last, np.nanmax(decided))
    window = {"months": ripeness.MONTHS, "observed_until": str(np.datetime64(int(last), "D"))}
    window |= {"event": event.name} if event else {}
    return f"outcome: {flow(window)}", f"{why}: say how long loans were observed"


def _target(field: str, coded: Outcome) -> list[str]:
    """The lines of the target."""
    target = {"field": field, "bad": _either(coded.bad), "good": _either(coded.good)}
    if coded.unknown:
        target["indeterminate"] = [scalar(word) for word in coded.unknown]
    return [f"target: {flow(target)}{AWAY}confirm: {_rate(coded):.1%} are bad ({coded.why})"]


def _about_target(book: Book) -> list[str]:
    """What to confirm of the target."""
    coded = book.outcome
    bad, good = (" or ".join(map(repr, words)) for words in (coded.bad, coded.good))
    said = [f"target: {bad} is bad ({coded.why}), {good} is good: {_rate(coded):.1%} are bad"]
    lost = float(np.isnan(coded.y).mean())
    if lost:
        said.append(
            f"target: {lost:.1%} of the rows are neither ({coded.unknown or 'blank'}): "
            + ("they take no part" if coded.unknown else "they count as invalid")
        )
    return said


def _field(part: Part, base: str) -> list[str]:
    """The lines of one field."""
    g = part.guess
    doubts = {key: f"confirm: {why}" for key, why in g.doubts.items()}
    seen = "; ".join(filter(None, (g.observed, doubts.get("constraints"))))
    rows: list[tuple[str, Any, str]] = [
        ("title", column_names.title(part.name), ""),
        ("table", "" if part.table == base else part.table, ""),
        ("type", g.type, ""),
        ("trueValues", g.true, ""),
        ("falseValues", g.false, ""),
        ("constraints", _limits(part), seen),
        ("missingValues", [scalar(w) for w in g.missing], doubts.get("missingValues", "")),
        ("repair", g.repair, doubts.get("repair", "")),
        ("known_at", part.late, f"suspected leak: {part.why} — confirm"),
        ("protected", part.protected or "", "confirm"),
        ("feature", False if g.unused else "", g.unused),
        ("example", g.example if part.is_feature else "", ""),
    ]
    lines = [f"  {flow(part.name)}:"]
    for key, value, remark in rows:
        if value not in ("", [], {}, None):
            lines.append(f"    {key}: {flow(value)}" + (f"{AWAY}{remark}" if remark else ""))
    if "known_at" in doubts:
        lines.append(f"    # known_at: outcome   # suspected leak: {part.why} — confirm")
    if column_names.tells(column_names.PLACE, part.name) and part.is_feature:
        lines.append("    # confirm: where people live may stand in for a protected attribute")
    return lines + ([f"    # {part.risk}"] if part.risk and part.is_feature else [])


def _limits(part: Part) -> dict[str, Any]:
    """What a field's values may be; an application must state only what a model reads."""
    g = part.guess
    limits: dict[str, Any] = {}
    if not g.unused and g.minimum is not None and g.maximum is not None:
        limits = {"minimum": number(g.minimum), "maximum": number(g.maximum)}
    limits |= {"enum": g.enum} if g.enum else {}
    return limits | ({"required": True} if g.required and part.is_feature else {})


def _ratio(kept: list[Part]) -> list[str]:
    """A ratio that most loan books are the better for, as a suggestion."""
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


def _rate(coded: Outcome) -> float:
    """The share of bad among the known outcomes."""
    return float(np.nanmean(coded.y))


def _either(found: list[str]) -> Any:
    """One raw value, or several."""
    values = [scalar(w) for w in found]
    return values[0] if len(values) == 1 else values


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    line = yaml.safe_dump(
        value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False
    )
    return str(line).removesuffix("...\n").strip()

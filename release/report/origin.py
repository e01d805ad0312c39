"""The parts of the report about where a model comes from: the winner itself, and what changed."""

from __future__ import annotations

import json
from typing import Any

from release import dvc_state, revisions
from release.dvc_state import ValueChange, changes
from release.gate import limits
from release.gate.judgement import Judgement
from release.gate.red_flags.declarations import both_sides
from release.gate.reproduction.rescoring import WINNER
from release.report import timing
from release.report.markdown import code, details, table
from release.revisions import CannotJudge


def model(judgement: Judgement) -> str:
    """Return the section on the winner, the price of its constraints, its size and latency."""
    old, new = judgement.champion_metrics or {}, judgement.metrics
    if not new:
        return ""
    names = ("dataset", "mode", "winner", "chosen_by")
    lines = [
        *(
            [name.replace("_", " "), as_cell(old.get(name)), as_cell(new.get(name))]
            for name in names
        ),
        ["trained on", describe_training(old), describe_training(new)],
        ["price of monotone constraints", price(old), price(new)],
        ["price of glass", describe_glass(old), describe_glass(new)],
        ["PD against a stated direction", count_against(old), count_against(new)],
        *([measured] if (measured := describe_scoring(judgement)) else []),
    ]
    shown = table(["", "base", "head"], lines)
    return "\n\n".join(part for part in ("### Model", shown, directions(new)) if part)


def describe_training(figures: dict[str, Any]) -> str:
    """Return how many rows a model was trained on, and their first and last date."""
    held = figures.get("trained_on") or {}
    if "rows" not in held:
        return "—"
    again = figures.get("shipped")
    refit = f"; ships fitted again on {describe_rows(again)}" if again else ""
    return describe_rows(held) + refit


def describe_rows(held: dict[str, Any]) -> str:
    """Return the number of rows, and their first and last date."""
    span = (held.get("from"), held.get("to"))
    return f"{held['rows']:,} rows" + (f", {span[0]} to {span[1]}" if all(span) else "")


def price(figures: dict[str, Any]) -> str:
    """Return the cost of the monotone constraints in AUC on validation."""
    held = figures.get("monotone") or {}
    if "price" not in held:
        return "—"
    return f"{held['price']:+.4f} AUC for {len(held['features'])} features"


def describe_glass(figures: dict[str, Any]) -> str:
    """Return what the best model that can be drawn would cost in AUC on test, with its interval."""
    held = figures.get("price_of_glass")
    if not held:
        return "—"
    if held["candidate"] == figures.get("winner"):
        return f"none: {held['candidate']} can be drawn"
    auc = held["roc_auc"]
    interval = f"{auc['low']:+.4f} to {auc['high']:+.4f}"
    return f"{auc['value']:+.4f} AUC ({interval}) for {held['candidate']}"


def fields_of(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what `evaluate` found of each field with a direction of risk; {} where it did not."""
    return (figures.get("monotone") or {}).get("fields") or {}


def count_against(figures: dict[str, Any]) -> str:
    """Return for how many fields the PD goes against the direction of risk that is stated."""
    fields = fields_of(figures)
    wrong = sum(1 for field in fields.values() if field["violations"])
    return f"{wrong} of {len(fields)} fields" if fields else "—"


def directions(figures: dict[str, Any]) -> str:
    """Return what the head's constraints buy: the rows in which the PD keeps each direction."""
    fields = fields_of(figures)
    if not fields:
        return ""
    lines = [
        [
            code(name),
            field["risk"],
            direction_kept(field),
            as_count(field.get("violations_when_free")),
        ]
        for name, field in fields.items()
    ]
    head = ["field", "risk is", "test rows against it", "without constraints"]
    title = f"Directions of risk, each through all its values in {figures['monotone']['rows']:,} "
    return details(f"{title}test rows", table(head, lines, "llrr"))


def direction_kept(field: dict[str, Any]) -> str:
    """Return whether the PD keeps a field's direction; else in how many rows not, and the worst."""
    if field["proved"]:
        return "0 (proved for every application)"
    if not field["violations"]:
        return "0"
    shown = field["counterexample"]
    values, risk = f"{shown['from']} → {shown['to']}", f"{shown['pd_from']} → {shown['pd_to']}"
    return f"{field['violations']:,}: row {shown['row']} from {code(values)} has PD {risk}"


def as_count(value: int | None) -> str:
    """Return a number of rows, a dash where it is not known."""
    return "—" if value is None else f"{value:,}"


def describe_scoring(judgement: Judgement) -> list[str]:
    """Return the size of both winners and how long each takes for an application."""
    if not WINNER.is_file():
        return []
    sizes = (size(former_size(judgement)), size(WINNER.stat().st_size))
    took = (f", {us:,.0f} µs per application" if us else "" for us in timing.measure(judgement))
    return ["artifact", *map("".join, zip(sizes, took, strict=True))]


def former_size(judgement: Judgement) -> int | None:
    """Return the size of the base's winner in bytes."""
    lock = revisions.content(judgement.base, "dvc.lock") if judgement.base else None
    try:
        held = dvc_state.locked_outputs(lock).get(str(WINNER)) if lock else None
    except CannotJudge:
        return None
    return held[1] if held else None


def size(value: int | None) -> str:
    """Return a size in kilobytes as text."""
    return "—" if value is None else f"{value / 1000:,.0f} kB"


def changes_in(judgement: Judgement, path: str) -> list[ValueChange]:
    """Return what differs in a YAML or JSON file from the base; nothing without a base."""
    return changes(*both_sides(judgement.base, path)) if judgement.base else []


def list_changes(title: str, changed: list[ValueChange]) -> str:
    """Return the changes as a table that opens on a click; nothing without changes."""
    if not changed:
        return ""
    lines = [[code(c.name), as_cell(c.before), as_cell(c.after)] for c in changed]
    return details(f"{title}: {len(changed)} changed", table(["", "base", "head"], lines))


def as_cell(value: object) -> str:
    """Return a value as the text of a table cell."""
    if value is None:
        return "—"
    return code(value if isinstance(value, str) else json.dumps(value, default=str))


def parameters(judgement: Judgement) -> str:
    """Return the section on what changed in params.yaml."""
    return list_changes("Parameters", changes_in(judgement, "params.yaml"))


def policy(judgement: Judgement) -> str:
    """Return the section on the gate policy, which holds from the next change on."""
    return list_changes("Gate policy", changes_in(judgement, limits.PATH))


def data(judgement: Judgement) -> str:
    """Return the section on what changed in the contract and in quality.json."""
    if not judgement.params:
        return ""
    folder = judgement.params.data
    held: list[ValueChange] = []
    for name in ("quality.json", "contract.yaml", "raw.dvc"):
        held += changes_in(judgement, str(folder / name))
    return list_changes("Data", held)

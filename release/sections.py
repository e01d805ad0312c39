"""The parts of the report below its figures: decisions, groups, model, what changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from release import artifact, impact, limits, predictions, revisions, storage
from release.changes import Change, changes
from release.contest import Contest
from release.impact import Part
from release.judgement import Judgement
from release.markdown import code, details, number, percent, points, table
from release.revisions import CannotJudge
from stages.policy import DECISIONS

DIFFERENCES = ["", "base", "head", "difference"]


def decisions(found: Judgement) -> str:
    """Decision impact and swap set."""
    if not found.contest or not found.params:
        return ""
    done = impact.impact(found.contest, found.params.policy)
    old, new, profit = done.champion, done.challenger, found.differences["profit"]
    same_bads, same_size = done.approval_at_bad_rate, done.bad_rate_at_approval
    lines = [
        shares("Approval rate", old.approval_rate, new.approval_rate),
        shares("Bad rate of the approved", old.bad_rate, new.bad_rate, 2),
        money("Expected profit per unit applied for", old.expected_profit, new.expected_profit),
        money("Profit as it turned out", profit.champion, profit.challenger),
        shares("Approval rate at the base's bad rate", old.approval_rate, same_bads),
        shares("Bad rate at the base's approval rate", old.bad_rate, same_size, 2),
    ]
    rates = ["bad rate", "95 % interval", "mean PD base", "mean PD head"]
    head = ["Swap set", "applications", "share", *rates]
    moves = [
        [decision, *(f"{count:,}" for count in own)]
        for decision, own in zip(DECISIONS, done.moves.tolist(), strict=True)
    ]
    return "\n\n".join(
        [
            "### Decisions",
            table(DIFFERENCES, lines, "lrrr"),
            table(head, [swapped(name, own) for name, own in done.swaps.items()], "lrrrrrr"),
            details(
                "Decisions of the base (down) by decisions of the head (across)",
                table(["", *DECISIONS], moves, "lrrr"),
            ),
        ]
    )


def summary(found: Judgement) -> str:
    """What the change does to decisions, in one line."""
    held = found.differences
    if not held:
        return ""
    profit, rate, bads = held["profit"], held["approval_rate"], held["approved_bad_rate"]
    return (
        f"**Approvals {percent(rate.champion)} → {percent(rate.challenger)}, bad rate of the "
        f"approved {percent(bads.champion, 2)} → {percent(bads.challenger, 2)}, profit per unit "
        f"applied for {number(profit.champion)} → {number(profit.challenger)}** "
        f"({number(profit.difference, 4, '+')}, 95 % interval {number(profit.low, 4, '+')} to "
        f"{number(profit.high, 4, '+')})."
    )


def shares(name: str, before: float, after: float, digits: int = 1) -> list[str]:
    """A line of two shares."""
    gap = points(before, after, digits)
    return [name, percent(before, digits), percent(after, digits), gap]


def money(name: str, before: float, after: float) -> list[str]:
    """A line of two amounts."""
    return [name, number(before, 5), number(after, 5), number(after - before, 5, "+")]


def swapped(name: str, own: Part) -> list[str]:
    """A line of the swap set."""
    interval = f"{percent(own.low)} to {percent(own.high)}" if own.applications else "—"
    return [
        name,
        f"{own.applications:,}",
        percent(own.share),
        percent(own.bad_rate, 2),
        interval,
        percent(own.champion_pd, 2),
        percent(own.challenger_pd, 2),
    ]


def calibration(found: Judgement) -> str:
    """Whether PDs are as high as the bad rates."""
    held = pairs(found)
    if not held:
        return ""
    (old_pd, new_pd), (old_bad, new_bad) = held["mean_pd"], held["bad_rate"]
    named = {
        "Mean PD": held["mean_pd"],
        "Bad rate": held["bad_rate"],
        "Mean PD - bad rate": (old_pd - old_bad, new_pd - new_bad),
        "ECE": held["ece"],
        "Slope": held["calibration_slope"],
    }
    lines = [[name, *(number(value) for value in pair)] for name, pair in named.items()]
    return "### Calibration\n\n" + table(["", "base", "head"], lines, "lrr")


def pairs(found: Judgement) -> dict[str, tuple[float, float]]:
    """Every figure of base and head; NaN for a base that is not there."""
    if found.differences:
        return {name: (d.champion, d.challenger) for name, d in found.differences.items()}
    held = found.challenger.estimates if found.challenger else {}
    return {name: (float("nan"), own) for name, own in held.items()}


def groups(found: Judgement) -> str:
    """Protected groups: rates, adverse impact and calibration."""
    lines = [
        [
            group.attribute,
            code(group.group),
            f"{group.rows:,}",
            percent(approved(found.contest, group.attribute, group.group)),
            percent(group.approval_rate),
            number(group.ratio, 2),
            percent(group.bad_rate),
            number(group.ece),
        ]
        for group in found.groups
    ]
    rates = ["approved base", "approved head", "impact ratio", "bad rate", "ECE"]
    text = table(["", "group", "rows", *rates], lines, "llrrrrrr")
    return f"### Protected groups\n\n{text}" if lines else ""


def approved(contest: Contest | None, attribute: str, group: str) -> float | None:
    """The champion's approval rate of a group among the common rows."""
    if contest is None:
        return None
    own = (contest.groups[f"{predictions.GROUP}{attribute}"] == group).to_numpy()
    return impact.mean(contest.champion.approved[own])


def model(found: Judgement) -> str:
    """The winner, the price of its monotone constraints, its size and its latency."""
    old, new = found.champion_metrics or {}, found.metrics
    if not new:
        return ""
    names = ("dataset", "mode", "winner", "chosen_by")
    lines = [
        *([name.replace("_", " "), told(old.get(name)), told(new.get(name))] for name in names),
        ["trained on", trained(old), trained(new)],
        ["price of monotone constraints", price(old), price(new)],
        *([measured] if (measured := scored(found)) else []),
    ]
    return "### Model\n\n" + table(["", "base", "head"], lines)


def trained(figures: dict[str, Any]) -> str:
    """How many rows of which time a model was trained on."""
    held = figures.get("trained_on") or {}
    if "rows" not in held:
        return "—"
    span = (held.get("from"), held.get("to"))
    return f"{held['rows']:,} rows" + (f", {span[0]} to {span[1]}" if all(span) else "")


def price(figures: dict[str, Any]) -> str:
    """What the constraints cost in AUC on validation."""
    held = figures.get("monotone") or {}
    if "price" not in held:
        return "—"
    return f"{held['price']:+.4f} AUC for {len(held['features'])} features"


def scored(found: Judgement) -> list[str]:
    """Size of both winners, and the head's latency."""
    head = artifact.measure()
    if head is None:
        return []
    took = "" if head.microseconds is None else f", {head.microseconds:,.0f} µs an application"
    trouble = head.trouble and f", not timed: {code(head.trouble)}"
    return ["artifact", size(former(found)), size(head.size) + took + trouble]


def former(found: Judgement) -> int | None:
    """Bytes of the base's winner."""
    lock = revisions.content(found.base, "dvc.lock") if found.base else None
    try:
        held = storage.version(lock, str(artifact.PATH)) if lock else None
    except CannotJudge:
        return None
    return held[1] if held else None


def size(value: int | None) -> str:
    """Bytes in kilobytes."""
    return "—" if value is None else f"{value / 1000:,.0f} kB"


def both(found: Judgement, path: str) -> tuple[Any, Any]:
    """A YAML or JSON file at the base and in the working tree; {} where it is none.

    Without a base nothing has changed: both are {}.
    """
    if found.base is None:
        return {}, {}
    held = revisions.content(found.base, path)
    here = Path(path)
    return parsed(held or ""), parsed(here.read_text(errors="replace") if here.is_file() else "")


def parsed(text: str) -> Any:
    """YAML, of which JSON is a part; {} where the text is neither."""
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError:
        return {}


def differing(title: str, found: list[Change]) -> str:
    """Changes as a table that opens on a click; nothing where there is none."""
    if not found:
        return ""
    lines = [[code(c.name), told(c.before), told(c.after)] for c in found]
    return details(f"{title}: {len(found)} changed", table(["", "base", "head"], lines))


def told(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return "—"
    return code(value if isinstance(value, str) else json.dumps(value, default=str))


def parameters(found: Judgement) -> str:
    """What changed in params.yaml."""
    return differing("Parameters", changes(*both(found, "params.yaml")))


def policy(found: Judgement) -> str:
    """What changed in the gate policy, which holds from the next change on."""
    return differing("Gate policy", changes(*both(found, limits.PATH)))


def data(found: Judgement) -> str:
    """What changed in the contract and in the account of the rows."""
    if not found.params:
        return ""
    folder = found.params.data
    held: list[Change] = []
    for name in ("quality.json", "contract.yaml", "raw.dvc"):
        held += changes(*both(found, str(folder / name)))
    return differing("Data", held)

"""The parts of the report below its figures: decisions, calibration, groups."""

from __future__ import annotations

from release.gate import predictions
from release.gate.comparison import PairedRows
from release.gate.judgement import Judgement
from release.report import impact
from release.report.impact import Segment
from release.report.markdown import code, details, number, percent, points, table
from stages.judging.evaluation import Judged
from stages.metrics.ranked_rows import Bools
from stages.policy.decisions import DECISIONS

DIFFERENCES = ["", "base", "head", "difference"]


def decisions(judgement: Judgement) -> str:
    """Return the section on decisions and the swap set."""
    if not judgement.paired or not judgement.params:
        return ""
    done = impact.impact(judgement.paired, judgement.params.policy)
    old, new, profit = done.champion, done.challenger, judgement.differences["profit"]
    same_bads, same_size = done.approval_at_bad_rate, done.bad_rate_at_approval
    lines = [
        shares("Approval rate", old.approval_rate, new.approval_rate),
        shares("Bad rate among approved", old.bad_rate, new.bad_rate, 2),
        money("Expected profit per unit applied for", old.expected_profit, new.expected_profit),
        money("Profit as it turned out", profit.champion, profit.challenger),
        shares("Approval rate at the base's bad rate", old.approval_rate, same_bads),
        shares("Bad rate at the base's approval rate", old.bad_rate, same_size, 2),
    ]
    rates = ["bad rate", "95 % interval", "mean PD base", "mean PD head"]
    head = ["Swap set", "applications", "share", *rates]
    moves = [
        [decision, *(f"{count:,}" for count in counts)]
        for decision, counts in zip(DECISIONS, done.moves.tolist(), strict=True)
    ]
    return "\n\n".join(
        [
            "### Decisions",
            table(DIFFERENCES, lines, "lrrr"),
            table(head, [swap_row(name, part) for name, part in done.swaps.items()], "lrrrrrr"),
            details(
                "Decisions of the base (down) by decisions of the head (across)",
                table(["", *DECISIONS], moves, "lrrr"),
            ),
        ]
    )


def summary(judgement: Judgement) -> str:
    """Return one line on what the change does to decisions."""
    held = judgement.differences
    if not held:
        return ""
    profit, rate, bads = held["profit"], held["approval_rate"], held["approved_bad_rate"]
    return (
        f"**Approvals {percent(rate.champion)} → {percent(rate.challenger)}, bad rate among the "
        f"approved {percent(bads.champion, 2)} → {percent(bads.challenger, 2)}, profit per unit "
        f"applied for {number(profit.champion)} → {number(profit.challenger)}** "
        f"({number(profit.difference, 4, '+')}, 95 % interval {number(profit.low, 4, '+')} to "
        f"{number(profit.high, 4, '+')}). {people(judgement)}"
    ).strip()


def people(judgement: Judgement) -> str:
    """Say how many applicants change sides, and how often they go bad against the portfolio."""
    if not judgement.paired:
        return ""
    old, new = judgement.paired.champion, judgement.paired.challenger
    newly, no_longer = ~old.approved & new.approved, old.approved & ~new.approved
    return (
        f"Of {judgement.paired.rows:,} applicants, {newly.sum():,} are newly approved "
        f"{rate(new, newly)} and {no_longer.sum():,} no longer {rate(new, no_longer)}. "
        f"Of those whom the base approves, {percent(impact.mean(new.bad[old.approved]), 1)} go "
        f"bad, of all applicants {percent(impact.mean(new.bad), 1)}."
    )


def rate(rows: Judged, chosen: Bools) -> str:
    """Return the bad rate of some rows with its 95 % interval, in words."""
    if not chosen.any():
        return "(nobody)"
    low, high = impact.interval_of_bad_rate(rows, chosen)
    mean = percent(impact.mean(rows.bad[chosen]), 1)
    return f"(bad rate {mean}, 95 % interval {percent(low)} to {percent(high)})"


def shares(name: str, before: float, after: float, digits: int = 1) -> list[str]:
    """Return a table row that compares two shares."""
    gap = points(before, after, digits)
    return [name, percent(before, digits), percent(after, digits), gap]


def money(name: str, before: float, after: float) -> list[str]:
    """Return a table row that compares two amounts."""
    return [name, number(before, 5), number(after, 5), number(after - before, 5, "+")]


def swap_row(name: str, part: Segment) -> list[str]:
    """Return one row of the table of the swap set."""
    interval = f"{percent(part.low)} to {percent(part.high)}" if part.applications else "—"
    return [
        name,
        f"{part.applications:,}",
        percent(part.share),
        percent(part.bad_rate, 2),
        interval,
        percent(part.champion_pd, 2),
        percent(part.challenger_pd, 2),
    ]


def calibration(judgement: Judgement) -> str:
    """Return the section that compares PDs with bad rates."""
    held = pairs(judgement)
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


def pairs(judgement: Judgement) -> dict[str, tuple[float, float]]:
    """Return every figure of base and head; NaN where there is no base."""
    if judgement.differences:
        return {name: (d.champion, d.challenger) for name, d in judgement.differences.items()}
    held = judgement.challenger.estimates if judgement.challenger else {}
    return {name: (float("nan"), value) for name, value in held.items()}


def groups(judgement: Judgement) -> str:
    """Return the section on protected groups: approvals, price, adverse impact, calibration.

    The price that a group pays follows from its mean PD.
    """
    lines = [
        [
            group.attribute,
            code(group.group),
            f"{group.rows:,}",
            percent(approval_of(judgement.paired, group.attribute, group.group)),
            percent(group.approval_rate),
            *(
                percent(value, 2)
                for value in prices(judgement.paired, group.attribute, group.group)
            ),
            number(group.ratio, 2),
            percent(group.bad_rate),
            number(group.ece),
        ]
        for group in judgement.groups
    ]
    rates = ["approved base", "approved head", "mean PD base", "mean PD head"]
    head = ["", "group", "rows", *rates, "impact ratio", "bad rate", "ECE"]
    text = table(head, lines, "llrrrrrrrr")
    return f"### Protected groups\n\n{text}" if lines else ""


def prices(paired: PairedRows | None, attribute: str, group: str) -> tuple[float, float]:
    """Return the mean PD of a group among the common rows on both sides; NaN without any."""
    if paired is None:
        return float("nan"), float("nan")
    members = (paired.groups[f"{predictions.GROUP}{attribute}"] == group).to_numpy()
    return impact.mean(paired.champion.pd[members]), impact.mean(paired.challenger.pd[members])


def approval_of(paired: PairedRows | None, attribute: str, group: str) -> float | None:
    """Return the champion's approval rate of a group among the common rows."""
    if paired is None:
        return None
    members = (paired.groups[f"{predictions.GROUP}{attribute}"] == group).to_numpy()
    return impact.mean(paired.champion.approved[members])

"""How scores and vintages move: who is scored otherwise, and when loans were made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from release.gate.comparison import PairedRows
from release.gate.judgement import Judgement
from release.report import charts, impact
from release.report.markdown import details, number, percent, table
from stages.judging import evaluation
from stages.metrics.ranked_rows import Floats

TENTHS = 10
SMALLEST = 0.0001  # share of an empty tenth, so that the PSI stays finite


class Vintage(NamedTuple):
    """Loans made in a quarter: how many, how many went bad, and what both sides say of them."""

    quarter: str
    applications: int
    bad_rate: float
    pd_base: float
    pd_head: float
    approved_base: float
    approved_head: float


def section(judgement: Judgement) -> str:
    """Return the section on the shift of scores and of vintages."""
    both = judgement.paired
    if not both:
        return ""
    moved = np.abs(both.challenger.pd - both.champion.pd)
    words = (
        f"The PD moves by {percent(float(np.median(moved)), 2)} in the middle and by more than "
        f"{percent(float(np.quantile(moved, 0.95)), 2)} for one applicant in twenty; the "
        f"population stability index of the scores is {number(stability(both), 3)}."
    )
    parts = ["### Scores and vintages", words]
    if vintages := by_quarter(both):
        head = ["Quarter", "applications", "bad rate", "mean PD base", "mean PD head"]
        head += ["approved base", "approved head"]
        lines = table(head, [*map(as_line, vintages)], "lrrrrrr")
        parts += [chart(vintages), details("By quarter", lines)]
    return "\n\n".join(parts)


def stability(both: PairedRows) -> float:
    """Return the PSI of the challenger's PDs over tenths of the champion's."""
    edges = np.unique(np.quantile(both.champion.pd, np.linspace(0, 1, TENTHS + 1)[1:-1]))

    def shares(pd: Floats) -> Floats:
        counts = np.bincount(np.searchsorted(edges, pd, side="right"), minlength=len(edges) + 1)
        return np.maximum(counts / len(pd), SMALLEST)

    old, new = shares(both.champion.pd), shares(both.challenger.pd)
    return float(((new - old) * np.log(new / old)).sum())


def by_quarter(both: PairedRows) -> list[Vintage]:
    """Return the quarters in which loans were made, in their order; none without dates."""
    dates = both.groups["date"]
    if dates.isna().any():
        return []
    quarters = evaluation.name_vintages(dates.to_numpy("datetime64[D]"))
    vintages = []
    for quarter in np.unique(quarters):
        inside = quarters == quarter
        old, new = both.champion.taking(inside), both.challenger.taking(inside)
        rates = map(impact.mean, (new.bad, old.pd, new.pd, old.approved, new.approved))
        vintages.append(Vintage(str(quarter), int(inside.sum()), *rates))
    return vintages


def as_line(vintage: Vintage) -> list[str]:
    """Return a quarter as a line of a table."""
    quarter, applications, *rates = vintage
    return [quarter, f"{applications:,}", *(percent(rate, 2) for rate in rates)]


def chart(vintages: list[Vintage]) -> str:
    """Return bad rate and both mean PDs by quarter as a chart that GitHub draws."""
    lines = (
        (charts.RED, [vintage.bad_rate for vintage in vintages]),
        (charts.GREY, [vintage.pd_base for vintage in vintages]),
        (charts.BLUE, [vintage.pd_head for vintage in vintages]),
    )
    series = [charts.Series("line", colour, 100 * np.array(rates)) for colour, rates in lines]
    title = "By quarter, %: bad rate (red), mean PD (grey: base, blue: head)"
    return charts.draw(title, charts.categories(v.quarter for v in vintages), series)

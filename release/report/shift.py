"""How scores and vintages move: who is scored otherwise, and when loans were made."""

from __future__ import annotations

import numpy as np

from release.gate.comparison import PairedRows
from release.gate.judgement import Judgement
from release.report import charts, impact
from release.report.markdown import details, number, percent, table
from stages.judging import evaluation
from stages.metrics.ranked_rows import Floats

TENTHS = 10
SMALLEST = 0.0001  # share of an empty tenth, so that the PSI stays finite


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
        parts += [chart(vintages), details("By quarter", table(head, vintages, "lrrrrrr"))]
    return "\n\n".join(parts)


def stability(both: PairedRows) -> float:
    """Return the PSI of the challenger's PDs over tenths of the champion's."""
    edges = np.unique(np.quantile(both.champion.pd, np.linspace(0, 1, TENTHS + 1)[1:-1]))

    def shares(pd: Floats) -> Floats:
        counts = np.bincount(np.searchsorted(edges, pd, side="right"), minlength=len(edges) + 1)
        return np.maximum(counts / len(pd), SMALLEST)

    old, new = shares(both.champion.pd), shares(both.challenger.pd)
    return float(((new - old) * np.log(new / old)).sum())


def by_quarter(both: PairedRows) -> list[list[str]]:
    """Return one line for each quarter in which loans were made; none without dates."""
    dates = both.groups["date"]
    if dates.isna().any():
        return []
    quarters = evaluation.name_vintages(dates.to_numpy("datetime64[D]"))
    lines = []
    for quarter in np.unique(quarters):
        in_quarter = quarters == quarter
        old, new = both.champion.taking(in_quarter), both.challenger.taking(in_quarter)
        rates = (new.bad, old.pd, new.pd, old.approved, new.approved)
        shares = [percent(impact.mean(values), 2) for values in rates]
        lines.append([str(quarter), f"{in_quarter.sum():,}", *shares])
    return lines


def chart(vintages: list[list[str]]) -> str:
    """Return bad rate and both mean PDs by quarter as a chart that GitHub draws."""
    colours = {2: charts.RED, 3: charts.GREY, 4: charts.BLUE}  # of the columns
    series = [
        charts.Series("line", colour, [float(line[column].rstrip("%")) for line in vintages])
        for column, colour in colours.items()
    ]
    title = "By quarter, %: bad rate (red), mean PD (grey: base, blue: head)"
    return charts.draw(title, charts.categories(line[0] for line in vintages), series)

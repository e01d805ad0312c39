"""What a change does in numbers of people and in money, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from release.gate.comparison import PairedRows
from release.gate.judgement import Judgement
from release.report.markdown import table
from stages.judging.evaluation import Judged
from stages.metrics import ratio_intervals
from stages.metrics.ranked_rows import Floats
from stages.policy.decisions import Policy
from stages.replay import policy_figures
from stages.replay.scored_rows import ScoredRows

# The totals of a replay that stand beside those above, each valued by the PDs of its own side.
REPLAYED = {
    "referred": "Applicants referred",
    "expected_loss": "Expected loss on the money approved",
    "capital": "Capital for it, by Basel's formula for other retail loans",
}


class Total(NamedTuple):
    """A sum over the judged applications on both sides, and their difference."""

    name: str
    champion: float
    challenger: float
    low: float
    high: float


def section(judgement: Judgement) -> str:
    """Return the section on people and money."""
    if not judgement.paired or not judgement.params:
        return ""
    held = [*totals(judgement.paired, judgement.params.policy)]
    lines = [
        [
            total.name,
            f"{total.champion:,.0f}",
            f"{total.challenger:,.0f}",
            f"{total.challenger - total.champion:+,.0f}",
            f"{total.low:+,.0f} to {total.high:+,.0f}",
        ]
        for total in held
    ]
    head = ["", "base", "head", "difference", "95 % interval"]
    rows = f"{judgement.paired.rows:,} judged applications"
    return f"### People and money, of {rows}\n\n{table(head, lines, 'lrrrr')}"


def totals(both: PairedRows, policy: Policy) -> Iterator[Total]:
    """Yield sums of decisions, of defaults and, where the contract names money, of amounts."""
    old, new = both.champion, both.challenger
    bad = np.asarray(new.bad, dtype=np.float64)
    cluster = old.cluster
    measures = {"Applicants approved": np.ones(both.rows), "Of these, loans that went bad": bad}
    if new.exposure is not None:
        money = np.asarray(new.exposure, dtype=np.float64)
        measures |= {"Money approved": money, "Of this, money in bad loans": money * bad}
        measures["Profit as it turned out, in money"] = policy.profits(bad == 1, money)
    pairs = {name: (value * old.approved, value * new.approved) for name, value in measures.items()}
    then, now = (replay_totals(side, policy, new.exposure) for side in (old, new))
    pairs |= {title: (then[name], now[name]) for name, title in REPLAYED.items() if name in now}
    same = np.array_equal(old.pd, new.pd) and np.array_equal(old.decision, new.decision)
    for name, (before, after) in pairs.items():
        _, low, high = ratio_intervals.difference_of_totals(after, before, cluster, same=same)
        yield Total(name, float(before.sum()), float(after.sum()), low, high)


def replay_totals(side: Judged, policy: Policy, exposure: Floats | None) -> dict[str, Floats]:
    """Return what `python -m stages.policy` states of one side: columns (n,) to be summed."""
    bad = np.asarray(side.bad, dtype=np.float64)
    rows = ScoredRows(pd=side.pd, bad=bad, exposure=exposure)
    return policy_figures.totals(rows, side.decision, policy, "other_retail")

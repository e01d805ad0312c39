"""The rules of the gate: figures and limits in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from release.gate.comparison import POWER, RESAMPLES, SEED, Difference, PairedRows
from release.gate.limits import HIGHER, CalibrationLimits, Groups, Limits
from release.gate.predictions import GROUP
from stages.judging.evaluation import Judged, order_of_group
from stages.metrics import clusters, intervals
from stages.metrics.intervals import Draws
from stages.metrics.ratio_intervals import quotient_of_rates

Status = Literal["pass", "fail", "cannot judge", "note"]
GROUP_RESAMPLES = RESAMPLES // 5  # groups are many; 200 settle a limit that is no finer than 0.01


class Finding(NamedTuple):
    """What one check found; `note` is for the reader and decides nothing."""

    check: str
    status: Status
    words: str
    figure: str = ""


class ProtectedGroup(NamedTuple):
    """A protected group among the judged rows; NaN and no rules where it is too small."""

    attribute: str
    group: str
    rows: int
    approval_rate: float
    bad_rate: float
    ratio: float  # adverse impact: approval rate over that of the most approved group
    ratio_high: float  # upper end of its 95 % interval
    ece: float
    ece_low: float

    @property
    def name(self) -> str:
        """Return attribute and group in words."""
        return f"{self.attribute} {self.group}"


def floors(figures: dict[str, float], limits: Limits) -> Iterator[Finding]:
    """Judge the challenger's figures by each floor."""
    for name, floor in limits.floors.items():
        value, broken = figures[name], floor.broken_limit(figures[name])
        status: Status = "fail" if broken else "pass"
        if not isfinite(value):
            yield Finding("floor", "cannot judge", f"{name} is undefined", name)
        else:
            words = f"{name} is {value:.4g}{broken and f', {broken}'}; {floor} is needed"
            yield Finding("floor", status, words, name)


def calibration(draws: Draws, limits: CalibrationLimits) -> Iterator[Finding]:
    """Judge ECE, |mean PD - bad rate| and slope; the last two fail only where significant."""
    held = intervals.percentile_intervals(draws)
    ece, slope = held["ece"], held["calibration_slope"]
    gap = draws.estimates["mean_pd"] - draws.estimates["bad_rate"]
    resampled = draws.resampled["mean_pd"] - draws.resampled["bad_rate"]
    low, high = (float(q) for q in np.quantile(resampled, [0.025, 0.975]))
    words = f"ECE is {ece.estimate:.4f}; {limits.max_ece:g} is allowed"
    yield _finding("calibration", ece.estimate > limits.max_ece, words, ece.estimate)
    words = (
        f"mean PD minus bad rate is {gap:+.4f} ({low:+.4f} to {high:+.4f}); "
        f"±{limits.max_gap:g} is allowed"
    )
    yield _finding("calibration", abs(gap) > limits.max_gap and not low <= 0 <= high, words, gap)
    allowed = limits.min_slope <= slope.estimate <= limits.max_slope
    words = (
        f"slope is {slope.estimate:.3f} ({slope.low:.3f} to {slope.high:.3f}); "
        f"{limits.min_slope:g} to {limits.max_slope:g} is allowed"
    )
    significant = not slope.low <= 1 <= slope.high
    yield _finding("calibration", not allowed and significant, words, *slope)


def _finding(check: str, broken: bool, words: str, *values: float) -> Finding:
    if not all(map(isfinite, values)):
        return Finding(check, "cannot judge", f"undefined: {words}")
    return Finding(check, "fail" if broken else "pass", words)


def losses(differences: dict[str, Difference], limits: Limits) -> Iterator[Finding]:
    """Judge each figure's loss against the champion by its 95 % interval.

    A loss beyond the tolerance fails where the whole interval lies on the bad side. Where the
    interval reaches further than what must be excluded, the rows are too few to judge.
    """
    for name, allowed in limits.max_loss.items():
        loss = differences[name]
        words = (
            f"{name} {loss.champion:.4f} → {loss.challenger:.4f}, "
            f"{loss.difference:+.4f} ({loss.low:+.4f} to {loss.high:+.4f}); "
            f"a loss of {allowed:g} is allowed, one of {loss.detectable:.4f} is seen with a "
            f"power of {POWER:.0%}"
        )
        least, most = loss.losses(higher=name in HIGHER)
        worse = least > 0 and loss.loss(higher=name in HIGHER) > allowed
        finding = _finding("champion", worse, words, loss.difference, loss.low, loss.high)
        limit = limits.max_unexcluded_loss.get(name)
        if finding.status == "pass" and limit is not None and most > limit:
            words += f"; a loss of {most:.4f} cannot be excluded, and {limit:g} must be: "
            words += "judge on more test rows"
            finding = Finding("champion", "cannot judge", words)
        yield finding._replace(figure=name)


def enough_common_rows(pairs: PairedRows, limits: Limits) -> Iterator[Finding]:
    """Judge whether both sides share enough rows, with enough defaults."""
    words = f"{pairs.rows:,} test rows are common to both sides, {pairs.share:.0%} of the larger"
    if pairs.moved:
        words += f"; {pairs.moved:,} were left out: their outcome or date changed"
    if pairs.edited:
        words += f"; {pairs.edited:,} were left out: their fields changed"
    if pairs.share < limits.min_common_rows:
        words += f"; {limits.min_common_rows:.0%} are needed: judge this change of data by hand"
        yield Finding("rows", "cannot judge", words)
    else:
        whole = pairs.share == 1 and not pairs.moved and not pairs.edited
        yield Finding("rows", "pass" if whole else "note", words)
        yield from enough_outcomes(pairs.challenger, limits)


def enough_outcomes(rows: Judged, limits: Limits) -> Iterator[Finding]:
    """Judge whether there are enough goods and bads; those of a customer count together."""
    worth = {bad: clusters.independent_number(rows.bad == bad, rows.cluster) for bad in (0, 1)}
    bads = int(rows.bad.sum())
    words = f"{bads:,} defaults among {len(rows.bad):,} test rows"
    words += "" if round(worth[1]) == bads else f", worth {worth[1]:,.0f} independent ones"
    words += f"; {limits.min_bads} are needed"
    few = min(worth.values()) < limits.min_bads
    yield Finding("rows", "cannot judge" if few else "pass", words)


def groups(rows: Judged, table: pd.DataFrame, limits: Groups) -> list[ProtectedGroup]:
    """Return every protected group of the rows; `table` (n, ...) holds the group_ columns."""
    return [
        group
        for column in table.columns
        if column.startswith(GROUP)
        for group in _attribute(rows, column.removeprefix(GROUP), table[column], limits)
    ]


def _attribute(
    rows: Judged, attribute: str, labels: pd.Series, limits: Groups
) -> Iterator[ProtectedGroup]:
    members = {
        str(g): (labels == g).to_numpy() for g in sorted(labels.unique(), key=order_of_group)
    }
    judged = {
        g: inside for g, inside in members.items() if inside.sum() >= limits.max_unjudged_rows
    }
    rates = {g: float(rows.approved[inside].mean()) for g, inside in judged.items()}
    most = max(rates, key=lambda g: rates[g], default="")
    for group, inside in members.items():
        size, nan = int(inside.sum()), float("nan")
        bad_rate = float(rows.bad[inside].mean())
        if group not in judged:
            yield ProtectedGroup(attribute, group, size, nan, bad_rate, nan, nan, nan, nan)
            continue
        ratio = rates[group] / rates[most] if rates[most] else nan
        pair = quotient_of_rates(rows.approved, inside, members[most], rows.cluster)
        high = pair.high if rates[group] and rates[most] else 0.0
        draws = intervals.bootstrap(
            rows.bad[inside],
            rows.pd[inside],
            1.0,
            cluster=None if rows.cluster is None else rows.cluster[inside],
            resamples=GROUP_RESAMPLES,
            seed=SEED,
        )
        ece = intervals.percentile_intervals(draws)["ece"]
        yield ProtectedGroup(
            attribute, group, size, rates[group], bad_rate, ratio, high, ece.estimate, ece.low
        )


def fairness(members: list[ProtectedGroup], limits: Groups) -> Iterator[Finding]:
    """Judge adverse impact where it is significant, and ECE by the lower end of its interval."""
    for group in members:
        if group.rows < limits.max_unjudged_rows:
            words = f"{group.name}: {group.rows} rows are too few to judge"
            yield Finding("groups", "note", words)
            continue
        words = (
            f"{group.name}: approval {group.approval_rate:.1%}, adverse impact ratio "
            f"{group.ratio:.2f}; {limits.min_adverse_impact_ratio:g} is needed"
        )
        adverse = group.ratio < limits.min_adverse_impact_ratio and group.ratio_high < 1
        yield _finding("groups", adverse, words, group.ratio)
        words = (
            f"{group.name}: ECE {group.ece:.4f}, at least {group.ece_low:.4f}; "
            f"{limits.max_ece:g} is allowed"
        )
        yield _finding("groups", group.ece_low > limits.max_ece, words, group.ece, group.ece_low)

"""What the sequential monitors promise: rare alarms in quiet years, and drifts found soon.

    python -m benches.judging.sequential_monitors [YEARS]

Simulates years of 50,000 decisions with a reference of 10,000 rows. In quiet years nothing changes
but chance, also in the reference. In the others a drift begins in the middle of the year, and its
delay is compared with that of a fixed test as the drift reports make it: a z-test of the mean over
the last 100, 1,000 and 10,000 decisions, at each tenth of a window, at the level of one rule of a
report on the default book, which has one false report in 10,000. A test that finds nothing until
the end of the year counts as late as that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from service.monitoring.drift import RULES
from service.monitoring.drift_rules import FALSE_REPORTS
from service.monitoring.sequential import FALSE_ALARMS, OddsTest, SequentialTests

ROWS = 50_000
REFERENCE = 10_000
LOOK = 100  # decisions between two looks of either test
BEGINS = ROWS // 2
WINDOWS = (100, 1000, 10_000)
FEATURES = 21  # of the default book, with the score
BOUND = float(norm.isf(FALSE_REPORTS / (FEATURES * RULES) / 2))
GROUPS = {"F": 0.4, "M": 0.6}
APPROVED = 0.745
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Year:
    """A year of decisions with PDs, outcomes, approvals and groups; drifts multiply odds."""

    def __init__(
        self, seed: int, calibration: float = 1, approval: float = 1, group: float = 1
    ) -> None:
        rng = np.random.default_rng([seed, 29])
        late = np.arange(ROWS) >= BEGINS
        self.days = np.datetime64("2026-01-01") + np.arange(ROWS) * 365 // ROWS
        self.pd = expit(rng.normal(-2.9, 1.3, ROWS))
        self.bad = rng.random(ROWS) < expit(logit(self.pd) + np.log(calibration) * late)
        self.group = np.where(rng.random(ROWS) < GROUPS["F"], "F", "M")
        odds = np.log(approval) * late + np.log(group) * (late & (self.group == "F"))
        self.approved = rng.random(ROWS) < expit(logit(APPROVED) + odds)
        self.rates = {
            name: float(rng.binomial(round(REFERENCE * share), APPROVED) / round(REFERENCE * share))
            for name, share in GROUPS.items()
        }

    def tests(self) -> SequentialTests:
        """Return the sequential tests, with the reference of the time before this year."""
        whole = sum(self.rates[name] * share for name, share in GROUPS.items())
        by_group = {
            name: {"approval_rate": rate, "rows": round(REFERENCE * GROUPS[name])}
            for name, rate in self.rates.items()
        }
        error = 1 / np.sqrt(REFERENCE / 2 * np.mean(self.pd * (1 - self.pd)))
        covariance = {"covariance": [[0.0, 0.0], [0.0, error**2]]}
        judged = {"test": {"approval_rate": {"value": whole}}, "by_group": {"group": by_group}}
        return SequentialTests(covariance, judged)


def first_alarm(
    test: OddsTest, days: Any, stated: Floats, event: Bools, look: int = LOOK
) -> int | None:
    """Return the number of observations after which a sequential test alarms."""
    for start in range(0, len(event), look):
        part = slice(start, start + look)
        test.observe(days[part], stated[part], event[part])
        if test.is_refuted:
            return min(start + look, len(event))
    return None


def first_fixed_alarm(stated: Floats, event: Bools) -> int | None:
    """Return the number of observations after which a window's z-test alarms.

    As in today's rule of the mean, the reference has as large an error as its rows give it.
    """
    trained = REFERENCE * len(event) / ROWS
    excess = np.concatenate([[0.0], np.cumsum(event - stated)])
    variance = np.concatenate([[0.0], np.cumsum(stated * (1 - stated))])
    alarms = []
    for window in WINDOWS:
        ends = np.arange(window, len(event) + 1, max(LOOK, window // 10))
        within = (variance[ends] - variance[ends - window]) * (1 + window / trained)
        z = (excess[ends] - excess[ends - window]) / np.sqrt(within)
        late = np.flatnonzero(np.abs(z) > BOUND)
        alarms += [int(ends[late[0]])] if len(late) else []
    return min(alarms, default=None)


def streams(year: Year) -> dict[str, tuple[OddsTest, Any, Floats, Bools]]:
    """Return each test of a year with its days, stated probabilities and events."""
    tests = year.tests()
    found = {"calibration": (tests.calibration, year.days, year.pd, year.bad)}
    for (name, group), test in tests.approval.items():
        rows = year.group == group if name else np.ones(ROWS, dtype=bool)
        stated = np.full(int(rows.sum()), tests.usual[name, group])
        found[f"approval {group}".strip()] = test, year.days[rows], stated, year.approved[rows]
    return found


def quiet_years(years: int) -> tuple[float, float]:
    """Return the shares of quiet years with an alarm of any sequential and of any fixed test."""
    ever = np.zeros(2)
    for seed in range(years):
        parts = streams(Year(seed)).values()
        ever += [
            any(first_alarm(*part) is not None for part in parts),
            any(first_fixed_alarm(*part[2:]) is not None for part in parts),
        ]
    return float(ever[0] / years), float(ever[1] / years)


def delays(make: Callable[[int], Year], name: str, years: int) -> tuple[float, float]:
    """Return the median delay, in observations of the stream, of the sequential and fixed test."""
    found = []
    for seed in range(years):
        test, days, stated, event = streams(make(1000 + seed))[name]
        begins = int(np.searchsorted(days, np.datetime64("2026-01-01") + BEGINS * 365 // ROWS))
        late = [first_alarm(test, days, stated, event), first_fixed_alarm(stated, event)]
        found.append([(len(event) if at is None else max(at, begins)) - begins for at in late])
    sequential, fixed = np.median(found, axis=0)
    return float(sequential), float(fixed)


DRIFTS: dict[str, tuple[str, dict[str, float]]] = {
    "odds of default times 1.5": ("calibration", {"calibration": 1.5}),
    "odds of default times 2": ("calibration", {"calibration": 2.0}),
    "odds of default halved": ("calibration", {"calibration": 0.5}),
    "odds of approval times 0.7": ("approval", {"approval": 0.7}),
    "odds of approval halved": ("approval", {"approval": 0.5}),
    "odds of approval of a group times 0.7": ("approval F", {"group": 0.7}),
    "odds of approval of a group halved": ("approval F", {"group": 0.5}),
}


def main() -> None:
    """Print the share of quiet years with an alarm, and the delays of each drift."""
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    sequential, fixed = quiet_years(years)
    print(f"{years} quiet years with an alarm: sequential {sequential:.1%}, fixed {fixed:.1%}")
    print(f"promised: at most {FALSE_ALARMS:.0%}")
    for drift, (name, change) in DRIFTS.items():
        late = delays(lambda seed, change=change: Year(seed, **change), name, max(years // 5, 10))
        print(f"{drift:40} {late[0]:8,.0f} {late[1]:8,.0f}  ratio {late[0] / late[1]:.2f}")


if __name__ == "__main__":
    main()

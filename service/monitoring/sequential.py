"""Tests that may be looked at as often as one likes: at most one quiet year in twenty alarms.

A test bets against the statement that the odds of an event are what they were when the model was
judged. While the statement holds, the expected wealth of the bets is at most 1, so it ever reaches
1 / level with a probability of at most `level` (Ville 1939; Ramdas, Grünwald, Vovk and Shafer,
"Game-theoretic statistics and safe anytime-valid inference", 2023). The wealth is spread evenly
over the days of a year on which a change may begin, and over its direction and size; the bets
begin anew with each year.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, logsumexp

from service.ledger import Ledger
from service.monitoring import decision_windows

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]
FALSE_ALARMS = 0.05  # probability that a quiet year has an alarm of any of the tests
FAMILIES = 3  # calibration, approval rate, and the groups together
DAYS = 366
# Changes of the odds that are bet on, to either side and beyond what the reference leaves open.
FACTORS = np.array([1.2, 1.5, 2.0, 3.5])
SIGNS = np.repeat([1.0, -1.0], len(FACTORS))
SIZES = np.tile(np.log(FACTORS), 2) * SIGNS
# Standard errors of the reference by which the odds may differ from it. A PD that is wrong is a
# fault whenever it was made; a share of few test rows is only an estimate of what is usual.
OPEN_FOR_PDS, OPEN_FOR_SHARES = 1.0, 2.0
CALM = float(np.log(20))  # log-likelihood by which "as stated" must beat the drift that was found
NEWEST = 100_000  # decisions that a monitor reads when it starts
FEWEST = 100  # rows of the reference without which a group has no test


@dataclass
class OddsTest:
    """Test that the odds of an event are the stated ones, up to a factor of `exp(margin)`.

    Once refuted, the statement stays so until later observations speak for it and against the
    drift that was found; then the test begins anew.
    """

    margin: float
    level: float
    year: int = 0
    peak: float = 1.0
    seen: int = 0
    events: int = 0
    expected: float = 0.0
    drift: int | None = None
    calm: float = 0.0
    wealth: Floats = field(default_factory=lambda: np.zeros((DAYS, len(SIZES))))

    def observe(self, days: Days, stated: Floats, event: NDArray[np.bool_]) -> None:
        """Add observations (n,) with the stated probability of each event, and look at the bets.

        Those of an earlier year than the latest are left out.
        """
        for day in np.unique(days):
            rows = days == day
            if day.astype(date).year >= self.year:
                self._add_day(day.astype(date), stated[rows], event[rows])
        self.peak = max(self.peak, self.evidence)
        if self.is_refuted and self.drift is None:
            self.drift = int(self.wealth.max(axis=0).argmax())
        elif self.calm >= CALM:
            self._begin(self.year)

    def _begin(self, year: int) -> None:
        self.__dict__ |= OddsTest(self.margin, self.level, year).__dict__

    def _add_day(self, day: date, stated: Floats, event: NDArray[np.bool_]) -> None:
        if day.year != self.year:
            self._begin(day.year)
        bound = expit(logit(stated)[:, None] + self.margin * SIGNS)
        gains = event[:, None] * SIZES - np.log1p(bound * np.expm1(SIZES))
        begun = day.timetuple().tm_yday
        self.wealth[:begun] += gains.sum(axis=0)
        if self.drift is not None:
            self.calm = max(self.calm - float(gains[:, self.drift].sum()), 0.0)
        self.seen, self.events = self.seen + len(event), self.events + int(event.sum())
        self.expected += float(stated.sum())

    @property
    def evidence(self) -> float:
        """The wealth of all bets now, having begun with 1."""
        return float(np.exp(min(logsumexp(self.wealth) - np.log(self.wealth.size), 700.0)))

    @property
    def is_refuted(self) -> bool:
        """Whether the statement is refuted, and no later observations have restored it."""
        return self.peak >= 1 / self.level

    def finding(self, name: str, event: str) -> dict[str, Any]:
        """Return what a report says of a refuted statement about some event."""
        share, expected = self.events / self.seen, self.expected / self.seen
        words = f"{share:.1%} {event} of {self.seen:,} in {self.year}, {expected:.1%} expected"
        return {
            "field": name,
            "rule": "sequential",
            "value": self.peak,
            "bound": 1 / self.level,
            "loudness": "warning",
            "words": f"{words}: evidence {self.peak:,.0f} to 1",
        }


class SequentialTests:
    """The tests of one model: calibration, approval rate, and approval of each group.

    `calibration` is that part of models/reference.json, and `judged` is models/evaluation.json,
    whose test rows say which share is approved; {} where it is not there.
    """

    def __init__(self, calibration: Mapping[str, Any], judged: Mapping[str, Any]) -> None:
        level = FALSE_ALARMS / FAMILIES
        self.seen = 0
        self.calibration = OddsTest(OPEN_FOR_PDS * error_of_level(calibration), level)
        self.usual: dict[tuple[str, str], float] = {}
        self.approval: dict[tuple[str, str], OddsTest] = {}
        parts = {
            (name, group): (facts["approval_rate"], facts["rows"])
            for name, groups in judged.get("by_group", {}).items()
            for group, facts in groups.items()
            if facts.get("approval_rate") is not None and facts["rows"] >= FEWEST
        }
        for key, (share, rows) in parts.items():
            self._watch(key, share, rows, level / len(parts))
        sizes = {name: 0.0 for name, _ in parts}
        for (name, _), (_, rows) in parts.items():
            sizes[name] += rows
        if whole := judged.get("test", {}).get("approval_rate"):
            rows = judged.get("rows") or max(sizes.values(), default=FEWEST)
            self._watch(("", ""), whole["value"], rows, level)

    def _watch(self, key: tuple[str, str], share: float, rows: float, level: float) -> None:
        if 0 < share < 1:
            margin = OPEN_FOR_SHARES / np.sqrt(rows * share * (1 - share))
            self.usual[key], self.approval[key] = share, OddsTest(float(margin), level)

    @property
    def attributes(self) -> list[str]:
        """The protected attributes of which a group is watched."""
        return sorted({name for name, _ in self.approval if name})

    def set_outcomes(self, days: Days, pd: Floats, bad: NDArray[np.bool_]) -> None:
        """Look at all mature outcomes (n,) so far, by the day of the decision.

        The bets of the outcomes multiply, so their wealth does not depend on which became known
        first, and may be computed anew from all of them.
        """
        self.calibration = OddsTest(self.calibration.margin, self.calibration.level)
        self.calibration.observe(days, pd, bad)

    def add_decisions(
        self, days: Days, approved: NDArray[np.bool_], values: Mapping[str, list[Any]]
    ) -> None:
        """Add decisions (n,) with the values of each watched attribute, and look at the bets."""
        for (name, group), test in self.approval.items():
            rows = np.ones(len(days), dtype=bool)
            if name:
                rows = in_group(group, values[name])
            stated = np.full(int(rows.sum()), self.usual[name, group])
            test.observe(days[rows], stated, approved[rows])

    def read_decisions(self, ledger: Ledger, model: str) -> None:
        """Add the decisions of a model that are new in the ledger, at first the newest ones."""
        while window := decision_windows.decisions_after(ledger, model, self.seen, NEWEST):
            self.seen = window.last
            values = {name: window.values(name) for name in self.attributes}
            self.add_decisions(window.days, window.decision == "approve", values)

    def facts(self) -> dict[str, Any]:
        """Return the evidence against each statement in this year, and the bound of an alarm."""
        named = {"calibration": self.calibration} | {
            " ".join(("approval", *key)).strip(): test for key, test in self.approval.items()
        }
        return {
            name: {"rows": t.seen, "evidence": t.peak, "bound": 1 / t.level}
            for name, t in named.items()
            if t.seen
        }

    def findings(self) -> list[dict[str, Any]]:
        """Return a finding for each statement that was refuted in this year."""
        found = []
        if self.calibration.is_refuted:
            found.append(self.calibration.finding("calibration", "bad"))
        for (name, group), test in self.approval.items():
            if test.is_refuted:
                place = f"approval of {name} {group}" if name else "approval rate"
                found.append(test.finding(place, "approved"))
        return found


def error_of_level(calibration: Mapping[str, Any]) -> float:
    """Return the standard error of the log-odds of all PDs together, their order being right."""
    covariance = np.asarray(calibration["covariance"])
    shared = covariance[0, 1] ** 2 / covariance[0, 0] if covariance[0, 0] > 0 else 0.0
    return float(np.sqrt(max(covariance[1, 1] - shared, 0.0)))


def in_group(group: str, values: list[Any]) -> NDArray[np.bool_]:
    """Return which values (n,) belong to a group of models/evaluation.json.

    A group of a number is a band: `below 33`, `33 to 40` or `46 and above`.
    """
    numbers = [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", group)]
    if not any(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return np.array([("missing" if v is None else str(v)) == group for v in values], dtype=bool)
    known: Floats = np.array([np.nan if v is None else float(v) for v in values])
    if group.startswith("below "):
        return known < numbers[0]
    if group.endswith(" and above"):
        return known >= numbers[0]
    if " to " in group:
        return (known >= numbers[0]) & (known < numbers[1])
    return np.isnan(known) if group == "missing" else np.equal(known, numbers[0])

"""Count refused applications by the field and the rule that they broke.

Drift reports cover decisions only. A source whose applications are all refused, because of an
unknown category, a number sent as text or a missing field, is found by these counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import inf
from typing import Any

from service.decision.applications import Applications
from service.decision.problems import rule_of
from service.monitoring.drift_rules import FALSE_REPORTS, DriftFinding, loudness_of, share_bound

BLOCK = 100  # applications that are judged at a time, at least
USUAL_SHARE = 0.01  # share of applications that may break one rule in normal operation
UNKNOWN_FIELD = "(unknown)"  # instead of the name of a field that the contract does not have
WHOLE = "(application)"
BrokenRule = tuple[str, str]
"""A field and the name of one of its rules."""


def broken_rule(problem: Mapping[str, Any], applications: Applications) -> BrokenRule:
    """Return the field and the rule that a problem is about, of few possible pairs."""
    name = problem["field"]
    if not name:
        return WHOLE, "object"
    if name in applications.stated:
        return name, "stated"
    if name not in applications.fields:
        return UNKNOWN_FIELD, "unknown"
    if problem["allowed"] in applications.rules:
        return name, "contradiction"
    return name, rule_of(applications.fields[name], problem["got"])


class Refusals:
    """The counts of one process since they were last judged."""

    def __init__(self) -> None:
        self.applications = 0
        self.broken_rules: Counter[BrokenRule] = Counter()

    def count_accepted(self, count: int = 1) -> None:
        """Count applications that kept the contract."""
        self.applications += count

    def count_refused(
        self, problems: Iterable[Mapping[str, Any]], applications: Applications
    ) -> set[BrokenRule]:
        """Count an application that broke the contract, and return the rules that it broke."""
        rules = {broken_rule(problem, applications) for problem in problems}
        self.applications += 1
        self.broken_rules.update(rules)
        return rules

    def take_findings(self) -> list[dict[str, Any]] | None:
        """Return the findings and reset the counts; None while there are fewer than a block."""
        if self.applications < BLOCK:
            return None
        applications, counts = self.applications, self.broken_rules
        self.applications, self.broken_rules = 0, Counter()
        return [asdict(finding) for finding in find_rules(applications, counts)]


def find_rules(applications: int, counts: Counter[BrokenRule]) -> list[DriftFinding]:
    """Return a finding for each rule broken more often than by chance, most frequent first."""
    bound = share_bound(USUAL_SHARE, applications, inf, FALSE_REPORTS)
    return [
        DriftFinding(
            field, rule, share, bound, loudness_of("refused", share), describe(share, rule)
        )
        for (field, rule), count in counts.most_common()
        if (share := count / applications) > bound
    ]


def describe(share: float, rule: str) -> str:
    """Return the text of a finding."""
    return f"{share:.0%} of applications were refused for it ({rule})"

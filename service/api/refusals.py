"""Applications that were refused, by the field and the rule that they broke.

A feed may break so badly that no decision, and so no drift report, ever tells of it: a category
that the contract does not know, a number sent as text, a field left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import inf
from typing import Any

from service.decision.applications import Applications
from service.monitoring.drift_rules import FALSE_REPORTS, Finding, loudness_of, share_bound
from stages.contract.schema import Field

BLOCK = 100  # applications that are judged together
USUAL = 0.01  # share of applications that break one rule without anything being wrong
STRANGE = "(unknown)"  # instead of a field that the contract does not have
WHOLE = "(application)"
Broken = tuple[str, str]


def broken(problem: Mapping[str, Any], applications: Applications) -> Broken:
    """The field and the rule that a problem of an application is about, in few, fixed words."""
    name = problem["field"]
    if not name:
        return WHOLE, "object"
    if name in applications.stated:
        return name, "stated"
    if name not in applications.fields:
        return STRANGE, "unknown"
    if problem["allowed"] in applications.rules:
        return name, "contradiction"
    return name, rule_of(applications.fields[name], problem["got"])


def rule_of(field: Field, got: Any) -> str:
    """The rule of a field that a refused value broke."""
    if got is None:
        return "missing"
    if field.codes:
        return "category"
    number = isinstance(got, int | float) and not isinstance(got, bool)
    whole = number and (field.type == "number" or got == int(got))
    return "bounds" if field.is_numeric and whole else "type"


class Refusals:
    """What one process was asked to decide about since the last look."""

    def __init__(self) -> None:
        self.applications = 0
        self.broken: Counter[Broken] = Counter()

    def accepted(self, count: int = 1) -> None:
        """Note applications that kept the contract."""
        self.applications += count

    def refused(
        self, problems: Iterable[Mapping[str, Any]], applications: Applications
    ) -> set[Broken]:
        """Note an application that did not keep it; returns what it broke."""
        rules = {broken(problem, applications) for problem in problems}
        self.applications += 1
        self.broken.update(rules)
        return rules

    def take(self) -> list[dict[str, Any]] | None:
        """Judge what was noted and begin anew; None while it is less than a block."""
        if self.applications < BLOCK:
            return None
        count, noted = self.applications, self.broken
        self.applications, self.broken = 0, Counter()
        return [asdict(finding) for finding in findings(count, noted)]


def findings(applications: int, noted: Counter[Broken]) -> list[Finding]:
    """Rules that more of the applications break than chance explains, the most broken first."""
    bound = share_bound(USUAL, applications, inf, FALSE_REPORTS)
    return [
        Finding(field, rule, share, bound, loudness_of("refused", share), worded(share, rule))
        for (field, rule), count in noted.most_common()
        if (share := count / applications) > bound
    ]


def worded(share: float, rule: str) -> str:
    """What a finding says."""
    return f"{share:.0%} of applications were refused for it ({rule})"

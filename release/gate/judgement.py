"""A judgement: what was read, what was found, and the verdict that follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeVar

import yaml

from release.gate.checks import Finding, ProtectedGroup, Status
from release.gate.comparison import Difference, PairedRows
from release.gate.limits import Limits, LimitsError
from release.gate.parameters import JudgedParameters
from release.gate.predictions import Predictions
from release.revisions import CannotJudge
from stages.contract.schema import ContractError
from stages.judging import evaluation
from stages.metrics.delong import DeLong
from stages.metrics.intervals import Draws
from stages.params import ParamsError

EXIT: dict[Status, int] = {"pass": 0, "fail": 1, "cannot judge": 2}
NEEDED = (
    *("policy", "commit", "pipeline", "remote", "reproduction", "blind training", "metrics"),
    *("rescoring", "rows", "calibration", "champion", "ratchet"),
)
UNREADABLE = (CannotJudge, LimitsError, ParamsError, ContractError, yaml.YAMLError)
Value = TypeVar("Value")


class RedFlag(NamedTuple):
    """What a person must answer for, by the name that an acknowledgement gives."""

    name: str
    words: str


@dataclass
class Judgement:
    """All that was found; what could not be read stays None."""

    revision: str
    head: str = ""
    base: str | None = None
    limits: Limits | None = None
    params: JudgedParameters | None = None
    unknown: list[str] = field(default_factory=list)  # parameters that this code does not know
    metrics: dict[str, Any] | None = None
    predictions: Predictions | None = None
    champion: Predictions | None = None
    champion_metrics: dict[str, Any] | None = None
    challenger: Draws | None = None
    paired: PairedRows | None = None
    differences: dict[str, Difference] = field(default_factory=dict)
    delong: DeLong | None = None
    models: dict[str, str] = field(default_factory=dict)  # SHA-256 of each file that will ship
    groups: list[ProtectedGroup] = field(default_factory=list)
    red_flags: list[RedFlag] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Status:
        """Return the verdict; what is unknown outweighs what failed."""
        held = {finding.status for finding in self.findings}
        if "cannot judge" in held or self.missing_checks:
            return "cannot judge"
        return "fail" if "fail" in held else "pass"

    @property
    def missing_checks(self) -> list[str]:
        """Return the required checks that have no finding."""
        made = {finding.check for finding in self.findings}
        return [check for check in NEEDED if check not in made]

    @property
    def sentence(self) -> str:
        """Return the reason for the verdict in one sentence."""
        decisive = [f for f in self.findings if f.status == self.verdict]
        if self.verdict == "pass":
            if self.paired is None:
                return "There is no champion of this book yet, and no floor is broken."
            return "No floor is broken and nothing is worse than the champion beyond tolerance."
        more = f" ({len(decisive) - 1} more)" if len(decisive) > 1 else ""
        if not decisive:
            return f"No finding of {', '.join(self.missing_checks)}."
        return f"{decisive[0].check}: {decisive[0].words}{more}"

    def attempt(self, check: str, step: Callable[[], Value]) -> Value | None:
        """Return a step's value; where it cannot be had, None, with a finding that says so."""
        try:
            return step()
        except UNREADABLE as error:
            self.findings.append(Finding(check, "cannot judge", str(error)))
            return None

    def add(self, check: str, step: Callable[[], Iterable[Finding]]) -> None:
        """Add a step's findings."""
        self.attempt(check, lambda: self.findings.extend(step()))

    def add_red_flags(self, step: Callable[[], Iterable[RedFlag]]) -> None:
        """Add a step's red flags, which are answered for at the end."""
        self.attempt("red flag", lambda: self.red_flags.extend(step()))


def to_json(judgement: Judgement) -> str:
    """Return the judgement as JSON; figures that are undefined are null."""
    content = {
        "verdict": judgement.verdict,
        "exit_code": EXIT[judgement.verdict],
        "sentence": judgement.sentence,
        "base": judgement.base,
        "head": judgement.head,
        "models": judgement.models,
        "findings": [finding._asdict() for finding in judgement.findings],
        "figures": {name: asdict(difference) for name, difference in judgement.differences.items()},
        "delong": judgement.delong._asdict() if judgement.delong else None,
        "groups": [evaluation.round_figures(group._asdict()) for group in judgement.groups],
    }
    return json.dumps(evaluation.round_figures(content), indent=2, allow_nan=False) + "\n"

"""Stress scenarios from a file: fields of applications shifted, and default odds by a driver.

    scenarios:
      recession:
        fields:
          income: {multiply: 0.8}
          credit_utilization_ratio: {add: 15}
        drivers:
          unemployment: {from: 5.0, to: 8.0, elasticity: 0.7}

Fields are shifted as an application states them, so that the one feature code computes all that is
derived from them. A driver that no application states multiplies the odds of default by
`(to / from) ** elasticity`; the elasticity is the lender's assumption, and nothing here fits it.
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Key
from scipy.special import expit, logit

from stages import files
from stages.contract.fields.field import Field
from stages.features.encoding import Columns
from stages.judging.evaluation import columns_by_name, round_figures
from stages.metrics import ratio_intervals
from stages.metrics.rate_intervals import as_figure
from stages.metrics.ratio_intervals import RatioOfSums
from stages.models.artifact import Model
from stages.params.errors import explain
from stages.policy.decisions import Policy
from stages.replay import policy_figures
from stages.replay.capital import AssetClass
from stages.replay.policy_file import ReplayError, parse
from stages.replay.scored_rows import ScoredRows

Finite = Annotated[float, Key(allow_inf_nan=False)]
Positive = Annotated[float, Key(gt=0, allow_inf_nan=False)]


class ScenarioPart(BaseModel):
    """A part of a file of scenarios."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Shift(ScenarioPart):
    """How a numeric field changes: it is multiplied first, and kept within the contract's bounds.

    A missing value stays missing, and a whole number whole.
    """

    multiply: Finite = 1.0
    """Factor."""
    add: Finite = 0.0
    """Number that is added, in the field's unit."""


class Driver(ScenarioPart):
    """A quantity that no application states, such as unemployment in percent."""

    before: Annotated[Positive, Key(alias="from")]
    """Its level in the present."""
    to: Positive
    """Its level in the scenario."""
    elasticity: Finite
    """By how many percent the odds of default rise where it rises by one percent."""

    @property
    def log_odds(self) -> float:
        """What the driver adds to the log-odds of default."""
        return self.elasticity * log(self.to / self.before)


class Scenario(ScenarioPart):
    """A state of the world in which the same people apply."""

    fields: dict[str, Shift] = {}
    """Fields of applications that change."""
    drivers: dict[str, Driver] = {}
    """Quantities that change the odds of default of everybody."""


class Scenarios(ScenarioPart):
    """A file of scenarios."""

    scenarios: Annotated[dict[str, Scenario], Key(min_length=1)]
    """The scenarios, by name."""


def read(path: Path) -> dict[str, Scenario]:
    """Return the scenarios of a file by name; raises ReplayError."""
    document = parse(files.read_text(path, ReplayError), str(path))
    try:
        return Scenarios.model_validate(document).scenarios
    except ValidationError as error:
        raise ReplayError("\n".join(explain(path, error.errors(), Scenarios))) from error


def shift_columns(scenario: Scenario, fields: list[Field], columns: Columns) -> Columns:
    """Return the raw columns (n,) in a scenario; raises ReplayError for a field that has none."""
    numeric = {field.name: field for field in fields if field.type in ("integer", "number")}
    shifted = dict(columns)
    for name, change in scenario.fields.items():
        if name not in numeric:
            allowed = ", ".join(numeric)
            raise ReplayError(f"a scenario's fields must be among {allowed}; got {name}")
        field = numeric[name]
        values = np.asarray(columns[name], dtype=np.float64) * change.multiply + change.add
        values = np.clip(values, field.constraints.minimum, field.constraints.maximum)
        shifted[name] = np.round(values) if field.type == "integer" else values
    return shifted


def score(scenario: Scenario, model: Model, columns: Columns, rows: ScoredRows) -> ScoredRows:
    """Return the rows as a model scores them in a scenario, in which nobody's outcome is known."""
    x = model.features(shift_columns(scenario, model.features.inputs, columns))
    pd, moved = model.predict_matrix(x), sum(d.log_odds for d in scenario.drivers.values())
    if moved:
        pd = np.asarray(expit(logit(pd) + moved), dtype=np.float64)
    features = columns_by_name(model.features, x)
    return replace(rows, pd=pd, features=features, bad=np.full(rows.rows, np.nan))


def compare(
    present: ScoredRows, stressed: dict[str, ScoredRows], policy: Policy, asset_class: AssetClass
) -> dict[str, Any]:
    """Return the figures of the present and of each scenario.

    `decided_before` are those of the loans that are approved in the present, which a scenario then
    befalls; the other figures are of decisions that are made in the scenario.
    """
    before = policy.decide(present.pd, present.features)
    stated = {}
    for name, rows in {"present": present, **stressed}.items():
        decision = policy.decide(rows.pd, rows.features)
        made = policy_figures.ratios(rows, decision, policy, asset_class)
        held = policy_figures.ratios(rows, before, policy, asset_class)
        wanted = {n: r for n, r in made.items() if not is_realised(n)}
        wanted["mean_pd"] = RatioOfSums(rows.pd, np.ones(rows.rows))
        stated[name] = {
            "figures": {
                n: as_figure(ratio_intervals.interval(r, rows.cluster)) for n, r in wanted.items()
            },
            "decided_before": {
                n: as_figure(ratio_intervals.interval(r, rows.cluster))
                for n, r in held.items()
                if n.removesuffix("_by_money") in ("approved_mean_pd", "expected_loss", "capital")
            },
            "totals": {
                n: float(values.sum())
                for n, values in policy_figures.totals(rows, before, policy, asset_class).items()
                if n in ("money_approved", "expected_loss", "capital", "risk_weighted_assets")
            },
            "changed": int((decision != before).sum()),
        }
    return round_figures(stated)


def is_realised(name: str) -> bool:
    """Return whether a figure needs outcomes, which a scenario does not have."""
    return name.removesuffix("_by_money") in ("approved_bad_rate", "profit")


def as_text(content: dict[str, Any]) -> str:
    """Return what `compare` returned, as a table with a column for each scenario."""
    names = list(content)
    width = max(12, *(len(name) + 2 for name in names))
    made = {
        "Mean PD of all": ("figures", "mean_pd"),
        "Approval rate": ("figures", "approval_rate"),
        "Referral rate": ("figures", "referral_rate"),
        "Decline rate": ("figures", "decline_rate"),
        "Mean PD of the approved": ("figures", "approved_mean_pd"),
        "Expected loss per unit approved": ("figures", "expected_loss"),
        "Expected profit per unit applied for": ("figures", "expected_profit"),
        "Loans approved before: mean PD": ("decided_before", "approved_mean_pd"),
        "Loans approved before: expected loss": ("decided_before", "expected_loss"),
        "Loans approved before: capital": ("decided_before", "capital"),
    }
    lines = [f"{'':40}" + "".join(f"{name:>{width}}" for name in names)]
    for title, (part, figure) in made.items():
        values = (content[name][part][figure]["value"] for name in names)
        lines.append(f"{title:40}" + "".join(f"{_number(v):>{width}}" for v in values))
    changed = "".join(f"{content[name]['changed']:>{width},}" for name in names)
    return "\n".join([*lines, f"{'Decisions that change':40}{changed}"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"

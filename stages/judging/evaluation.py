"""Judge candidates: who wins on validation, and what the winner does on test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.schema import Field
from stages.features.matrix import Features, Floats
from stages.judging import intervals, metrics
from stages.judging.policy import DECISIONS, Policy
from stages.models.artifact import Model
from stages.params import Evaluate

HIGHER_IS_BETTER = {"roc_auc": True, "pr_auc": True, "ks": True, "brier": False, "log_loss": False}
DIGITS = 6
HEADLINES = ("roc_auc", "ks", "brier", "ece", "approval_rate", "profit")


@dataclass(frozen=True)
class Judged:
    """Rows with their outcome, PD and decision: (n,) each."""

    bad: NDArray[np.int64]
    pd: Floats
    decision: NDArray[np.int64]

    @property
    def approved(self) -> NDArray[np.bool_]:
        """Whether each row is approved."""
        return np.equal(self.decision, DECISIONS.index("approve"))


def judge(model: Model, policy: Policy, columns: Any, bad: NDArray[np.int64]) -> Judged:
    """Score raw columns of n rows by a model's own path and decide by the policy."""
    x = model.features(columns)
    pd = model.predict_matrix(x)
    return Judged(bad, pd, policy.decide(pd, by_name(model.features, x)))


def by_name(features: Features, x: Floats) -> dict[str, Floats]:
    """The feature matrix (n, F) as columns by name."""
    return dict(zip(features.names, x.T, strict=True))


def choose(figures: dict[str, dict[str, float]], metric: str) -> str:
    """The candidate that is best in `metric` on validation; the first named wins a tie."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    return max(figures, key=lambda name: sign * figures[name][metric])


def summary(rows: Judged, policy: Policy) -> dict[str, float]:
    """Every figure of `metrics.summary` at the policy's cut-off, and the profit per unit asked."""
    figures = metrics.summary(rows.bad, rows.pd, policy.pd_cut_off, approved=rows.approved)
    return figures | {"profit": policy.profit(rows.bad, rows.approved)}


def with_intervals(rows: Judged, policy: Policy, config: Evaluate) -> dict[str, Any]:
    """Each figure with its bootstrap 95 % interval: `{"value", "low", "high"}`."""
    draws = intervals.bootstrap(
        rows.bad,
        rows.pd,
        policy.pd_cut_off,
        approved=rows.approved,
        means={"profit": policy.profits(rows.bad, rows.approved)},
        resamples=config.resamples,
        seed=config.seed,
    )
    found = intervals.percentile_intervals(draws)
    return {name: dict(zip(("value", "low", "high"), i, strict=True)) for name, i in found.items()}


def by_group(rows: Judged, groups: Any, policy: Policy, minimum: int) -> dict[str, Any]:
    """The figures of each group of rows; groups smaller than `minimum` have only their size."""
    figures = metrics.by_group(
        groups, rows.bad, rows.pd, policy.pd_cut_off, minimum_rows=minimum, approved=rows.approved
    )
    wanted = ("rows", "approval_rate", "bad_rate", "mean_pd", "roc_auc", "ece")
    return {group: {name: own[name] for name in wanted} for group, own in figures.items()}


def vintages(dates: NDArray[np.datetime64]) -> NDArray[np.str_]:
    """The quarter of each date (n,): '2024-Q1'."""
    months = dates.astype("datetime64[M]").astype(np.int64)
    return np.array([f"{1970 + m // 12}-Q{m % 12 // 3 + 1}" for m in months.tolist()])


def groups(field: Field, values: Any) -> NDArray[np.str_]:
    """A protected attribute's groups (n,): its categories, or bands between its quartiles."""
    if not field.is_numeric:
        return np.array(["missing" if v is None else str(v) for v in values])
    edges = np.unique(np.nanquantile(values, [0.25, 0.5, 0.75]).round())
    names = [
        f"below {edges[0]:g}",
        *(f"{a:g} to {b:g}" for a, b in pairwise(edges)),
    ]
    names.append(f"{edges[-1]:g} and above")
    place = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), "missing", np.array(names)[place])


def headlines(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few figures that `dvc metrics` shows, from the whole evaluation report.

    They are the winner, its figures on the test part, and, under each candidate's name, the
    candidate's value of the figure that chose the winner.
    """
    chosen_by = report["chosen_by"]
    return {
        "winner": report["winner"],
        **{name: report["test"][name]["value"] for name in HEADLINES},
        **{name: figures[chosen_by] for name, figures in report["validation"].items()},
    }


def rounded(value: Any) -> Any:
    """Figures as they are published: six digits, None where undefined."""
    if isinstance(value, dict):
        return {name: rounded(own) for name, own in value.items()}
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value

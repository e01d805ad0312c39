"""Judge candidates: who wins in cross-validation, and what the winner does on the test part."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.fields.field import Field
from stages.features.encoding import Values
from stages.features.matrix import Features, Floats
from stages.metrics import delong, intervals, metrics
from stages.metrics.rate_intervals import Interval, as_figure
from stages.metrics.ratio_intervals import difference_of_means
from stages.models import tree_compiler
from stages.models.artifact import Model
from stages.models.compiled.forest import most_features_on_a_path
from stages.models.scorers import Additive, Selected
from stages.params import Evaluate
from stages.policy.decisions import DECISIONS, Policy

HIGHER_IS_BETTER = {"roc_auc": True, "pr_auc": True, "ks": True, "brier": False, "log_loss": False}
PROFITS = "profit", "profit_by_money"
DIGITS = 6
# The figures of the test rows in metrics.json, by names that keep `dvc metrics show` narrow.
HEADLINES = {"auc": "roc_auc", "brier": "brier", "profit": "profit"}
HEADLINE_DIGITS = 4


@dataclass(frozen=True)
class Judged:
    """Rows with their outcome, PD, decision and, where the contract names it, money: (n,) each."""

    bad: NDArray[np.int64]
    pd: Floats
    decision: NDArray[np.int64]
    exposure: Floats | None = None
    cluster: NDArray[np.int64] | None = None  # of loans that go good or bad together

    @property
    def approved(self) -> NDArray[np.bool_]:
        """Whether each row is approved."""
        return np.equal(self.decision, DECISIONS.index("approve"))

    def taking(self, rows: NDArray[np.bool_]) -> Judged:
        """Return some of the rows."""
        exposure = None if self.exposure is None else self.exposure[rows]
        cluster = None if self.cluster is None else self.cluster[rows]
        return Judged(self.bad[rows], self.pd[rows], self.decision[rows], exposure, cluster)


def columns_by_name(features: Features, x: Floats) -> dict[str, Floats]:
    """Return the feature matrix (n, F) as columns by name."""
    return dict(zip(features.names, x.T, strict=True))


def cross_validate(
    bad: NDArray[np.int64], pd: Floats, fold: NDArray[np.int64], metric: str, over: str = "mean"
) -> dict[str, float]:
    """Return the mean of a figure over folds, and its standard error (NaN for a single fold).

    Where `over` is "worst" it is the worst, whose error is unknown (NaN). Every row is judged by a
    model that saw nothing of its fold: bad, pd and fold are (n,). A fold in which the figure is
    undefined, such as the AUC of good loans alone, does not count.
    """
    of_folds = [
        metrics.figure(metric, bad[fold == number], pd[fold == number])
        for number in np.unique(fold)
    ]
    values = [value for value in of_folds if math.isfinite(value)]
    if over == "worst" and values:
        worst = min(values) if HIGHER_IS_BETTER[metric] else max(values)
        return {"value": worst, "standard_error": float("nan")}
    count = len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(count) if count > 1 else float("nan")
    mean = float(np.mean(values)) if count else float("nan")
    return {"value": mean, "standard_error": error}


def choose(figures: Mapping[str, Mapping[str, float]], metric: str, prefer: str = "best") -> str:
    """Return the name of the winner from each candidate's `cross_validate`.

    It is the best, or the first named that is within one standard error of the best where `prefer`
    is "simplest" (Breiman et al. 1984): params.yaml names the candidates from simple to complex.
    The first named wins a tie.
    """
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    best = max(figures, key=lambda name: sign * figures[name]["value"])
    if prefer == "best" or not math.isfinite(figures[best]["standard_error"]):
        return best
    enough = sign * figures[best]["value"] - figures[best]["standard_error"]
    return next(name for name in figures if sign * figures[name]["value"] >= enough)


def summary(rows: Judged, policy: Policy) -> dict[str, float]:
    """Return every figure of `metrics.summary` at the policy's cut-off, and the profit per loan.

    With the exposure of the rows, also approval, bad rate and profit by money.
    """
    figures = metrics.summary(rows.bad, rows.pd, policy.pd_cut_off, approved=rows.approved)
    figures["profit"] = policy.profit(rows.bad, rows.approved)
    for name, (part, whole) in by_money(rows, policy).items():
        figures[name] = float(part.sum() / whole.sum()) if whole.sum() > 0 else float("nan")
    return figures


def by_money(rows: Judged, policy: Policy) -> dict[str, tuple[Floats, Floats]]:
    """Return the figures by money as two columns (n,), whose sums are divided; {} without money."""
    if rows.exposure is None:
        return {}
    money, approved = rows.exposure, rows.exposure * rows.approved
    profits = policy.profits(rows.bad, rows.approved)
    return {
        "approval_rate_by_money": (approved, money),
        "approved_bad_rate_by_money": (approved * rows.bad, approved),
        "profit_by_money": (profits * money, money),
    }


def figures_with_intervals(rows: Judged, policy: Policy, config: Evaluate) -> dict[str, Any]:
    """Return each figure with its 95 % interval: `{"value", "low", "high"}`."""
    draws = intervals.bootstrap(
        rows.bad,
        rows.pd,
        policy.pd_cut_off,
        approved=rows.approved,
        means={"profit": policy.profits(rows.bad, rows.approved)},
        ratios=by_money(rows, policy),
        stakes=dict.fromkeys(PROFITS, (policy.margin, policy.loss_given_default)),
        cluster=rows.cluster,
        resamples=config.resamples,
        seed=config.seed,
    )
    return name_bounds(intervals.percentile_intervals(draws))


def figures_of_new_customers(
    rows: Judged, is_new: NDArray[np.bool_] | None, policy: Policy, minimum: int
) -> dict[str, float]:
    """Return the figures of the rows whose customers were not trained on, {} where that is unknown.

    Fewer than `minimum` such rows have only their number.
    """
    if is_new is None:
        return {}
    figures: dict[str, float] = {"rows": float(is_new.sum())}
    return figures | (summary(rows.taking(is_new), policy) if is_new.sum() >= minimum else {})


def figures_by_group(
    rows: Judged, groups: NDArray[np.str_], policy: Policy, minimum: int
) -> dict[str, Any]:
    """Return the figures of each group; one smaller than `minimum` has only its number of rows."""
    figures = metrics.by_group(
        groups, rows.bad, rows.pd, policy.pd_cut_off, minimum_rows=minimum, approved=rows.approved
    )
    wanted = ("rows", "approval_rate", "bad_rate", "mean_pd", "roc_auc", "ece")
    return {group: {name: summed[name] for name in wanted} for group, summed in figures.items()}


def is_glass(model: Model) -> bool:
    """Return whether a model is a sum of terms of one feature or of two, which can be drawn."""
    scorer = model.scorer.scorer if isinstance(model.scorer, Selected) else model.scorer
    trees = tree_compiler.trees_of(scorer)
    if trees is None:
        return isinstance(scorer, Additive)
    return all(most_features_on_a_path(tree) <= 2 for tree in trees)


def best_glass(
    models: Mapping[str, Model], choice: Mapping[str, Mapping[str, float]], metric: str
) -> str | None:
    """Return the name of the best glass box by the figures that chose the winner, or None."""
    clear = {name: choice[name] for name, model in models.items() if is_glass(model)}
    return choose(clear, metric) if clear else None


def price_glass(name: str, glass: Judged, winner: Judged, policy: Policy) -> dict[str, Any]:
    """Return what a glass box would cost against the winner on the same rows, with 95 % intervals.

    A positive figure is in favour of the winner. Profit is of a loan per unit lent.
    """
    auc = delong.compare_aucs(winner.bad, glass.pd, winner.pd, winner.cluster)
    profits = [policy.profits(rows.bad, rows.approved) for rows in (winner, glass)]
    approvals = [rows.approved.astype(np.float64) for rows in (winner, glass)]
    found = {"roc_auc": Interval(auc.difference, auc.low, auc.high)}
    for figure, (new, old) in (("profit", profits), ("approval_rate", approvals)):
        found[figure] = difference_of_means(new, old, winner.cluster, same=glass is winner)
    return {"candidate": name} | name_bounds(found)


def name_bounds(found: Mapping[str, Interval]) -> dict[str, Any]:
    """Return intervals by name as reports write them."""
    return {figure: as_figure(interval) for figure, interval in found.items()}


def name_vintages(dates: NDArray[np.datetime64]) -> NDArray[np.str_]:
    """Name the quarter of each date (n,), as in '2024-Q1'."""
    months = dates.astype("datetime64[M]").astype(np.int64)
    return np.array([f"{1970 + m // 12}-Q{m % 12 // 3 + 1}" for m in months.tolist()])


def name_groups(field: Field, values: Values) -> NDArray[np.str_]:
    """Name the group of each value (n,): its category, or its band between quartiles."""
    if not field.is_numeric:
        return np.array(["missing" if v is None else str(v) for v in values])
    edges = np.unique(np.nanquantile(values, [0.25, 0.5, 0.75]).round())
    names = [f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges))]
    names.append(f"{edges[-1]:g} and above")
    place = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), "missing", np.array(names)[place])


def order_of_group(group: str) -> tuple[bool, list[float], str]:
    """Return a key that sorts groups: bands by their numbers, the open one below first."""
    numbers = [float(number) for number in re.findall(r"\d+", group)]
    return not group.startswith("below "), numbers, group


def headlines(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few figures that `dvc metrics` shows, from the whole evaluation report.

    They are the winner, its figures on the test part, and, under each candidate's name, the
    candidate's cross-validated value of the figure that chose the winner.
    """
    figures = {
        **{short: report["test"][name]["value"] for short, name in HEADLINES.items()},
        **{name: choice["value"] for name, choice in report["choice"].items()},
    }
    return {"winner": report["winner"], **round_figures(figures, HEADLINE_DIGITS)}


def round_figures(figures: Mapping[str, object], digits: int = DIGITS) -> dict[str, Any]:
    """Return figures as they are published: six digits by default, None where undefined."""
    return {name: _round(figure, digits) for name, figure in figures.items()}


def _round(figure: object, digits: int) -> object:
    if isinstance(figure, dict):
        return round_figures(figure, digits)
    if isinstance(figure, float):
        return round(figure, digits) if math.isfinite(figure) else None
    return figure

"""Fit the winner again, with the parameters that it was judged with, on later rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from stages.features.matrix import Floats, Outcomes
from stages.features.split import LEFT_OUT, SPLITS
from stages.judging import blending
from stages.judging.refit.agreement import Agreement
from stages.judging.refit.anchor import anchor
from stages.models.artifact import Model
from stages.models.calibration import Calibrator
from stages.models.fitting import found_parameters
from stages.models.fitting.folds import Fold
from stages.models.fitting.job import Job
from stages.models.fitting.training_rows import TrainingRows
from stages.models.scorers import Scorer, WeightedSum
from stages.params import Params, ParamsError

YEAR = 365  # days


class Fitted(NamedTuple):
    """A candidate fitted on rows, with their margins (n,) out of fold; NaN where none judged."""

    scorer: Scorer
    calibrator: Calibrator
    margin: Floats


@dataclass(frozen=True)
class Refitted:
    """The winner fitted again on n rows.

    Attributes
    ----------
    model : the one that ships.
    before_anchor : the same before the level of its PDs was moved.
    x, bad : the features (n, F) and outcomes (n,) of its rows.
    held : (n,) whether a fold judged a row.
    pd : (n,) the PDs out of fold, NaN where no fold judged a row.
    """

    model: Model
    before_anchor: Model
    x: Floats
    bad: Outcomes
    held: np.ndarray
    pd: Floats


def fit_again(winner: Model, config: Params) -> Refitted:
    """Return the winner fitted again as `refit` in params.yaml asks."""
    left_out = (config.data / "features" / f"{LEFT_OUT}.npz").exists()
    names = (*SPLITS, LEFT_OUT) if left_out else SPLITS
    rows = choose_rows(
        [TrainingRows.read(n, winner.contract, winner.features, config) for n in names], config
    )
    folds = rows.cut(config.train.folds, config.train.seed)
    if isinstance(winner.scorer, WeightedSum):
        fitted = fit_blend(winner, winner.scorer.names, rows, folds, config)
    else:
        fitted = fit_candidate(winner.candidate, winner, rows, folds, config)
    rate, calibrator = target_rate(rows, config), fitted.calibrator
    if rate is not None:
        margin = fitted.scorer.margin(rows.x[recent(rows)])
        calibrator = anchor(calibrator, margin, rate)
    stated = {name: winner.trained_on[name] for name in ("balance", "overstates_pd")}
    facts = rows.facts() | stated | {"refit": config.refit.rows, "anchor": rate}
    before = replace(
        winner, scorer=fitted.scorer, calibrator=fitted.calibrator, trained_on=facts, versions={}
    )
    held = ~np.isnan(fitted.margin)
    return Refitted(
        replace(before, calibrator=calibrator),
        before,
        rows.x,
        rows.bad,
        held,
        calibrator(fitted.margin),
    )


def choose_rows(parts: list[TrainingRows], config: Params) -> TrainingRows:
    """Return the rows of all parts, or the latest: as many as the first part has, in whole days."""
    rows = TrainingRows.join(parts)
    if config.refit.rows == "all":
        return rows
    if rows.day is None:
        raise ParamsError(
            "params.yaml: refit.rows: recent needs loans with a date, and the contract names none; "
            "allowed without: none, all"
        )
    first = np.sort(rows.day)[-len(parts[0].bad)]
    return rows.take(np.flatnonzero(rows.day >= first))


def fit_candidate(
    name: str, winner: Model, rows: TrainingRows, folds: list[Fold], config: Params
) -> Fitted:
    """Return a candidate fitted on rows whose facts, too, are those of these rows."""
    section = found_parameters.section(config, name)
    on_rows = partial(Job.on_rows, name, section, winner.features, config)
    job = replace(on_rows(rows.x, rows.bad), for_fold=on_rows)
    margin = job.judge_folds(rows.x, rows.bad, folds)
    calibrator = job.calibrate(rows.x, rows.bad, margin)
    return Fitted(job.fit(rows.x, rows.bad), calibrator, margin)


def fit_blend(
    winner: Model, names: list[str], rows: TrainingRows, folds: list[Fold], config: Params
) -> Fitted:
    """Return the blend of candidates that are fitted again, with weights for them fitted anew."""
    fits = [fit_candidate(name, winner, rows, folds, config) for name in names]
    margins = np.column_stack([fit.margin for fit in fits])
    held = ~np.isnan(margins[:, 0])
    weights = blending.Weights.fit(margins[held], rows.bad[held])
    kept = np.flatnonzero(weights.margins)
    scorers = [fits[i].scorer for i in kept]
    scorer = WeightedSum([names[i] for i in kept], scorers, weights.margins[kept])
    return Fitted(scorer, weights.calibrator, blending.add(margins, weights.margins))


def recent(rows: TrainingRows) -> np.ndarray:
    """Return which rows (n,) are of the last year of the book; all, without dates."""
    if rows.day is None:
        return np.ones(len(rows.bad), dtype=np.bool_)
    return np.asarray(rows.day > rows.day.max() - YEAR)


def target_rate(rows: TrainingRows, config: Params) -> float | None:
    """Return the bad rate to which the level of PDs is moved, or None."""
    asked = config.refit.anchor
    if asked == "none":
        return None
    if asked == "recent":
        if rows.day is None:
            raise ParamsError(
                "params.yaml: refit.anchor: recent needs loans with a date, and the contract names "
                "none; allowed without: none, or a bad rate"
            )
        return float(rows.bad[recent(rows)].mean())
    return float(asked)


def check_agreement(again: Refitted, x: Floats, judged: Floats, config: Params) -> Agreement:
    """Return how both models agree on test rows x (n, F), before an anchor moves the level.

    `judged` are the PDs (n,) of the judged model. Raises ParamsError where they do not agree.
    """
    agreement = Agreement.of(judged, again.before_anchor.predict_matrix(x))
    if faults := agreement.faults(config.refit):
        raise ParamsError(
            f"params.yaml: refit: the {again.model.candidate} that was fitted again is not the one "
            f"that was judged: {'; '.join(faults)}. Find out what changed in the later loans, or "
            "set refit.rows: none"
        )
    return agreement

"""Score a candidate's parameters by cross-validation of the training part, in time order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from stages.contract import reading as contracts
from stages.features.matrix import Features, Floats, Outcomes
from stages.features.statistics import Fitted
from stages.metrics import metrics
from stages.models import registry
from stages.models.fitting.folds import Fold, Rows
from stages.models.fitting.job import Job, fill_empty
from stages.models.fitting.training_rows import TrainingRows
from stages.models.parameters import SearchRange
from stages.models.registry import Candidate
from stages.models.task import Held
from stages.params import Params

if TYPE_CHECKING:
    from optuna import Trial

RANKS = ("roc_auc", "pr_auc", "ks")  # calibration does not change these
CUT_OFF = 0.5  # no metric that is searched depends on it
Values = dict[str, float]


@dataclass(frozen=True)
class ParameterSearch:
    """The search of a candidate's parameters on the training rows."""

    name: str
    metric: str
    config: Params
    features: Features
    rows: TrainingRows
    folds: list[Fold]

    @classmethod
    def of(cls, name: str, metric: str | None, folds: int, config: Params) -> ParameterSearch:
        """Return the search on the training part; raises ContractError if its features are old."""
        contract = contracts.load(config.dataset)
        features = Features(contract, config.mode)
        rows = TrainingRows.read("train", contract, features, config)
        chosen = metric or config.evaluate.choose_by
        return cls(name, chosen, config, features, rows, rows.cut(folds, config.train.seed))

    @property
    def candidate(self) -> Candidate:
        """What the candidate's file defines."""
        return registry.load(self.name)

    @property
    def ranges(self) -> dict[str, SearchRange]:
        """The range of each parameter that is searched."""
        return self.candidate.search

    @property
    def present(self) -> Values:
        """The present values of the parameters that are searched."""
        section = self.config.candidate(self.name)
        return {key: getattr(section, key) for key in self.ranges}

    def score(self, values: Values) -> float:
        """Return the metric with `values`, as its mean over the folds."""
        return float(np.mean([self.score_fold(values, *fold) for fold in self.folds]))

    def score_fold(self, values: Values, inside: Rows, outside: Rows) -> float:
        """Return the metric on the rows outside, with all that is fitted on the rows inside."""
        rows, held = self.rows.take(inside), self.rows.take(outside)
        job = self.job_of(values, inside)
        margin = job.fit(rows.x, rows.bad).margin(held.x)
        if self.metric in RANKS:
            pd = expit(margin)
        else:
            folds = rows.cut(self.config.train.folds, self.config.train.seed)
            judged = job.judge_folds(rows.x, rows.bad, folds)
            pd = job.calibrate(rows.x, rows.bad, judged)(margin)
        return float(metrics.summary(held.bad, pd, CUT_OFF)[self.metric])

    def score_early(
        self, values: Values, report: Callable[[float, int], None]
    ) -> tuple[float, int]:
        """Return the log loss with `values`, as its mean over the folds, and the number of trees.

        Trees grow in each fold for as long as they help. `report` is told the mean after each fold,
        and may raise to end a trial that is not promising.
        """
        losses, trees = list[float](), list[int]()
        for inside, outside in self.folds:
            job, rows, held = self.job_of(values, inside), *map(self.rows.take, (inside, outside))
            scorer, count = job.fit_until(rows.x, rows.bad, Held(held.x, held.bad))
            losses.append(log_loss(held.bad, scorer.margin(held.x)))
            trees.append(count)
            report(float(np.mean(losses)), len(losses))
        return float(np.mean(losses)), max(1, round(float(np.mean(trees))))

    def job_of(self, values: Values, inside: Rows) -> Job:
        """Return the job with `values` on the rows inside, by which all facts are fitted."""
        section = self.config.candidate(self.name).model_copy(update=values)
        rows, facts = self.rows.take(inside), self.config.featurize
        x = fill_empty(rows.x)
        fitted = Fitted.fit(self.features, x, rows.bad, bins=facts.bins, clip=facts.clip)
        return Job.on(fitted, self.name, section, self.features, self.config)

    def fingerprint(self) -> str:
        """Return a digest of all that a trial's score follows from besides the values tried."""
        section = self.config.candidate(self.name).model_copy(update=dict.fromkeys(self.ranges))
        facts = (section, self.config.train.seed, self.config.train.folds, self.ranges)
        digest = hashlib.sha256(repr((facts, self.config.featurize)).encode())
        for part in (self.rows.x, self.rows.bad, *(rows for fold in self.folds for rows in fold)):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:16]


def suggest(trial: Trial, name: str, bounds: SearchRange) -> float:
    """Return a value of a parameter that Optuna draws within its bounds."""
    if isinstance(bounds.low, int) and isinstance(bounds.high, int):
        return trial.suggest_int(name, bounds.low, bounds.high, log=bounds.log)
    return trial.suggest_float(name, bounds.low, bounds.high, log=bounds.log)


def round_values(values: dict[str, Any]) -> Values:
    """Return the values as they are tried and written: integers, or three significant digits."""
    return {k: v if isinstance(v, int) else float(f"{v:.3g}") for k, v in values.items()}


def log_loss(bad: Outcomes, margin: Floats) -> float:
    """Return the mean log loss of outcomes (n,) by their log-odds (n,)."""
    return float(np.mean(np.logaddexp(0.0, margin) - bad * margin))

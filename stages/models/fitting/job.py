"""Fit, judge and calibrate one candidate on training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from stages.features.matrix import Features, Floats, Outcomes
from stages.features.statistics import Fitted, NoFeatureLeft, select
from stages.models import registry
from stages.models.calibration import Calibrator, Isotonic, Sigmoid
from stages.models.fitting.folds import Fold, Rows
from stages.models.fitting.resampling import CannotResample, resample
from stages.models.parameters import CandidateParameters
from stages.models.registry import Candidate
from stages.models.scorers import Scorer, Selected
from stages.models.task import Held, Task
from stages.params import Params, ParamsError

FACTS = ("fill", "low", "high", "mean", "sd")


@dataclass(frozen=True)
class Job(Task):
    """A candidate to fit on the k of F features that it keeps: those at the places `kept`.

    `for_fold` returns the job on what a fold's rows alone would keep, from x (m, F) and bad (m,).
    It is None where the parameters keep every feature.
    """

    candidate: Candidate
    kept: list[int]
    for_fold: Callable[[Floats, Outcomes], Job] | None = field(default=None, kw_only=True)

    @classmethod
    def of(
        cls,
        name: str,
        section: CandidateParameters,
        features: Features,
        params: Params,
        *,
        own_facts: bool = False,
    ) -> Self:
        """Return the job on the features that `featurize` described for this dataset.

        With `own_facts` each fit of some of the rows describes their features by these rows alone.
        """
        fitted = Fitted.from_json((params.data / "features" / "fitted.json").read_text())
        job = cls.on(fitted, name, section, features, params)
        selects = section.min_iv or section.max_vif or section.max_correlation
        if not (selects or own_facts):
            return job
        return replace(job, for_fold=partial(cls.on_rows, name, section, features, params))

    @classmethod
    def on_rows(
        cls,
        name: str,
        section: CandidateParameters,
        features: Features,
        params: Params,
        x: Floats,
        bad: Outcomes,
    ) -> Self:
        """Return the job on the features that the rows x (m, F) and bad (m,) alone would keep.

        The feature of the highest IV stays where none reaches `min_iv`.
        """
        facts = params.featurize
        fitted = Fitted.fit(features, fill_empty(x), bad, bins=facts.bins, clip=facts.clip)
        least = min(section.min_iv, max(fitted.iv))
        relaxed = section.model_copy(update={"min_iv": least})
        return cls.on(fitted, name, relaxed, features, params)

    @classmethod
    def on(
        cls,
        fitted: Fitted,
        name: str,
        section: CandidateParameters,
        features: Features,
        params: Params,
    ) -> Self:
        """Return the job on features that `fitted` describes.

        Raises ParamsError where the candidate's parameters leave no feature.
        """
        try:
            kept = select(fitted, section)
        except NoFeatureLeft as error:
            raise ParamsError(f"params.yaml: train.{name}: {error}") from None
        place = {j: i for i, j in enumerate(kept)}
        return cls(
            parameters=section,
            seed=params.train.seed,
            threads=params.threads,
            categories=[i for i, j in enumerate(kept) if j in features.categories],
            directions=features.directions[kept],
            facts={fact: np.array(getattr(fitted, fact))[kept] for fact in FACTS},
            explained_by={
                place[j]: place[why]
                for j, why in features.explained_by.items()
                if j in place and why in place
            },
            candidate=registry.load(name),
            kept=kept,
        )

    def balance_rows(self, x: Floats, bad: Outcomes) -> tuple[Floats, Outcomes]:
        """Return the k features (m, k) of rows x (n, F) and their outcomes, balanced if asked.

        Raises ParamsError where there are too few or too many bad or good rows to resample.
        """
        kept, balance = x[:, self.kept], self.parameters.balance
        try:
            return resample(kept, bad, balance, self.categories, self.facts["fill"], self.seed)
        except CannotResample as error:
            raise ParamsError(f"params.yaml: train.{self.candidate.name}: {error}") from None

    def fit(self, x: Floats, bad: Outcomes) -> Scorer:
        """Return the scorer that the candidate fits on x (n, F) and bad (n,), balanced if asked."""
        with threadpool_limits(1, user_api="blas"):
            scorer = self.candidate.fit(self, *self.balance_rows(fill_empty(x), bad))
        return self.reading_all(scorer, x)

    def fit_until(self, x: Floats, bad: Outcomes, held: Held) -> tuple[Scorer, int]:
        """Return the scorer with as many trees as help on the rows `held`, and their number."""
        if self.candidate.fit_until is None:
            raise TypeError(f"{self.candidate.name} defines no `fit_until`")
        seen = Held(fill_empty(held.x)[:, self.kept], held.bad)
        with threadpool_limits(1, user_api="blas"):
            balanced = self.balance_rows(fill_empty(x), bad)
            scorer, trees = self.candidate.fit_until(self, *balanced, seen)
        return self.reading_all(scorer, x), trees

    def reading_all(self, scorer: Scorer, x: Floats) -> Scorer:
        """Return the scorer as one that reads all features of x (n, F)."""
        return scorer if len(self.kept) == x.shape[1] else Selected(scorer, np.array(self.kept))

    def judge_folds(self, x: Floats, bad: Outcomes, folds: Iterable[Fold]) -> Floats:
        """Return the margin (n,) of each row by the model of its fold, which did not learn from it.

        Nor were the fold's features selected by it. It is NaN for the rows that no fold judges.
        """
        margin = np.full(len(x), np.nan)
        for inside, outside in folds:
            margin[outside] = self.fit_some(lambda: (x, bad), inside).margin(x[outside])
        return margin

    def fit_some(self, read: Callable[[], tuple[Floats, Outcomes]], inside: Rows) -> Scorer:
        """Return the scorer fitted on some of the rows x (n, F) and bad (n,) that `read` returns.

        Its features are those that these rows alone would keep.
        """
        x, bad = read()
        rows = x[inside], bad[inside]
        job = self.for_fold(*rows) if self.for_fold else self
        return job.fit(*rows)

    def calibrate(self, x: Floats, bad: Outcomes, margin: Floats) -> Calibrator:
        """Return the map to PDs, fitted on all margins (n,) that `judge_folds` returned."""
        if self.parameters.calibration == "none":
            return self.candidate.calibrate_by_default(self.balance_rows(x, bad)[1])
        judged = ~np.isnan(margin)
        calibrator = Sigmoid if self.parameters.calibration == "sigmoid" else Isotonic
        with threadpool_limits(1, user_api="blas"):
            return calibrator.fit(margin[judged], bad[judged])

    def judge_probabilities(
        self, x: Floats, bad: Outcomes, margin: Floats, folds: Iterable[Fold]
    ) -> Floats:
        """Return the PD (n,) of each row, calibrated on the margins of the other folds."""
        pd = np.full(len(x), np.nan)
        for _, outside in folds:
            others = margin.copy()
            others[outside] = np.nan
            pd[outside] = self.calibrate(x, bad, others)(margin[outside])
        return pd


def fill_empty(x: Floats) -> Floats:
    """Return the features (n, F) with the constant 0 for a feature that has no value at all.

    The earliest rows of a book may lack a field that later rows have; no model can learn from it.
    """
    empty = np.isnan(x).all(axis=0)
    return np.where(empty, 0.0, x) if empty.any() else x

"""Score a candidate's parameters by cross-validation of the training part, as time goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.model_selection import StratifiedKFold

from stages.contract import prepared
from stages.contract import reading as contracts
from stages.features.matrix import Features, Floats
from stages.features.statistics import Fitted
from stages.judging import metrics
from stages.models import registry
from stages.models.job import Job
from stages.models.parameters import Range
from stages.params import Params

RANKS = ("roc_auc", "pr_auc", "ks")  # calibration does not move these
Values = dict[str, float]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Search:
    """A candidate to search, on the training rows x (n, F) and bad (n,)."""

    name: str
    metric: str
    config: Params
    features: Features
    x: Floats
    bad: NDArray[np.int64]
    folds: list[Fold]

    @classmethod
    def of(cls, name: str, metric: str | None, folds: int, config: Params) -> Search:
        """Read the training part; raises ValueError where its features are not up to date."""
        contract = contracts.load(config.dataset)
        features = Features(contract, config.mode)
        try:
            with np.load(config.data / "features" / "train.npz") as rows:
                x, bad = rows["x"], rows["bad"]
            table = prepared.read(config.data / "prepared" / "train.parquet")
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename} is not there: dvc repro featurize") from None
        if x.shape != (table.num_rows, len(features.names)):
            raise ValueError(f"features of {config.dataset} are out of date: dvc repro featurize")
        cut = list(cuts(bad, prepared.dates(table, contract), folds, config.train.seed))
        chosen = metric or config.evaluate.choose_by
        return cls(name, chosen, config, features, x, bad, cut)

    @property
    def space(self) -> dict[str, Range]:
        """The range of each parameter that is searched."""
        return registry.load(self.name).search

    @property
    def present(self) -> Values:
        """The parameters as they are, of those that are searched."""
        section = self.config.candidate(self.name)
        return {key: getattr(section, key) for key in self.space}

    def score(self, values: Values) -> float:
        """The metric with `values`, its mean over the folds."""
        return float(np.mean([self.score_fold(values, *fold) for fold in self.folds]))

    def score_fold(self, values: Values, inside: Any, outside: Any) -> float:
        """Fit all that is fitted on the rows inside, judge on those outside."""
        section = self.config.candidate(self.name).model_copy(update=values)
        x, bad = self.x[inside], self.bad[inside]
        fitted = Fitted.fit(self.features, x, bad, self.config.featurize)
        job = Job.on(fitted, self.name, section, self.features, self.config)
        margin = job.fit(x, bad).margin(self.x[outside])
        ranks = self.metric in RANKS
        pd = expit(margin) if ranks else job.calibrate(x, bad, self.config.train.folds)(margin)
        return float(getattr(metrics, self.metric)(self.bad[outside], pd))

    def fingerprint(self) -> str:
        """What a trial's score follows from besides the values tried."""
        section = self.config.candidate(self.name).model_copy(update=dict.fromkeys(self.space))
        facts = (section, self.config.train.seed, self.config.train.folds, self.space)
        digest = hashlib.sha256(repr((facts, self.config.featurize)).encode())
        for part in (self.x, self.bad, *(rows for fold in self.folds for rows in fold)):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:16]


def cuts(
    bad: NDArray[np.int64], dates: NDArray[np.datetime64] | None, folds: int, seed: int
) -> Iterator[Fold]:
    """Rows to learn from and rows to judge on: an expanding window of whole days, or stratified.

    Raises ValueError where a part has one class.
    """
    if dates is None:
        yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(bad, bad)
        return
    edges = np.sort(dates)[np.arange(1, folds + 1) * len(dates) // (folds + 1)]
    for since, until in zip(edges, [*edges[1:], dates.max() + 1], strict=True):
        fold = np.flatnonzero(dates < since), np.flatnonzero((dates >= since) & (dates < until))
        for rows in fold:
            if len(np.unique(bad[rows])) < 2:
                raise ValueError(f"{folds} folds leave one without good and bad loans: try fewer")
        yield fold

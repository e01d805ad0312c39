"""Fit and calibrate a candidate on training rows, whichever candidate it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stages.features.matrix import Features, Floats
from stages.features.statistics import Fitted, select
from stages.models import registry
from stages.models.calibration import Calibrator, Isotonic, Sigmoid
from stages.models.parameters import CandidateParameters
from stages.models.registry import Candidate
from stages.models.resampling import resample
from stages.models.scorers import Scorer, Selected
from stages.models.task import Task
from stages.params import Params

FACTS = ("fill", "low", "high", "mean", "sd")


@dataclass(frozen=True)
class Job(Task):
    """A candidate to fit on those of the F features that it keeps: `kept`, k indices."""

    candidate: Candidate
    kept: list[int]

    @classmethod
    def of(cls, name: str, section: CandidateParameters, features: Features, params: Params) -> Job:
        """Return the job on the features that `featurize` described for this dataset."""
        fitted = Fitted.from_json((params.data / "features" / "fitted.json").read_text())
        return cls.on(fitted, name, section, features, params)

    @classmethod
    def on(
        cls,
        fitted: Fitted,
        name: str,
        section: CandidateParameters,
        features: Features,
        params: Params,
    ) -> Job:
        """Return the job on features that `fitted` describes."""
        kept = select(fitted, section)
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

    def balanced(self, x: Floats, bad: Any) -> tuple[Floats, Any]:
        """Return the k features of the rows x (n, F) and their outcomes, resampled if asked."""
        rows: tuple[Floats, Any] = resample(
            x[:, self.kept],
            bad,
            self.parameters.balance,
            self.categories,
            self.facts["fill"],
            self.seed,
        )
        return rows

    def fit(self, x: Floats, bad: Any) -> Scorer:
        """Fit on x (n, F) and bad (n,), resampled if asked."""
        with threadpool_limits(1, user_api="blas"):
            scorer = self.candidate.fit(self, *self.balanced(x, bad))
        return scorer if len(self.kept) == x.shape[1] else Selected(scorer, np.array(self.kept))

    def calibrate(self, x: Floats, bad: Any, folds: int) -> Calibrator:
        """Fit on margins of rows that each fold's model did not see (nor resample)."""
        if self.parameters.calibration == "none":
            return self.candidate.calibrate_by_default(self.balanced(x, bad)[1])
        from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (half a second)

        margin = np.empty(len(x))
        cut = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        for inside, outside in cut.split(x, bad):
            margin[outside] = self.fit(x[inside], bad[inside]).margin(x[outside])
        calibrator = Sigmoid if self.parameters.calibration == "sigmoid" else Isotonic
        with threadpool_limits(1, user_api="blas"):
            return calibrator.fit(margin, bad)

"""Fit one model of the search, with features left out, and measure it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from stages.contract.schema import Contract
from stages.fairness import measures
from stages.features.matrix import Features, Floats, Outcomes
from stages.judging.evaluation import columns_by_name
from stages.judging.rows import Rows
from stages.metrics import metrics
from stages.models.fitting import found_parameters
from stages.models.fitting.job import FACTS, Job
from stages.models.fitting.training_rows import TrainingRows
from stages.models.parameters import CandidateParameters
from stages.params import Params
from stages.policy.decisions import Policy
from stages.replay.policy_figures import APPROVE
from stages.replay.scored_rows import ScoredRows

# What makes a candidate's fit stiffer, and whether it does so as it rises or as it falls.
REGULARISATION = {"c": -1, "l2": 1, "min_leaf": 1}


@dataclass(frozen=True)
class Trial:
    """What one model of the search is.

    Attributes
    ----------
    candidate : the name of its candidate.
    left_out : the features that it does not read.
    strength : factor of its regularisation.
    monotone : whether it follows the directions of risk, where the candidate can.
    seed : added to `train.seed`.
    """

    candidate: str
    left_out: tuple[str, ...] = ()
    strength: float = 1.0
    monotone: bool | None = None
    seed: int = 0


@dataclass(frozen=True)
class TrialRows:
    """The rows that trials are fitted on, and the splits that they are measured on."""

    config: Params
    contract: Contract
    features: Features
    policy: Policy
    train: TrainingRows
    splits: dict[str, tuple[Rows, Floats]]

    @classmethod
    def read(cls, config: Params, contract: Contract) -> TrialRows:
        """Read the book that params.yaml names; ContractError where its features are old."""
        features = Features(contract, config.mode)
        rows = {name: Rows(config, contract, name) for name in ("validation", "test")}
        return cls(
            config,
            contract,
            features,
            config.policy.of(contract, config.mode),
            TrainingRows.read("train", contract, features, config),
            {name: (split, features(split.columns)) for name, split in rows.items()},
        )

    def score(self, trial: Trial, split: str) -> ScoredRows:
        """Return the rows of a split with the PDs of a trial, which the training rows fit."""
        x, bad = self.train.x, self.train.bad
        job = self.job_of(trial)
        scorer = job.fit(x, bad)
        margin = np.full(len(bad), np.nan)
        if job.parameters.calibration != "none":
            folds = self.train.cut(self.config.train.folds, self.config.train.seed)
            margin = job.judge_folds(x, bad, folds)
        rows, held = self.splits[split]
        pd = job.calibrate(x, bad, margin)(scorer.margin(held))
        return ScoredRows(
            pd=pd,
            bad=rows.bad.astype(np.float64),
            features=columns_by_name(self.features, held),
            exposure=rows.exposure,
            cluster=rows.cluster(pd),
            groups=rows.groups(),
        )

    def job_of(self, trial: Trial) -> Job:
        """Return the job that fits a trial."""
        section = change_section(found_parameters.section(self.config, trial.candidate), trial)
        job = Job.of(trial.candidate, section, self.features, self.config)
        dropped = [self.features.names.index(name) for name in trial.left_out]
        return replace(leave_out(job, dropped), seed=self.config.train.seed + trial.seed)


def change_section(section: CandidateParameters, trial: Trial) -> CandidateParameters:
    """Return the parameters of a candidate as a trial has them."""
    changes: dict[str, Any] = {
        name: value * trial.strength**sign
        for name, sign in REGULARISATION.items()
        if (value := getattr(section, name, None)) is not None
    }
    if isinstance(getattr(section, "min_leaf", None), int):
        changes["min_leaf"] = max(1, round(changes["min_leaf"]))
    if trial.monotone is not None and hasattr(section, "monotone"):
        changes["monotone"] = trial.monotone
    return section.model_copy(update=changes)


def leave_out(job: Job, dropped: Collection[int]) -> Job:
    """Return a job without some of the F features, by their places.

    Where the candidate's parameters keep none of the others, one of its own stays.
    """
    places = [i for i, j in enumerate(job.kept) if j not in dropped] or [0]
    new = {old: place for place, old in enumerate(places)}
    narrowed = replace(
        job,
        kept=[job.kept[i] for i in places],
        categories=[new[i] for i in job.categories if i in new],
        directions=job.directions[places],
        facts={fact: job.facts[fact][places] for fact in FACTS},
        explained_by={
            new[i]: new[why] for i, why in job.explained_by.items() if i in new and why in new
        },
    )
    return replace(narrowed, for_fold=job.for_fold and partial(fold_without, job, dropped))


def fold_without(job: Job, dropped: Collection[int], x: Floats, bad: Outcomes) -> Job:
    """Return the job on what a fold's rows alone would keep, without some features."""
    if job.for_fold is None:
        raise TypeError("a job that keeps every feature has none of its own for a fold")
    return replace(leave_out(job.for_fold(x, bad), dropped), for_fold=None)


def measure(book: TrialRows, trial: Trial, split: str = "validation") -> dict[str, Any]:
    """Return the AUC, the profit per unit applied for and the disparity of a trial on a split."""
    rows = book.score(trial, split)
    decision = book.policy.decide(rows.pd, rows.features)
    bad = rows.bad.astype(np.int64)
    worst = measures.find_worst(rows, decision, book.config.evaluate.min_group)
    figures = metrics.summary(bad, rows.pd, book.policy.pd_cut_off)
    return {
        "roc_auc": round(float(figures["roc_auc"]), 6),
        "profit": round(book.policy.profit(bad, decision == APPROVE), 6),
        "disparity": round(worst.disparity, 6),
        "worst": f"{worst.attribute}: {worst.group}" if worst.attribute else "",
    }

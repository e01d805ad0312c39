"""Fit, calibrate and write one candidate: `python -m stages.train CANDIDATE`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from stages import errors, files, params, project
from stages.compute import engine as compute
from stages.contract import reading as contracts
from stages.features.matrix import Features, Floats
from stages.models import artifact, registry
from stages.models.artifact import Model
from stages.models.fitting import found_parameters, origins
from stages.models.fitting.folds import Fold, Rows, has_days_for, learn_from_later_days
from stages.models.fitting.job import Job
from stages.models.fitting.training_rows import TrainingRows, judged_last
from stages.models.parameters import CandidateParameters


def overstates_pd(section: CandidateParameters) -> bool:
    """Return whether a candidate takes the bad rate of resampled rows for that of the book."""
    return section.balance != "none" and section.calibration == "none"


def warn_of_resampling(name: str, section: CandidateParameters) -> None:
    """Print a warning on stderr where a candidate will overstate PD."""
    if overstates_pd(section):
        print(
            f"warning: train.{name}: balance: {section.balance} without calibration overstates PD, "
            "because resampled rows have more bad loans than the book; set calibration: sigmoid",
            file=sys.stderr,
        )


def warn_of_later_days(train: TrainingRows, folds: list[Fold]) -> None:
    """Print a warning on stderr where folds learn from outcomes of later days than they judge."""
    day, known = train.day, train.outcome_known
    if day is not None and known is not None and learn_from_later_days(folds, day, known):
        print(
            f"warning: the training rows, of {day.min()} to {day.max()}, span too little time for "
            "their folds to learn only from outcomes that were known before the fold began: "
            "the calibration and the choice of the winner may look too good. Shorten "
            "`outcome.months`, or bring older loans",
            file=sys.stderr,
        )


def out_of_fold(
    job: Job,
    model: Model,
    margin: Floats,
    train: TrainingRows,
    held: TrainingRows,
    folds: list[Fold],
) -> pa.Table:
    """Return the PDs by which the candidate is chosen, in the order of the folds.

    The columns are `_row`, `split`, `fold` (from 0), `bad`, `margin` and `pd`. Neither the model
    nor the calibration behind a PD was fitted on rows of its fold. The validation rows are the last
    fold, which the final model judges; `fold` is empty for those that are not `judged_last`. All
    candidates have the same rows in the same folds.
    """
    pd = job.judge_probabilities(train.x, train.bad, margin, folds)
    final = model.scorer.margin(held.x)
    rows = np.concatenate([outside for _, outside in folds])
    sizes = [*(len(outside) for _, outside in folds), len(held.bad)]
    absent = np.concatenate((np.zeros(len(rows), bool), ~judged_last(train, held)))
    return pa.table(
        {
            "_row": np.concatenate((train.row[rows], held.row)),
            "split": ["train"] * len(rows) + ["validation"] * len(held.bad),
            "fold": pa.array(np.repeat(np.arange(len(sizes)), sizes), mask=absent),
            "bad": np.concatenate((train.bad[rows], held.bad)),
            "margin": np.concatenate((margin[rows], final)),
            "pd": np.concatenate((pd[rows], model.calibrator(final))),
        }
    )


def main(name: str) -> None:
    """Write `models/candidates/<name>.joblib` and `<name>.folds.parquet`."""
    config = params.load()
    section = found_parameters.section(config, name)
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    warn_of_resampling(name, section)
    job = Job.of(name, section, features, config)
    train, held = (
        TrainingRows.read(s, contract, features, config) for s in ("train", "validation")
    )
    cutting = config.train.folds, config.train.seed
    folds, number = train.cut(*cutting), config.evaluate.origins
    days = origins.cut(train, number, *cutting) if number else []
    pasts = [rows for day in days for rows in day.fits()]
    warn_of_later_days(train, folds)
    in_time = train.day is not None and has_days_for(len(folds), train.day)
    order = "in time order" if in_time else "drawn at random"
    print(
        f"train {name}: {len(train.bad):,} rows, {len(job.kept)} of {len(features.names)} "
        f"features, {len(folds)} folds {order}"
    )
    with (
        tqdm(total=1 + len(folds) + len(pasts), desc=name, unit=" fits", disable=None) as progress,
        compute.start(config.compute, config.threads, config.data) as engine,
    ):
        scorer = job.fit(train.x, train.bad)
        progress.update()
        read = engine.hand_over("training", (train.x, train.bad))
        insides = (inside for inside, _ in folds)
        of_folds = engine.run(partial(job.fit_some, read), count_fits(insides, progress))
        own = Job.of(name, section, features, config, own_facts=True)
        of_days = engine.run(partial(own.fit_some, read), count_fits(pasts, progress))
    margin = np.full(len(train.bad), np.nan)
    for (_, outside), judge in zip(folds, of_folds, strict=True):
        margin[outside] = judge.margin(train.x[outside])
    model = Model(
        candidate=name,
        dataset=config.dataset,
        mode=config.mode,
        contract_text=(config.data / "contract.yaml").read_text(),
        scorer=scorer,
        calibrator=job.calibrate(train.x, train.bad, margin),
        trained_on=train.facts()
        | {"balance": section.balance, "overstates_pd": overstates_pd(section)},
    )
    folder = Path("models") / "candidates"
    if days:
        judged = origins.judge_all(job, model, margin, train, held, days, of_days)
    else:
        judged = out_of_fold(job, model, margin, train, held, folds)
    with files.whole_file(folder / f"{name}.folds.parquet") as path:
        pq.write_table(judged, path)
    artifact.save(model, folder / f"{name}.joblib")


def count_fits(fits: Iterable[Rows], progress: tqdm[NoReturn]) -> Iterator[Rows]:
    """Yield the rows that each fit learns from, and move the progress bar on after it."""
    for rows in fits:
        yield rows
        progress.update()


if __name__ == "__main__":
    project.enter()
    candidate = registry.candidate_argument(sys.argv[1:], "stages.train")
    with errors.one_message():
        main(candidate)

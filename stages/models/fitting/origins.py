"""Backtest a candidate: at each origin it is fitted and calibrated on its past alone.

An origin is a day. Its past are the training rows whose outcomes were known on that day, without
the customers that it judges; it judges the rows from that day to the next origin. The validation
part is the last origin, which the candidate itself judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.models.artifact import Model
from stages.models.fitting import folds
from stages.models.fitting.folds import PAST, Fold, FoldsError, Rows
from stages.models.fitting.job import Job
from stages.models.fitting.training_rows import TrainingRows, judged_last
from stages.models.scorers import Scorer
from stages.params import ParamsError

PLACE = "params.yaml: evaluate.origins"


@dataclass(frozen=True)
class Origin:
    """The training rows that an origin learns from, those that it judges, and folds of its past."""

    past: Rows
    judged: Rows
    folds: list[Fold]

    def fits(self) -> Iterator[Rows]:
        """Yield the rows that each fit learns from: the whole past, then each fold of it."""
        yield self.past
        for inside, _ in self.folds:
            yield inside


def cut(train: TrainingRows, number: int, inner: int, seed: int) -> list[Origin]:
    """Return the origins before the validation part, in order of time; it is the last of `number`.

    `inner` is the number of folds of each past, for its calibration. Raises ParamsError where the
    training rows do not allow so many origins, each after the outcomes that it learns from.
    """
    before = number - 1
    if train.day is None:
        raise ParamsError(f"{PLACE}: needs loans with a date, and the contract names none: set 0")
    if not folds.has_days_for(before, train.day):
        days = len(np.unique(train.day))
        raise ParamsError(f"{PLACE}: {number} origins need more than {days} days to train on")
    try:
        parts = train.cut(before, seed)
        known = train.outcome_known
        if known is not None and folds.learn_from_later_days(parts, train.day, known):
            raise ParamsError(
                f"{PLACE}: the training rows, of {train.day.min()} to {train.day.max()}, span too "
                "little time to learn from outcomes alone that were known: set 0, shorten "
                "`outcome.months`, or bring older loans"
            )
        return [
            Origin(past, judged, [(past[a], past[b]) for a, b in train.take(past).cut(inner, seed)])
            for past, judged in parts
        ]
    except FoldsError as error:
        raise ParamsError(f"{PLACE}: {number} origins are too many: {error}") from None


def judge(
    job: Job, train: TrainingRows, number: int, origin: Origin, scorers: list[Scorer]
) -> pa.Table:
    """Return what an origin says of its rows, and out of fold of its past.

    `scorers` are those of `origin.fits()`. No PD depends on an outcome that was unknown then.
    """
    final, *of_folds = scorers
    margin = np.full(len(train.bad), np.nan)
    for (_, outside), scorer in zip(origin.folds, of_folds, strict=True):
        margin[outside] = scorer.margin(train.x[outside])
    past = origin.past
    calibrator = job.calibrate(train.x[past], train.bad[past], margin[past])
    said, held = final.margin(train.x[origin.judged]), past[~np.isnan(margin[past])]
    judged = as_table(train.take(origin.judged), "train", number, said, calibrator(said))
    known = as_table(train.take(held), PAST, number, margin[held], calibrator(margin[held]))
    return pa.concat_tables([judged, known])


def judge_all(
    job: Job,
    model: Model,
    margin: Floats,
    train: TrainingRows,
    held: TrainingRows,
    origins: list[Origin],
    scorers: Iterable[Scorer],
) -> pa.Table:
    """Return what every origin says, the last of which is the candidate itself: see `judge`.

    `scorers` are those of `fits()` of one origin after the other.
    """
    following = iter(scorers)
    tables = [
        judge(job, train, number, origin, [*islice(following, 1 + len(origin.folds))])
        for number, origin in enumerate(origins)
    ]
    last = judge_last(model, train, held, len(origins), margin)
    return pa.concat_tables([*tables, last])


def judge_last(
    model: Model, train: TrainingRows, held: TrainingRows, number: int, margin: Floats
) -> pa.Table:
    """Return what the candidate says of the validation rows, and out of fold of training rows.

    `fold` is empty for loans of customers whom the candidate has learned from. `margin` (n,) is
    that of the training rows by the models of their folds, or NaN.
    """
    said, known = model.scorer.margin(held.x), np.flatnonzero(~np.isnan(margin))
    absent = ~judged_last(train, held)
    judged = as_table(held, "validation", number, said, model.calibrator(said), absent)
    past = train.take(known), PAST, number, margin[known], model.calibrator(margin[known])
    return pa.concat_tables([judged, as_table(*past)])


def as_table(
    rows: TrainingRows,
    split: str,
    fold: int,
    margin: Floats,
    pd: Floats,
    absent: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Return rows as a candidate's file of judged rows has them; `absent` ones are of no fold."""
    return pa.table(
        {
            "_row": rows.row,
            "split": [split] * len(rows.bad),
            "fold": pa.array(np.full(len(rows.bad), fold, dtype=np.int64), mask=absent),
            "bad": rows.bad,
            "margin": margin,
            "pd": pd,
        }
    )

"""Read the rows of a split as `train` and `tune` use them: features, outcomes, groups and days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract import prepared
from stages.contract.raw.columns import outcome_known
from stages.contract.schema import Contract, ContractError
from stages.features.matrix import Features, Floats
from stages.models.fitting import folds
from stages.models.fitting.folds import Fold
from stages.params import Params


class OutOfDate(ContractError):
    """The features of a split are missing or belong to other rows; the message says which."""


@dataclass(frozen=True)
class TrainingRows:
    """The n rows of a split.

    Attributes
    ----------
    row : (n,) the number of each row in the base file.
    x, bad : features (n, F) and outcomes (n,), 1 for a bad loan.
    group : (n,) one code for the loans of a customer, or else for the copies of an application.
    day : (n,) the loans' dates, or None where the contract has no date.
    outcome_known : (n,) the days on which the outcomes were known, or None where the contract does
        not say how long an outcome takes.
    """

    row: NDArray[np.int64]
    x: Floats
    bad: NDArray[np.int64]
    group: NDArray[np.int64]
    day: NDArray[np.datetime64] | None
    outcome_known: NDArray[np.datetime64] | None = None

    @classmethod
    def read(
        cls, split: str, contract: Contract, features: Features, config: Params
    ) -> TrainingRows:
        """Read what `preprocess` and `featurize` wrote of a split.

        Raises OutOfDate where the features are absent or of another contract or mode.
        """
        group = "_entity" if contract.entity else "_copy"
        wanted = ["_row", group, *(["_date"] if contract.date else [])]
        try:
            with np.load(config.data / "features" / f"{split}.npz") as rows:
                x, bad = rows["x"], rows["bad"]
            table = prepared.read(config.data / "prepared" / f"{split}.parquet", wanted)
        except FileNotFoundError as error:
            raise OutOfDate(f"{error.filename} not found: run `dvc repro featurize`") from None
        if x.shape != (table.num_rows, len(features.names)):
            raise OutOfDate(f"features of {config.dataset} are out of date: dvc repro featurize")
        codes = (table.column(name).to_numpy() for name in ("_row", group))
        day = prepared.dates(table, contract)
        known = None if day is None else outcome_known(day, contract)
        return cls(next(codes), x, bad, next(codes), day, known)

    def take(self, rows: NDArray[np.intp]) -> TrainingRows:
        """Return some of the rows."""
        day = None if self.day is None else self.day[rows]
        known = None if self.outcome_known is None else self.outcome_known[rows]
        return TrainingRows(
            self.row[rows], self.x[rows], self.bad[rows], self.group[rows], day, known
        )

    @classmethod
    def join(cls, parts: list[TrainingRows]) -> TrainingRows:
        """Return the rows of all parts."""

        def column(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else np.concatenate(values)

        return cls(*map(column, ("row", "x", "bad", "group", "day", "outcome_known")))

    def cut(self, number: int, seed: int) -> list[Fold]:
        """Return as many folds as `number` says, as `folds.cut` makes them."""
        return folds.cut(self.bad, self.group, self.day, number, seed, self.outcome_known)

    def facts(self) -> dict[str, Any]:
        """Return how many rows there are, their bad rate, and their first and last date."""
        first, last = (None, None) if self.day is None else (self.day.min(), self.day.max())
        return {
            "rows": len(self.bad),
            "bad_rate": float(self.bad.mean()),
            "from": first and str(first),
            "to": last and str(last),
        }


def judged_last(train: TrainingRows, held: TrainingRows) -> NDArray[np.bool_]:
    """Return which validation rows (n,) make a fold: those of whose customers none was learned.

    Nor any copy. Where these are less than half of them, none does: so few say too little.
    """
    is_new = ~np.isin(held.group, train.group)
    return is_new & bool(2 * is_new.sum() >= len(is_new))

"""Read and check the predictions that the pipeline wrote, by which both sides are judged."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from release.revisions import CannotJudge
from stages.judging.evaluation import Judged
from stages.metrics import clusters
from stages.policy.decisions import DECISIONS

PATH = "models/predictions.parquet"
COLUMNS = ("row", "split", "date", "bad", "pd", "decision")
GROUP = "group_"


@dataclass(frozen=True)
class Predictions:
    """A checked table of predictions: one line for each row of validation and test."""

    table: pd.DataFrame

    @classmethod
    def read(cls, content: bytes, name: str) -> Predictions:
        """Read the bytes of a Parquet file; CannotJudge names the column and what came."""
        try:
            table = pd.read_parquet(io.BytesIO(content))
        except (pa.ArrowException, ValueError) as error:
            raise CannotJudge(f"{name} is not a Parquet file: {error}") from error
        absent = [column for column in COLUMNS if column not in table]
        if absent:
            raise CannotJudge(f"{name} lacks the columns {absent}; it has {[*table.columns]}")
        _check(name, "`bad` must be 0 or 1", table["bad"], table["bad"].isin([0, 1]))
        _check(name, "`pd` must be from 0 to 1", table["pd"], table["pd"].between(0, 1))
        known = table["decision"].isin(DECISIONS)
        _check(name, f"`decision` must be one of {DECISIONS}", table["decision"], known)
        _check(name, "`row` must be unique", table["row"], ~table["row"].duplicated())
        if "loan" in table and table["loan"].notna().any():
            unique = ~table["loan"].duplicated() & table["loan"].notna()
            _check(name, "`loan` must be unique", table["loan"], unique)
        for split in ("validation", "test"):
            if not (table["split"] == split).any():
                raise CannotJudge(f"{name} holds no {split} rows")
        return cls(table)

    def split(self, name: str) -> pd.DataFrame:
        """Return the rows of a split."""
        return self.table[self.table["split"] == name]

    @property
    def attributes(self) -> list[str]:
        """Return the protected attributes whose groups are known."""
        return [c.removeprefix(GROUP) for c in self.table.columns if c.startswith(GROUP)]

    @property
    def candidates(self) -> list[str]:
        """Return the candidates that were compared on validation."""
        return [c.removeprefix("pd_") for c in self.table.columns if c.startswith("pd_")]


def _check(name: str, rule: str, values: pd.Series, valid: pd.Series) -> None:
    if not valid.all():
        wrong = values[~valid]
        raise CannotJudge(f"{name}: {rule}; got {wrong.iloc[0]} ({len(wrong)} rows)")


def judge_rows(rows: pd.DataFrame) -> Judged:
    """Return rows of predictions as outcome, PD and decision."""
    decision = pd.Index(DECISIONS).get_indexer(pd.Index(rows["decision"]))
    return Judged(
        rows["bad"].to_numpy(np.int64),
        rows["pd"].to_numpy(np.float64),
        decision.astype(np.int64),
        exposure(rows),
        clusters.read_codes(rows.get("cluster")),
    )


def exposure(rows: pd.DataFrame) -> np.ndarray | None:
    """Return the money at risk of each row (n,), None where no field says it."""
    return rows["exposure"].to_numpy(np.float64) if "exposure" in rows else None

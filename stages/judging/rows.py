"""The rows of one split, as candidates are judged on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.contract import prepared
from stages.contract.schema import Contract
from stages.features.lines import as_requests, lines_of_rows
from stages.features.matrix import Floats
from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.metrics import clusters
from stages.models.artifact import Model
from stages.params import Params


class Rows:
    """The rows of one split, with what evaluation needs of them."""

    def __init__(self, config: Params, contract: Contract, name: str) -> None:
        self.name, self.contract, self.raw = name, contract, config.data / "raw"
        self.table: pa.Table = prepared.read(config.data / "prepared" / f"{name}.parquet")
        self._folder = config.data / "prepared" / "history"
        self.bad = prepared.outcome(self.table)
        self.columns = prepared.columns(self.table, self.contract.inputs(config.mode))
        self._matrices: dict[tuple[str, str], Floats] = {}

    def lines_of(self, places: NDArray[np.int64]) -> dict[str, list[list[dict[str, Any]]]]:
        """Return the lines of the rows at some places, by history, as requests write them."""
        rows = self.table.column("_row").to_numpy()[places]
        lines = {}
        for name, history in self.contract.history.items():
            table = prepared.read(self._folder / name / f"{self.name}.parquet")
            numbers = table.column("_row").to_numpy()
            order = np.argsort(rows)
            at = np.searchsorted(rows[order], numbers).clip(0, len(rows) - 1)
            of_these = np.flatnonzero(rows[order][at] == numbers)
            owner = order[at[of_these]]
            by_owner = np.argsort(owner, kind="stable")
            some = table.take(of_these[by_owner])
            columns = {n: prepared.column(some, f) for n, f in history.readable.items()}
            read = lines_of_rows(history, owner[by_owner], columns, len(rows))
            lines[name] = as_requests(history, read)
        return lines

    def judge(self, candidate: Model, config: Params, pd: Floats | None = None) -> Judged:
        """Return the PDs of a candidate and the decisions of the policy on these rows.

        `pd` (n,) are its PDs, where they are known.
        """
        x = self.matrix(candidate)
        pd = candidate.predict_matrix(x) if pd is None else pd
        decision = config.policy.decide(pd, evaluation.columns_by_name(candidate.features, x))
        judged = Judged(self.bad, pd, decision, self.exposure)
        return replace(judged, cluster=self.cluster(pd))

    def matrix(self, model: Model) -> Floats:
        """Return the features (n, F) of these rows by a model's own path.

        They are made once for all models of one contract.
        """
        known = model.contract_text, model.mode
        if known not in self._matrices:
            self._matrices[known] = model.features(self.columns)
        return self._matrices[known]

    def cluster(self, pd: Floats) -> NDArray[np.int64] | None:
        """Return the customer of each row (n,), or its copies where their outcomes agree.

        They agree where they do so further than the PDs (n,) explain.
        """
        if "_entity" in self.table.column_names:
            return np.asarray(self.table.column("_entity").to_numpy())
        copy = np.asarray(self.table.column("_copy").to_numpy())
        return copy if clusters.outcomes_agree(self.bad, pd, copy) else None

    @property
    def exposure(self) -> Floats | None:
        """The money at risk of each row (n,), 0 where missing; None where no field says it."""
        if self.contract.exposure is None:
            return None
        money = prepared.column(self.table, self.contract.fields[self.contract.exposure])
        return np.nan_to_num(np.asarray(money, dtype=np.float64))

    def has_customer_outside(self, other: Rows) -> NDArray[np.bool_] | None:
        """Return whether each customer (n,) has no row in another split; None without an entity."""
        if "_entity" not in self.table.column_names:
            return None
        here, there = (rows.table.column("_entity").to_numpy() for rows in (self, other))
        return np.isin(here, there, invert=True)

    def groups(self) -> dict[str, NDArray[np.str_]]:
        """Return the group of each row (n,) for each protected attribute by name."""
        return {
            field.name: evaluation.name_groups(field, prepared.column(self.table, field))
            for field in self.contract.protected_fields
        }

    def vintages(self) -> NDArray[np.str_] | None:
        """Return the quarter of each row (n,), or None where the loans have no dates."""
        dates = prepared.dates(self.table, self.contract)
        return None if dates is None else evaluation.name_vintages(dates)

"""The prepared rows of a split, in the columns that feature code reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.contract.schema import Contract, Field


def read(path: Path, only: list[str] | None = None) -> pa.Table:
    """One split as `preprocess` wrote it, or `only` some of its columns."""
    return pq.read_table(path, columns=only)


def column(table: pa.Table, field: Field) -> Any:
    """A field's values: float64 with NaN for numbers, a list with None for all else."""
    values = table.column(field.name)
    if field.is_numeric:
        return values.to_numpy().astype(np.float64)
    return values.to_pylist()


def columns(table: pa.Table, fields: list[Field]) -> dict[str, Any]:
    """The raw columns of fields, as `Features` takes them."""
    return {f.name: column(table, f) for f in fields}


def outcome(table: pa.Table) -> NDArray[np.int64]:
    """1 where the loan went bad, else 0: (n,)."""
    return np.asarray(table.column("_bad").to_numpy(), dtype=np.int64)


def dates(table: pa.Table, contract: Contract) -> NDArray[np.datetime64] | None:
    """The loans' dates (n,) in days, or None where the contract has no date."""
    if contract.date is None:
        return None
    return np.asarray(table.column("_date").to_numpy(), dtype="datetime64[D]")

"""Read the prepared rows of a split, in the columns that feature code takes.

Beside the contract's fields, the Parquet file of a split has these columns:

- `_row` (int64): the number of the row in the base file, from 0.
- `_bad` (int64): 1 where the loan went bad, else 0.
- `_date` (timestamp): the loan's date, where the contract has one.
- `_entity` (int64): the code of the customer, where the contract has an `entity`; customers whose
  loans are copies of one application have the same.
- `_copy` (int64): one code for all rows that are copies of one application.
- `FIELD__missing` (int8): for a field whose missing codes have meanings, 0 where a value is present
  or missing without a meaning, and k where the k-th of `Field.missing_meanings` was written.

Codes of `_entity` and `_copy` are the same in all splits.
"""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.contract.expressions.operations import as_days
from stages.contract.fields.field import Field, missing_column
from stages.contract.fields.parts import Scalar
from stages.contract.schema import Contract

Column = NDArray[np.float64] | NDArray[np.int8] | list[Scalar | None]


def read(path: Path, only: list[str] | None = None) -> pa.Table:
    """Read one split as `preprocess` wrote it, or `only` some of its columns."""
    return pq.read_table(path, columns=only)


def read_part(url: str, part: int) -> pa.Table:
    """Read one row group of a split, from a path or a URL."""
    with fsspec.open(url, "rb") as stream:
        return pq.ParquetFile(stream).read_row_group(part)


def column(table: pa.Table, field: Field) -> Column:
    """Return a field's values: numbers and days since 1970 as float64 with NaN, else a list."""
    values = table.column(field.name)
    if field.is_numeric:
        return np.asarray(values.to_numpy(), dtype=np.float64)
    if field.type == "date":
        return as_days(values.to_numpy())
    # One object for all equal values: a list of new ones takes seven times the memory.
    coded = values.combine_chunks().dictionary_encode()
    distinct = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    raw: list[Scalar | None] = distinct[coded.indices.fill_null(-1).to_numpy()].tolist()
    return raw


def columns(table: pa.Table, fields: list[Field]) -> dict[str, Column]:
    """Return the raw columns of fields as `Features` takes them, with their `FIELD__missing`."""
    values: dict[str, Column] = {f.name: column(table, f) for f in fields}
    return values | {
        missing_column(f.name): table.column(missing_column(f.name)).to_numpy()
        for f in fields
        if f.missing_meanings
    }


def fingerprints(table: pa.Table, contract: Contract) -> NDArray[np.uint64]:
    """Return a hash of each row's fields that are known before its outcome: (n,)."""
    names = sorted(f.name for f in contract.fields.values() if f.known_at != "outcome")
    frame = table.select(names).to_pandas()
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def outcome(table: pa.Table) -> NDArray[np.int64]:
    """Return 1 where the loan went bad, else 0: (n,)."""
    return np.asarray(table.column("_bad").to_numpy(), dtype=np.int64)


def dates(table: pa.Table, contract: Contract) -> NDArray[np.datetime64] | None:
    """Return the loans' dates (n,) in days, or None where the contract has no date."""
    if contract.date is None:
        return None
    return np.asarray(table.column("_date").to_numpy(), dtype="datetime64[D]")

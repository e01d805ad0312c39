"""Read one raw file: CSV as text, or Parquet with the types that it has."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from stages.contract.schema import ContractError

READERS = (".csv", ".parquet")
ROWS = 100_000  # rows of a CSV file that are held as Python objects at a time


def read_file(path: Path, only: Collection[str] | None = None) -> pd.DataFrame:
    """Read a CSV file as text, or a Parquet file with the types that it has.

    `only` names the columns to keep if the file has them. Raises ContractError for a file that
    cannot be read, or that has no rows.
    """
    if not path.exists():
        there = (
            sorted(p.name for p in path.parent.glob("*")) if path.parent.exists() else "no folder"
        )
        raise ContractError(f"{path}: the file is missing; its folder holds {there}")
    if path.suffix not in READERS:
        raise ContractError(f"{path}: a table is one of {', '.join(READERS)}; got {path.suffix!r}")
    try:
        frame = _read_parquet(path, only) if path.suffix == ".parquet" else _read_csv(path, only)
    except pd.errors.EmptyDataError as error:
        raise ContractError(f"{path}: the file is empty") from error
    except ValueError as error:  # of the parser, of the encoding, of Arrow
        form = path.suffix.removeprefix(".")
        raise ContractError(f"{path}: cannot be read as {form}: {error}") from error
    if not len(frame):
        raise ContractError(f"{path}: the file has columns but no rows")
    return frame


def _read_parquet(path: Path, only: Collection[str] | None) -> pd.DataFrame:
    columns = None if only is None else [c for c in pq.read_schema(path).names if c in only]
    return pd.read_parquet(path, columns=columns)


def _read_csv(path: Path, only: Collection[str] | None) -> pd.DataFrame:
    parts = pd.read_csv(
        path,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        usecols=None if only is None else lambda name: name in only,
        chunksize=ROWS,
    )
    with parts:
        return pd.concat(list(parts), ignore_index=True)


def header(path: Path) -> list[str]:
    """Return the columns of a file, in its order; ContractError if it cannot be read."""
    if path.exists() and path.suffix in READERS and path.stat().st_size:
        with contextlib.suppress(ValueError):
            if path.suffix == ".parquet":
                return [str(c) for c in pq.read_schema(path).names]
            return [str(c) for c in pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns]
    return [str(c) for c in read_file(path).columns]

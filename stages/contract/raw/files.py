"""Read one raw file: text and workbooks as text, Parquet with the types that it has."""

from __future__ import annotations

import codecs
import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from python_calamine import CalamineError

from stages import files
from stages.contract.schema import ContractError
from stages.contract.tables import Dialect, RawTable

TEXTS = (".csv", ".tsv", ".txt", ".asc", ".data", ".dat")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
READERS = (*TEXTS, ".parquet", *WORKBOOKS)
DELIMITERS = (",", ";", "\t", "|")
# Of the parser, the encoding, Arrow, an archive, a workbook.
UNREADABLE = (ValueError, OSError, EOFError, KeyError, CalamineError, pa.ArrowException)


def read_file(
    path: Path, only: Collection[str] | None = None, table: RawTable | None = None
) -> pd.DataFrame:
    """Read a file of a table; `only` names the columns to keep if the file has them.

    Raises ContractError for a file that cannot be read, or that has no rows.
    """
    with _named_errors(path):
        frame = _read(path, only, table or RawTable(path=path.name))
    if not len(frame):
        raise ContractError(f"{path}: the file has columns but no rows")
    return frame


def read_parts(
    path: Path, only: Collection[str] | None, table: RawTable, rows: int
) -> Iterator[pd.DataFrame]:
    """Yield a file in parts of so many rows; their index is the number of the row in the file.

    Raises ContractError as `read_file` does.
    """
    first = 0
    with _named_errors(path):
        for part in _read_by_parts(path, only, table, rows):
            yield part.set_axis(pd.RangeIndex(first, first + len(part)))
            first += len(part)
    if not first:
        raise ContractError(f"{path}: the file has columns but no rows")


def header(path: Path, table: RawTable | None = None) -> list[str]:
    """Return the columns of a file, in its order; ContractError if it cannot be read."""
    with _named_errors(path):
        return _read_names(path, table or RawTable(path=path.name))


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what readers raise into a ContractError that names the file."""
    if not path.exists():
        there = (
            sorted(p.name for p in path.parent.glob("*")) if path.parent.exists() else "no folder"
        )
        raise ContractError(f"{path}: the file is missing; its folder holds {there}")
    if suffix(path) not in READERS:
        raise ContractError(
            f"{path}: a table is one of {', '.join(READERS)}, or a text file compressed as one of "
            f"{', '.join(PACKED)}; got {path.suffix!r}"
        )
    if not path.stat().st_size:
        raise ContractError(f"{path}: the file is empty")
    try:
        yield
    except ContractError:
        raise
    except UNREADABLE as error:
        form = suffix(path).removeprefix(".")
        hint = "; if it is not UTF-8, say `encoding: cp1252`" if "UTF8" in str(error) else ""
        raise ContractError(f"{path}: cannot be read as {form}: {error}{hint}") from error


def read_start(path: Path, size: int) -> bytes:
    """Return the first bytes of a text file, unpacked."""
    with fsspec.open(str(path), "rb", compression="infer") as stream:
        start: bytes = stream.read(size)
    return start


def _refuse_utf_16(path: Path, encoding: str) -> None:
    """Raise ContractError for a text in UTF-16 whose contract says another encoding."""
    came = files.find_utf_16(read_start(path, 2))
    if came and not codecs.lookup(encoding).name.startswith("utf-16"):
        words = f"the file is in UTF-16 and not in {encoding}; say `encoding: {came}` of its table"
        raise ContractError(f"{path}: {words}")


def delimiter_hint(columns: list[str]) -> str:
    """Return the end of a message about a file of one column: the delimiter that it may have."""
    if len(columns) > 1:
        return ""
    there = [d for d in DELIMITERS if d in "".join(columns)]
    if not there:
        return ""
    return f"; if {there[0]!r} separates its values, say `dialect: {{delimiter: {there[0]!r}}}`"


def suffix(path: Path) -> str:
    """Return the suffix that says how a file is read, without that of its compression."""
    inner = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return inner.suffix.lower()


def _read_names(path: Path, table: RawTable) -> list[str]:
    if suffix(path) == ".parquet":
        return [str(c) for c in pq.read_schema(path).names]
    if suffix(path) in WORKBOOKS:
        return [str(c) for c in _read_workbook(path, table.dialect).columns]
    if table.dialect.delimiter == " ":
        return _names(_read_blanks(path, table, nrows=1).columns, table.dialect)
    with _open_text(path, table) as text:
        return _names(text.schema.names, table.dialect)


def _read(path: Path, only: Collection[str] | None, table: RawTable) -> pd.DataFrame:
    if suffix(path) in WORKBOOKS:
        sheet = _read_workbook(path, table.dialect)
        return sheet if only is None else sheet[[c for c in sheet.columns if c in only]]
    names, kept = _choose_columns(path, only, table)
    if suffix(path) == ".parquet":
        return pd.read_parquet(path, columns=kept)
    if table.dialect.delimiter == " ":
        return _read_blanks(path, table).set_axis(names, axis=1)[kept]
    with _open_text(path, table) as text:
        columns = text.read_all().rename_columns(names).select(kept).combine_chunks()
    frame: pd.DataFrame = columns.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _read_by_parts(
    path: Path, only: Collection[str] | None, table: RawTable, rows: int
) -> Iterator[pd.DataFrame]:
    """Yield parts of a file, of which only text and Parquet need not be read whole."""
    if suffix(path) in WORKBOOKS or table.dialect.delimiter == " ":
        whole = _read(path, only, table)
        for first in range(0, len(whole), rows):
            yield whole.iloc[first : first + rows]
        return
    names, kept = _choose_columns(path, only, table)
    if suffix(path) == ".parquet":
        for batch in pq.ParquetFile(path).iter_batches(rows, columns=kept):
            yield pa.Table.from_batches([batch]).to_pandas(ignore_metadata=True)
        return
    with _open_text(path, table) as text:
        for part in _cut(text, rows):
            columns = part.rename_columns(names).select(kept).combine_chunks()
            yield columns.to_pandas(split_blocks=True, self_destruct=True)


def _cut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yield tables of so many rows each; the last has the rest."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        rest = batch
        while count + len(rest) >= rows:
            held.append(rest.slice(0, rows - count))
            yield pa.Table.from_batches(held)
            rest, held, count = rest.slice(rows - count), [], 0
        held.append(rest)
        count += len(rest)
    if count:
        yield pa.Table.from_batches(held)


def _choose_columns(
    path: Path, only: Collection[str] | None, table: RawTable
) -> tuple[list[str], list[str]]:
    """Return all columns of a file, and those to keep."""
    names = _read_names(path, table)
    again = [name for name, times in Counter(names).items() if times > 1]
    if again:
        raise ContractError(
            f"{path}: {len(again)} columns have the same name, such as {again[0]!r}"
        )
    return names, [name for name in names if only is None or name in only]


@contextlib.contextmanager
def _open_text(path: Path, table: RawTable) -> Iterator[csv.CSVStreamingReader]:
    """Open a text file whose rows must all be as long as the first, with all values as text."""
    _refuse_utf_16(path, table.encoding)
    with fsspec.open(str(path), "rb", compression="infer") as stream:
        options = csv.ReadOptions(
            encoding=table.encoding, autogenerate_column_names=not table.dialect.header
        )
        parse = csv.ParseOptions(
            delimiter=table.dialect.delimiter or ("\t" if suffix(path) == ".tsv" else ","),
            quote_char=table.dialect.quote_char,
            newlines_in_values=True,
        )
        yield csv.open_csv(
            stream, options, parse, csv.ConvertOptions(default_column_type=pa.string())
        )


def _read_blanks(path: Path, table: RawTable, nrows: int | None = None) -> pd.DataFrame:
    """Read a text file whose values are apart by runs of blanks."""
    _refuse_utf_16(path, table.encoding)
    return pd.read_csv(
        path,
        sep=r"\s+",
        nrows=nrows,
        dtype=str,
        keep_default_na=False,
        encoding=table.encoding,
        quotechar=table.dialect.quote_char,
        header=0 if table.dialect.header else None,
        index_col=False,
    )


def _read_workbook(path: Path, dialect: Dialect) -> pd.DataFrame:
    """Return a sheet of a workbook as text."""
    frame = pd.read_excel(
        path,
        sheet_name=dialect.sheet or 0,
        header=0 if dialect.header else None,
        dtype=str,
        keep_default_na=False,
        engine="calamine",
    )
    return frame.set_axis(_names(frame.columns, dialect), axis=1)


def _names(columns: Collection[object], dialect: Dialect) -> list[str]:
    """Return the names of the columns: `field1`, `field2`, ... where the file has none."""
    if dialect.header:
        return [str(c) or f"Unnamed: {i}" for i, c in enumerate(columns)]
    return [f"field{i + 1}" for i in range(len(columns))]

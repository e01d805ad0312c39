"""Read files in chunks of rows, so that the memory needed does not depend on their size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stages import files
from stages.contract.fields.written_values import BLANKS

CHUNK = 50_000  # rows of a Parquet file in memory at a time
BLOCK = 8 << 20  # bytes of a CSV file in memory at a time


def require_utf_8(path: Path) -> None:
    """Raise ValueError for a CSV file in UTF-16, as spreadsheets may write it."""
    with path.open("rb") as file:
        if files.find_utf_16(file.read(2)):
            raise ValueError("must be in UTF-8; it is in UTF-16")


def read_chunks(path: Path) -> tuple[pa.Schema, int, Iterator[tuple[pa.Table, int]]]:
    """Return a file's schema, its bytes, and its chunks, each with the bytes that it stands for."""
    if path.suffix == ".parquet":
        parquet = pq.ParquetFile(path)
        size = path.stat().st_size
        rows = max(parquet.metadata.num_rows, 1)
        batches = parquet.iter_batches(CHUNK)
        return (
            parquet.schema_arrow,
            size,
            (
                (pa.Table.from_batches([batch]), round(size * len(batch) / rows))
                for batch in batches
            ),
        )
    if path.suffix == ".csv":
        require_utf_8(path)
        names = pa.csv.open_csv(path).schema.names
        texts = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[*BLANKS],
        )
        reading = pa.csv.ReadOptions(block_size=BLOCK)
        stream = pa.csv.open_csv(path, reading, convert_options=texts)
        return (
            stream.schema,
            path.stat().st_size,
            ((pa.Table.from_batches([batch]), batch.nbytes) for batch in stream),
        )
    raise ValueError(f"must be .csv or .parquet; got {path.suffix or 'no suffix'}")

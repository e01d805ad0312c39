"""Write the files of training, validation, test and embargoed rows from the parts of a book."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.compute.scratch import Scratch
from stages.features.split import EMBARGOED, LEFT_OUT, SPLITS
from stages.preparation.book import BookSource, Preparation
from stages.preparation.loans import Loans


class Placed(NamedTuple):
    """The columns that the whole book decides, of the n loans of a part, and the files to write."""

    part: int
    files: tuple[str, ...]
    place: NDArray[np.int64]
    codes: dict[str, NDArray[np.int64]]


def write(
    work: Preparation, loans: Loans, rows: pd.DataFrame, place: NDArray[np.int64], folder: Path
) -> None:
    """Write the files of the splits, from the places (n,) of the loans and the codes of `rows`."""
    ends = np.cumsum(loans.sizes)[:-1]
    codes = {
        name: np.split(rows[name].to_numpy(), ends) for name in ("_entity", "_copy") if name in rows
    }
    left_out = place == EMBARGOED
    names = (*SPLITS, LEFT_OUT) if left_out.any() else SPLITS
    place = np.where(left_out, len(SPLITS), place)
    placed = [
        Placed(part, names, inside, {name: values[part] for name, values in codes.items()})
        for part, inside in enumerate(np.split(place, ends))
    ]
    write_files(work, cut_loans, placed, folder)
    for name in work.book.contract.history:
        (folder / "history" / name).mkdir(parents=True)
        write_files(work, partial(cut_lines, name), placed, folder / "history" / name)


def write_files(
    work: Preparation,
    cut: Callable[[BookSource, Placed], list[pa.Schema]],
    placed: list[Placed],
    folder: Path,
) -> None:
    """Write a Parquet file for each split, with a row group for each part that has rows in it."""
    schemas = work.run(cut, placed)
    for name, of_parts in zip(placed[0].files, zip(*schemas, strict=True), strict=True):
        unified = pa.unify_schemas(of_parts, promote_options="default")
        schema = unified.with_metadata(of_parts[0].metadata)
        with pq.ParquetWriter(folder / f"{name}.parquet", schema) as writer:
            for part in range(len(placed)):
                table = work.book.scratch.load(f"cut/{name}/{part}")
                if len(table) or len(placed) == 1:
                    writer.write_table(table.cast(schema))
    work.book.scratch.remove("cut")


def cut_loans(book: BookSource, placed: Placed) -> list[pa.Schema]:
    """Keep the loans of a part by their splits; return the schema of each split."""
    part, names, place, codes = placed
    rows = book.scratch.load(f"clean/{part}")
    rows = rows.drop(columns=[f"_key_{name}" for name in book.contract.history])
    for name in book.contract.history:
        rows = rows.assign(**book.scratch.load(f"aggregates/{name}/{part}"))
    rows = rows.assign(**codes).rename_axis("_row").reset_index()
    return [keep(book.scratch, n, part, rows[place == i]) for i, n in enumerate(names)]


def cut_lines(history: str, book: BookSource, placed: Placed) -> list[pa.Schema]:
    """Keep the lines of the loans of a part by the splits of these; return their schemas."""
    part, names, place, _ = placed
    row = book.scratch.load(f"clean/{part}").index.to_numpy()
    lines = book.scratch.load(f"lines/{history}/{part}")
    of_splits = (lines[lines["_row"].isin(row[place == i])] for i in range(len(names)))
    return [keep(book.scratch, n, part, some) for n, some in zip(names, of_splits, strict=True)]


def keep(scratch: Scratch, split: str, part: int, rows: pd.DataFrame) -> pa.Schema:
    """Keep the rows of a part in a split as Arrow has them; return their schema."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    scratch.keep(f"cut/{split}/{part}", table)
    return table.schema

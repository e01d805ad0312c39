"""The histories of a book by parts: their lines, and the aggregates of those before decisions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from stages.contract.expressions.operations import as_days
from stages.contract.raw import history
from stages.contract.raw.cleaning import encode_column
from stages.contract.raw.quality import Report
from stages.contract.schema import Contract
from stages.features.aggregates import Floats, compute
from stages.features.lines import lines_of_rows
from stages.preparation.book import BookSource, Preparation
from stages.preparation.loans import Loans
from stages.preparation.lookup import Keyed, Lookup

LOANS_ALONE = ("indeterminate", "unripe", "late_defaults", "embargoed")


def aggregate(work: Preparation, loans: Loans, name: str, most: float) -> dict[str, Any]:
    """Keep the loans with the aggregates of a history; return what was dropped of its lines.

    Raises QualityError where more than `most` of the lines were dropped.
    """
    described, report = work.book.contract.history[name], Report()
    path, columns = history.plan_reading(described, name, work.folder, report)
    buckets = len(work.store("raw", path, columns, described))
    parts = len(loans.sizes)
    lookup = Lookup(f"lookup/{name}", parts, buckets, partial(read_keys, name), keep_all)
    typed = work.run(partial(add_lines, lookup, name), range(buckets))
    work.book.scratch.remove("raw")
    report.add([part for part, _ in typed])
    valid = sum(lines for _, lines in typed)
    report.check(valid, most)
    lookup.prepare(work)
    counted = work.run(partial(add_aggregates, lookup, name), range(parts))
    work.book.scratch.remove(f"lookup/{name}")
    facts = report.summary(valid) | {"lines_before_decisions": sum(counted)}
    return {key: value for key, value in facts.items() if key not in LOANS_ALONE}


def read_keys(name: str, book: BookSource, part: int) -> pd.Series:
    """Return the keys by which the loans of a part have lines."""
    keys: pd.Series = book.scratch.load(f"clean/{part}")[f"_key_{name}"]
    return keys


def keep_all(_: BookSource, lines: pd.DataFrame, key: pd.Series) -> Keyed:
    """Return all lines of a bucket."""
    return lines, key


def add_lines(lookup: Lookup, name: str, book: BookSource, part: int) -> tuple[Report, int]:
    """Put the valid lines of a part of the file into the buckets of their keys."""
    report = Report(of_part=True)
    described = book.contract.history[name]
    lines, key = history.type_lines(described, book.scratch.load(f"raw/{part}"), report)
    lookup.add(book, part, lines, key)
    return report, len(lines)


def add_aggregates(lookup: Lookup, name: str, book: BookSource, part: int) -> int:
    """Keep the aggregates of a part of the loans and their lines; return the number of lines.

    The lines have `_row`, the place of their row in the base file, and are those that count.
    """
    rows = book.scratch.load(f"clean/{part}")
    counted = history.assign_lines(book.contract, name, rows, *lookup.read(book, part))
    owner = counted["_row"].to_numpy(np.intp)
    values = aggregate_lines(book.contract, name, rows, counted)
    book.scratch.keep(f"aggregates/{name}/{part}", values)
    book.scratch.keep(f"lines/{name}/{part}", counted.assign(_row=rows.index.to_numpy()[owner]))
    return len(counted)


def aggregate_lines(
    contract: Contract, name: str, rows: pd.DataFrame, counted: pd.DataFrame
) -> dict[str, Floats]:
    """Return the aggregates (n,) of rows (n,) from the lines of a history that count for them."""
    described = contract.history[name]
    columns = {n: encode_column(f, counted[n]) for n, f in described.readable.items()}
    read = lines_of_rows(described, counted["_row"].to_numpy(np.intp), columns, len(rows))
    return compute(contract.aggregates_of(name), read, as_days(rows["_date"].to_numpy()))

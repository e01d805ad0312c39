"""The loans of a book by parts: repeated rows, joins, types and rules, copies of applications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.raw import cleaning, outcomes, repeated_rows, tables
from stages.contract.raw.columns import key_text, text_codes
from stages.contract.raw.quality import Report
from stages.contract.raw.table_columns import plan_reading
from stages.contract.schema import Contract
from stages.features import assignment, groups
from stages.preparation.book import BookSource, Preparation, split_places
from stages.preparation.lookup import Keyed, Lookup

DESCRIBED = ("_bad", "_date", "_entity")


@dataclass(frozen=True)
class Loans:
    """The valid loans, kept as `folder/0`, `folder/1`, ...

    Attributes
    ----------
    sizes : the number of loans in each part.
    described : the columns `_bad`, `_date`, `_entity` of all loans, by their row in the base file.
    hashes : (n,) a hash of the early fields of each loan.
    """

    folder: str
    sizes: list[int]
    described: pd.DataFrame
    hashes: NDArray[np.uint64]


def read_valid(work: Preparation, report: Report, max_invalid: float) -> Loans:
    """Return the loans that are decided, ripe and valid; `report` counts the others.

    Raises QualityError where more than `max_invalid` of the rows were dropped.
    """
    contract = work.book.contract
    parts = range(read_base(work, report))
    folder = "base"
    for name in contract.tables:
        if name != contract.base_table:
            folder = join(work, name, folder, len(parts), report)
    decided = work.run(partial(drop_undecided, folder), parts)
    report.add([part for part, _, _ in decided])
    work.book.scratch.remove(folder)
    sizes = [size for _, size, _ in decided]
    report.check(sum(sizes), max_invalid)
    entities: list[NDArray[np.int64] | None] = [None for _ in parts]
    if contract.entity:
        codes = text_codes(pd.concat([entity for _, _, entity in decided], ignore_index=True))
        entities = [*np.split(codes, np.cumsum(sizes)[:-1])]
    cleaned = work.run(clean, [*zip(parts, entities, strict=True)])
    work.book.scratch.remove("decided")
    report.add([part for part, _, _ in cleaned])
    described = [rows for _, rows, _ in cleaned]
    report.check(sum(map(len, described)), max_invalid)
    hashes = np.concatenate([hashes for _, _, hashes in cleaned])
    return Loans("clean", [*map(len, described)], pd.concat(described), hashes)


def read_base(work: Preparation, report: Report) -> int:
    """Keep the base rows that repeat no other, and return the number of parts."""
    contract = work.book.contract
    name = contract.base_table
    path, kept, read = plan_reading(contract, name, work.folder, report)
    report.date = contract.date
    sizes = work.store("raw", path, read, contract.tables[name])
    parts = range(len(sizes))

    def describe(places: NDArray[np.intp]) -> pd.DataFrame:
        by_part = [*zip(parts, split_places(places, sizes), strict=True)]
        return pd.concat(work.run(describe_keys, by_part))

    hashes = pd.concat(work.run(identify, parts), ignore_index=True)
    marks = np.split(repeated_rows.mark_repeated(hashes, describe), np.cumsum(sizes)[:-1])
    reports = work.run(partial(drop_repeated, kept), [*zip(parts, marks, strict=True)])
    report.add(reports)
    work.book.scratch.remove("raw")
    return len(parts)


def identify(book: BookSource, part: int) -> pd.Series:
    """Return a hash (n,) of what tells the base rows of a part apart."""
    return repeated_rows.identify(book.contract, book.scratch.load(f"raw/{part}"))


def describe_keys(book: BookSource, item: tuple[int, NDArray[np.intp]]) -> pd.DataFrame:
    """Return the keys and a hash of the content of the rows at some places of a part."""
    part, places = item
    return repeated_rows.describe_keys(book.contract, book.scratch.load(f"raw/{part}").iloc[places])


def drop_repeated(kept: list[str], book: BookSource, item: tuple[int, NDArray[np.int8]]) -> Report:
    """Keep the base rows of a part that are not marked."""
    part, marks = item
    report, rows = book.report(), book.scratch.load(f"raw/{part}")[kept]
    loans = repeated_rows.drop_repeated(book.contract, rows, marks, report)
    book.scratch.keep(f"base/{part}", loans)
    return report


def join(work: Preparation, name: str, folder: str, parts: int, report: Report) -> str:
    """Join a table to the loans that are kept in a folder; return the folder of the joined ones."""
    contract, scratch = work.book.contract, work.book.scratch
    table, joined = contract.tables[name], f"joined/{name}"
    path, kept, _ = plan_reading(contract, name, work.folder, report)
    buckets = len(work.store("raw", path, kept, table))
    joins = [contract.joined_name(join) for join in table.joins]
    lookup = Lookup(
        f"lookup/{name}",
        parts,
        buckets,
        partial(read_keys, folder, joins),
        partial(unify, name, path),
    )
    work.run(partial(add_rows, lookup, table.keys), range(buckets))
    scratch.remove("raw")
    lookup.prepare(work)
    report.add(work.run(partial(attach, name, lookup, folder, joined), range(parts)))
    scratch.remove(f"lookup/{name}")
    scratch.remove(folder)
    return joined


def read_keys(folder: str, columns: list[str], book: BookSource, part: int) -> pd.Series:
    """Return the keys by which the loans of a part join a table."""
    return key_text(book.scratch.load(f"{folder}/{part}"), columns)


def add_rows(lookup: Lookup, keys: list[str], book: BookSource, part: int) -> None:
    """Put a part of a table's rows into the buckets of their keys."""
    rows = book.scratch.load(f"raw/{part}")
    lookup.add(book, part, rows, key_text(rows, keys))


def unify(name: str, path: Path, book: BookSource, rows: pd.DataFrame, _: pd.Series) -> Keyed:
    """Return one row per key of a bucket of a table's rows."""
    return tables.unique_rows(book.contract, name, path, rows)


def attach(
    name: str, lookup: Lookup, folder: str, joined: str, book: BookSource, part: int
) -> Report:
    """Keep the loans of a part with the columns of one more table."""
    report, loans = book.report(), book.scratch.load(f"{folder}/{part}")
    rows, key = lookup.read(book, part)
    loans = tables.attach(book.contract, loans, name, rows, key, report)
    book.scratch.keep(f"{joined}/{part}", loans)
    # The rows were counted when the base was read.
    report.rows_in = 0
    return report


def drop_undecided(
    folder: str, book: BookSource, part: int
) -> tuple[Report, int, pd.Series | None]:
    """Keep the loans of a part that have an outcome.

    Return the report, their number and a hash of the customer of each.
    """
    contract, report = book.contract, book.report()
    raw = book.scratch.load(f"{folder}/{part}")
    raw = outcomes.drop_indeterminate(contract, raw, report)
    raw = outcomes.drop_unripe(contract, raw, report)
    book.scratch.keep(f"decided/{part}", raw)
    report.rows_in = -(report.indeterminate + report.unripe)
    return report, len(raw), hash_entities(contract, raw) if contract.entity else None


def hash_entities(contract: Contract, raw: pd.DataFrame) -> pd.Series:
    """Return a hash (n,) of the text that tells customers apart, missing where there is none."""
    words = cleaning.entity_text(contract, raw)
    return pd.util.hash_pandas_object(words, index=False).astype("UInt64").mask(words.isna())


def clean(
    book: BookSource, item: tuple[int, NDArray[np.int64] | None]
) -> tuple[Report, pd.DataFrame, NDArray[np.uint64]]:
    """Keep the valid loans of a part; return the report, what `Loans` describes, and hashes."""
    part, entity = item
    contract, report = book.contract, book.report()
    rows = cleaning.clean(contract, book.scratch.load(f"decided/{part}"), report, entity)
    book.scratch.keep(f"clean/{part}", rows)
    described = rows[[name for name in DESCRIBED if name in rows]]
    return report, described, groups.hash_rows(rows[assignment.early_fields(contract)])


def number_copies(work: Preparation, loans: Loans) -> NDArray[np.int64]:
    """Return one code (n,) for all loans that are copies of one application."""
    parts = range(len(loans.sizes))

    def count(places: NDArray[np.intp]) -> NDArray[np.int64]:
        by_part = [*zip(parts, split_places(places, loans.sizes), strict=True)]
        wanted = pd.concat(work.run(take_early, by_part), ignore_index=True)
        work.book.scratch.keep("wanted", wanted)
        return sum_up(work.run(count_values, parts))

    bad = loans.described["_bad"].to_numpy(np.int64)
    return groups.number_copies(loans.hashes, bad, count)


def sum_up(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the sum of the counts of all parts."""
    return np.asarray(np.sum(counts, axis=0), dtype=np.int64)


def take_early(book: BookSource, item: tuple[int, NDArray[np.intp]]) -> pd.DataFrame:
    """Return the early fields of the loans at some places of a part."""
    part, places = item
    rows: pd.DataFrame = book.scratch.load(f"clean/{part}")
    return rows[assignment.early_fields(book.contract)].iloc[places]


def count_values(book: BookSource, part: int) -> NDArray[np.int64]:
    """Return how many loans of a part have each value that is wanted."""
    rows = book.scratch.load(f"clean/{part}")[assignment.early_fields(book.contract)]
    return groups.count_values(book.scratch.load("wanted"), rows)

"""Find the rows of a file that have the keys of a part, where neither fits into memory.

The rows of the file and the keys that are asked for are put into as many buckets as the file has
parts, by the hash of the key, so that each bucket holds all rows of its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.preparation.book import BookSource, Preparation

Keyed = tuple[pd.DataFrame, pd.Series]
"""Rows, and the key of each as text."""


@dataclass(frozen=True)
class Lookup:
    """The rows of a file by their keys, for the parts of the loans.

    Attributes
    ----------
    name : the name under which rows, keys and answers are kept.
    parts : the number of parts of the loans.
    buckets : the number of parts of the file.
    asked : returns the keys that a part of the loans asks for.
    unify : returns the rows of a bucket that count.
    """

    name: str
    parts: int
    buckets: int
    asked: Callable[[BookSource, int], pd.Series]
    unify: Callable[[BookSource, pd.DataFrame, pd.Series], Keyed]

    def prepare(self, work: Preparation) -> None:
        """Make `read` work, from the rows of the file that were added with `add`."""
        work.run(self.ask, range(self.parts))
        work.run(self.answer, range(self.buckets))

    def add(self, book: BookSource, part: int, rows: pd.DataFrame, key: pd.Series) -> None:
        """Keep a part of the file, by the buckets of its keys."""
        for number, here in enumerate(self.bucket_rows(key)):
            book.scratch.keep(f"{self.name}/rows/{number}/{part}", (rows[here], key[here]))

    def ask(self, book: BookSource, part: int) -> None:
        """Keep the distinct keys of a part of the loans, by their buckets."""
        keys = self.asked(book, part).dropna().drop_duplicates()
        for number, here in enumerate(self.bucket_rows(keys)):
            book.scratch.keep(f"{self.name}/keys/{number}/{part}", keys[here])

    def answer(self, book: BookSource, bucket: int) -> None:
        """Keep the rows of a bucket for each part of the loans that asks for them."""
        places = (f"{self.name}/rows/{bucket}/{part}" for part in range(self.buckets))
        rows, key = self.unify(book, *concatenate(book, places))
        for part in range(self.parts):
            wanted = key.isin(book.scratch.load(f"{self.name}/keys/{bucket}/{part}"))
            found = rows[wanted], key[wanted]
            book.scratch.keep(f"{self.name}/answers/{part}/{bucket}", found)

    def read(self, book: BookSource, part: int) -> Keyed:
        """Return the rows that have the keys of a part of the loans, and the key of each."""
        places = (f"{self.name}/answers/{part}/{bucket}" for bucket in range(self.buckets))
        return concatenate(book, places)

    def bucket_rows(self, key: pd.Series) -> list[NDArray[np.bool_]]:
        """Return for each bucket which of the keys (n,) are in it."""
        hashes = pd.util.hash_pandas_object(key, index=False).to_numpy(np.uint64)
        bucket = hashes % np.uint64(self.buckets)
        return [bucket == number for number in range(self.buckets)]


def concatenate(book: BookSource, places: Iterable[str]) -> Keyed:
    """Return the rows that are kept at some places one after the other, and their keys."""
    pieces = [book.scratch.load(place) for place in places]
    rows, key = zip(*pieces, strict=True)
    return pd.concat(rows), pd.concat(key)

"""The raw tables of a book, read once and cut into parts that workers can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.compute.engine import ComputeEngine
from stages.compute.scratch import Scratch
from stages.contract.raw.files import read_parts
from stages.contract.raw.quality import Report
from stages.contract.schema import Contract
from stages.contract.tables import RawTable

PART = 1 << 18  # rows
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BookSource:
    """What a worker must know of a book: its contract, and where its parts are."""

    contract: Contract
    scratch: Scratch

    def report(self) -> Report:
        """Return an empty report about a part of the loans."""
        return Report(date=self.contract.date, of_part=True)


@dataclass(frozen=True)
class Preparation:
    """A book that an engine prepares; its raw files are in `folder`."""

    book: BookSource
    engine: ComputeEngine
    folder: Path

    def run(
        self, function: Callable[[BookSource, Item], Result], items: Sequence[Item]
    ) -> list[Result]:
        """Call a function for each item, such as the number of a part."""
        return self.engine.run(partial(function, self.book), items)

    def store(self, name: str, path: Path, columns: list[str] | None, table: RawTable) -> list[int]:
        """Keep the parts of a raw file as `name/0`, `name/1`, ... and return their sizes."""
        sizes = []
        for part, rows in enumerate(read_parts(path, columns, table, PART)):
            self.book.scratch.keep(f"{name}/{part}", rows)
            sizes.append(len(rows))
        return sizes


def split_places(places: NDArray[np.intp], sizes: Sequence[int]) -> list[NDArray[np.intp]]:
    """Return the places (k,), ascending, by the parts they are in, as places in the part."""
    ends = np.cumsum(sizes)
    by_part = np.split(places, np.searchsorted(places, ends[:-1]))
    return [inside - (end - size) for inside, end, size in zip(by_part, ends, sizes, strict=True)]

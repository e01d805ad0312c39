"""The feature matrix of a split in files: made by parts of the rows, and read by columns."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.compute.engine import ComputeEngine
from stages.compute.scratch import Scratch
from stages.contract import prepared
from stages.features.matrix import Features, Floats, Outcomes


@dataclass(frozen=True)
class StoredMatrix:
    """The features x (n, F) and the outcomes bad (n,) of a split, in as many tables as parts."""

    scratch: Scratch
    split: str
    parts: int
    width: int

    @classmethod
    def make(cls, engine: ComputeEngine, features: Features, path: Path) -> StoredMatrix:
        """Compute the features of each part of a prepared split: a row group of its file."""
        made = cls(
            engine.scratch, path.stem, pq.read_metadata(path).num_row_groups, len(features.names)
        )
        engine.run(partial(made.add_part, features, engine.scratch.share(path)), range(made.parts))
        return made

    def add_part(self, features: Features, url: str, part: int) -> None:
        """Keep the features of one row group of a prepared split."""
        rows = prepared.read_part(url, part)
        x = features(prepared.columns(rows, features.inputs))
        columns = {str(j): x[:, j] for j in range(self.width)} | {"bad": prepared.outcome(rows)}
        self.scratch.write(f"{self.split}/{part}", pa.table(columns))

    @property
    def bad(self) -> Outcomes:
        """The outcomes (n,)."""
        return self._column("bad").astype(np.int64, copy=False)

    def feature(self, j: int) -> Floats:
        """Return a feature (n,)."""
        return self._column(str(j))

    def _column(self, name: str) -> Floats:
        parts = (self.scratch.read(f"{self.split}/{i}", [name]) for i in range(self.parts))
        return np.concatenate([part.column(0).to_numpy() for part in parts])

    def keep_scaled(self, j: int, values: Floats) -> None:
        """Keep a feature (n,) with mean 0 and standard deviation 1."""
        self.scratch.write(f"{self.split}/scaled/{j}", pa.table({"value": values}))

    def read_scaled(self, j: int, chunk: int | None = None) -> Floats:
        """Return a feature that was kept, or CHUNK of its rows."""
        name = f"{self.split}/scaled/{j}"
        table = self.scratch.read(name) if chunk is None else self.scratch.read_chunk(name, chunk)
        values: Floats = table.column(0).to_numpy()
        return values

    def save(self, path: Path) -> None:
        """Write `x` and `bad` as `np.savez` does, with the columns of x one after the other."""
        bad = self.bad
        with zipfile.ZipFile(path, "w") as archive:
            columns = (self.feature(j) for j in range(self.width))
            add_array(archive, "x", (len(bad), self.width), columns)
            add_array(archive, "bad", bad.shape, iter([bad]))


def add_array(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    columns: Iterator[Floats | Outcomes],
) -> None:
    """Add an array to an archive of `np.savez`, of which one column is in memory at a time."""
    first = next(columns)
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": len(shape) > 1,
        "shape": shape,
    }
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(first.data)
        for column in columns:
            stream.write(column.data)

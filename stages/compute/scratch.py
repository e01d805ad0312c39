"""Tables that one part leaves for the next step, where all workers can read them.

Each table is an Arrow file, written whole, so that a part that is done twice, because its worker
was lost, leaves the same as if it had been done once.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem
from pyarrow import feather

CHUNK = 1 << 20  # rows that are read together where some rows are asked for


@dataclass(frozen=True)
class Scratch:
    """A folder, or a prefix of a bucket such as `s3://bucket/prefix`, with tables by name."""

    url: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the path on it."""
        files, path = fsspec.core.url_to_fs(self.url)
        return files, str(path)

    def write(self, name: str, table: pa.Table) -> None:
        """Write a table whole."""
        with self._whole(name) as stream:
            feather.write_feather(table, stream, compression="lz4", chunksize=CHUNK)

    @contextmanager
    def _whole(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to write, of which nobody sees a half."""
        files, folder = self._place
        path = f"{folder}/{name}"
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        local = isinstance(files, LocalFileSystem)
        written = f"{path}.{uuid.uuid4().hex}" if local else path
        with files.open(written, "wb") as stream:
            yield stream
        if local:
            Path(written).replace(path)

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns."""
        files, folder = self._place
        with files.open(f"{folder}/{name}", "rb") as stream:
            return feather.read_table(stream, columns=columns, memory_map=False)

    def read_chunk(self, name: str, number: int) -> pa.Table:
        """Read the rows `number * CHUNK` to `(number + 1) * CHUNK` of a table."""
        files, folder = self._place
        with files.open(f"{folder}/{name}", "rb") as stream, pa.ipc.open_file(stream) as table:
            return pa.Table.from_batches([table.get_batch(number)])

    def keep(self, name: str, content: object) -> None:
        """Keep any object whole, such as a DataFrame with the types that it has."""
        with self._whole(name) as stream:
            pickle.dump(content, stream, protocol=pickle.HIGHEST_PROTOCOL)

    def load(self, name: str) -> Any:
        """Return an object that was kept."""
        files, folder = self._place
        with files.open(f"{folder}/{name}", "rb") as stream:
            return pickle.load(stream)  # noqa: S301  (the cluster's own)

    def remove(self, name: str) -> None:
        """Remove all tables and objects whose names begin with `name/`."""
        files, folder = self._place
        files.rm(f"{folder}/{name}", recursive=True)

    def share(self, path: Path) -> str:
        """Return where workers read a file of this machine: a bucket gets a copy of it."""
        files, folder = self._place
        if isinstance(files, LocalFileSystem):
            return str(path.resolve())
        files.put_file(str(path), f"{folder}/{path}")
        return str(files.unstrip_protocol(f"{folder}/{path}"))

    def clear(self) -> None:
        """Remove all tables."""
        files, folder = self._place
        if files.exists(folder):
            files.rm(folder, recursive=True)

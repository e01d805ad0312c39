"""Write the decisions about the rows of a file, and a line about each row that is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from service.batch.chunks import read_chunks
from service.batch.columns import ColumnReader
from service.decision.applications import Applications, InvalidApplication
from service.decision.engine import Engine
from service.sources.completion import Completed, FeatureSources
from service.sources.values import lines_reader, number, value_reader
from stages import files
from stages.features.matrix import Features, Floats
from stages.policy.decisions import DECISIONS

OUTPUT = pa.schema(
    [
        ("row", pa.int64()),
        ("default_probability", pa.float64()),
        ("prediction", pa.int8()),
        ("decision", pa.string()),
        ("credit_score", pa.int32()),
        ("rating", pa.string()),
    ]
)
Places = NDArray[np.intp]
REASONS = pa.field("reasons", pa.list_(pa.string()))


class RowCounts(NamedTuple):
    """How many rows were scored and refused."""

    scored: int
    refused: int


def score(engine: Engine, source: Path, target: Path, *, with_reasons: bool = False) -> RowCounts:
    """Write the decision of each row of `source` to `target`, and refused rows to a file beside it.

    Both outputs are whole or not there. Raises ValueError for a file that cannot be read, or that
    lacks a field that must be there.
    """
    if target.suffix != ".parquet":
        raise ValueError(f"the output must be .parquet; got {target.name}")
    about = describe(engine, source, with_reasons)
    schema, total, chunks = read_chunks(source)
    columns = engine.applications.fields.values()
    renamed = {f.source: f.name for f in columns if f.name not in schema.names}
    schema = pa.schema([c.with_name(renamed.get(c.name, c.name)) for c in schema])
    read = {*engine.applications.names} - engine.applications.keys.keys()
    carried = [c for c in schema if c.name not in read]
    if absent := sorted({*engine.applications.required} - {*schema.names}):
        raise ValueError(f"lacks {', '.join(absent)}; it has {', '.join(schema.names)}")
    output = [*OUTPUT, *([REASONS] if with_reasons else [])]
    clash = sorted({column.name for column in carried} & {column.name for column in output})
    if clash:
        raise ValueError(
            f"{source}: rename {', '.join(clash)}: the output has columns of that name"
        )
    sources = FeatureSources(engine)
    names = [column.name for column in carried]
    reader = ChunkReader(engine.applications, engine.features, names, sources)
    refused = first = 0
    with (
        closing(sources),
        files.whole_file(target) as rows,
        files.whole_file(errors_of(target)) as problems,
        pq.ParquetWriter(rows, pa.schema([*output, *carried]).with_metadata(about)) as writer,
        problems.open("w") as out,
        tqdm(total=total, unit="B", unit_scale=True, desc=source.name, disable=None) as bar,
    ):
        for raw, size in chunks:
            chunk = raw.rename_columns(schema.names)
            encoded, kept, invalid = reader.read(chunk, first)
            table = decide(engine, encoded, first + kept, with_reasons)
            for column in carried:
                table = table.append_column(column, chunk.column(column.name).take(pa.array(kept)))
            writer.write_table(table)
            out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in invalid)
            refused, first = refused + len(invalid), first + len(chunk)
            bar.update(size)
    return RowCounts(first - refused, refused)


def describe(engine: Engine, source: Path, with_reasons: bool) -> dict[str, str]:
    """Return what an output says of itself: what decided, and the SHA-256 of its source."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    identity = {k: str(v) for k, v in engine.identity.items()}
    return identity | {"source": digest, "with_reasons": str(with_reasons).lower()}


def is_done(engine: Engine, source: Path, target: Path, *, with_reasons: bool = False) -> bool:
    """Return whether `target` has the decisions of this engine about this content of `source`."""
    if not (target.exists() and errors_of(target).exists()):
        return False
    stated = pq.read_schema(target).metadata or {}
    about = describe(engine, source, with_reasons)
    return about.items() <= {k.decode(): v.decode() for k, v in stated.items()}.items()


class ChunkReader:
    """Reads and checks the rows of a chunk: whole columns at once, and each unsure row by itself.

    The columns `carried` are not read, but for the keys by which `sources` fetch lines.
    """

    def __init__(
        self,
        applications: Applications,
        features: Features,
        carried: Collection[str] = (),
        sources: FeatureSources | None = None,
    ) -> None:
        self.sources = sources
        self.applications, self.features, self.carried = applications, features, carried
        self.columns = ColumnReader(applications, features)
        self.readers = {f.name: value_reader(f) for f in applications.fields.values()}
        self.readers |= {n: lines_reader(h) for n, h in applications.histories.items()}
        self.readers |= dict.fromkeys(applications.keys, as_stated)

    def read(self, chunk: pa.Table, first: int) -> tuple[Floats, Places, list[dict[str, Any]]]:
        """Return encoded rows (m, inputs + reasons), their places (m,), and the refused rows.

        The first row of the chunk has the number `first` in the file.
        """
        encoded, keeps = self.columns.read(chunk)
        unsure = np.flatnonzero(~keeps)
        kept, applications, invalid = [], [], []
        rows = self._rows(chunk, unsure)
        completed = (
            self.sources.complete_now(rows)
            if self.sources
            else [Completed(row, {}) for row in rows]
        )
        for place, row in zip(unsure.tolist(), completed, strict=True):
            try:
                applications.append(row.check(self.applications))
                kept.append(place)
            except InvalidApplication as error:
                problems = [problem._asdict() for problem in error.problems]
                invalid.append({"row": first + place, "errors": problems})
        if kept:
            encoded[kept], keeps[kept] = self.features.encode_rows(applications), True
        return encoded[keeps], np.flatnonzero(keeps), invalid

    def _rows(self, chunk: pa.Table, places: Places) -> list[dict[str, Any]]:
        """Return the applications in some rows of a chunk."""
        unread = {*self.carried} - self.applications.keys.keys()
        names = [name for name in chunk.column_names if name not in unread]
        some = chunk.select(names).take(pa.array(places, pa.int64()))
        columns = [
            map(self.readers.get(name, number), some.column(name).to_pylist()) for name in names
        ]
        rows = zip(*columns, strict=True)
        return [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in rows]


def as_stated(value: object) -> object:
    """Return a key as the file has it."""
    return value


def decide(engine: Engine, encoded: Floats, rows: Places, with_reasons: bool) -> pa.Table:
    """Return the decisions about encoded rows with these numbers, with the columns of OUTPUT."""
    if not len(encoded):
        return pa.schema([*OUTPUT, *([REASONS] if with_reasons else [])]).empty_table()
    x = engine.features.matrix(encoded)
    scored = engine.score_matrix(x)
    ratings = pa.array([*engine.policy.ratings])
    columns = [
        rows,
        scored.pd,
        scored.prediction.astype(np.int8),
        pa.array(DECISIONS).take(pa.array(scored.decision)),
        scored.score.astype(np.int32),
        ratings.take(pa.array(scored.rating)),
    ]
    table = pa.table(columns, schema=OUTPUT)
    if not with_reasons:
        return table
    reasons = engine.reasons(x, scored.pd, scored.decision)
    texts = [[reason["text"] for reason in reasons.get(row, [])] for row in range(len(x))]
    return table.append_column(REASONS, pa.array(texts, REASONS.type))


def errors_of(target: Path) -> Path:
    """Return the path of the file of refused rows beside an output file."""
    return target.with_suffix(".errors.jsonl")

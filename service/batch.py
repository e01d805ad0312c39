"""Score a file of applications: `python -m service.batch IN.csv|IN.parquet OUT.parquet`.

A row that keeps the contract gets its decision in OUT.parquet. A row that breaks it gets a line
with its problems in OUT.errors.jsonl. Both outputs state the row's number in the input, from 0.
Columns may have the fields' names or those of the lender's files (`column`), and values are read as
the contract says (`missingValues`, `repair`, `format`, `decimalChar`). Columns that the contract
does not have, such as identifiers, are copied to the output. The file is read in chunks,
so the memory needed does not depend on its size. Nothing is recorded in the ledger, because scoring
a portfolio is no decision about an applicant.

Exit codes: 0 every row was scored, 1 some rows were refused, 2 the file could not be scored.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from tqdm import tqdm

from service.decision.applications import InvalidApplication
from service.decision.engine import Decision, Engine
from service.decision.hashes import NotReady
from stages import files, project
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BLANKS, BOOLEANS, text
from stages.contract.tables import History

CHUNK = 10_000  # rows in memory at a time
BLOCK = 4 << 20  # bytes of a CSV file in memory at a time
OUTPUT = pa.schema(
    [
        ("row", pa.int64()),
        ("default_probability", pa.float64()),
        ("prediction", pa.int8()),
        ("decision", pa.string()),
        ("credit_score", pa.int32()),
        ("rating", pa.string()),
        ("reasons", pa.list_(pa.string())),
    ]
)


class RowCounts(NamedTuple):
    """How many rows were scored and refused."""

    scored: int
    refused: int


def score(engine: Engine, source: Path, target: Path) -> RowCounts:
    """Write the decision of each row of `source` to `target`, and refused rows to a file beside it.

    Raises ValueError for a file that cannot be read, or that lacks a field that must be there.
    """
    if target.suffix != ".parquet":
        raise ValueError(f"the output must be .parquet; got {target.name}")
    schema, total, chunks = read_chunks(source)
    columns = engine.applications.fields.values()
    renamed = {f.source: f.name for f in columns if f.name not in schema.names}
    schema = pa.schema([c.with_name(renamed.get(c.name, c.name)) for c in schema])
    carried = [c for c in schema if c.name not in {*engine.applications.names}]
    if absent := sorted({*engine.applications.required} - {*schema.names}):
        raise ValueError(f"lacks {', '.join(absent)}; it has {', '.join(schema.names)}")
    clash = sorted({column.name for column in carried} & {*OUTPUT.names})
    if clash:
        raise ValueError(
            f"{source}: rename {', '.join(clash)}: the output has columns of that name"
        )
    identity = {k: str(v) for k, v in engine.identity.items()}
    scored = refused = first = 0
    with (
        files.whole_file(target) as rows,
        files.whole_file(errors_of(target)) as problems,
        pq.ParquetWriter(rows, pa.schema([*OUTPUT, *carried]).with_metadata(identity)) as writer,
        problems.open("w") as out,
        tqdm(total=total, unit="B", unit_scale=True, desc=source.name, disable=None) as bar,
    ):
        for raw, size in chunks:
            chunk = raw.rename_columns(schema.names)
            table, invalid = score_chunk(engine, chunk, first, carried)
            writer.write_table(table)
            out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in invalid)
            scored, refused, first = scored + len(table), refused + len(invalid), first + len(chunk)
            bar.update(size)
    return RowCounts(scored, refused)


def score_chunk(
    engine: Engine, chunk: pa.Table, first: int, carried: Sequence[pa.Field]
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Return the scored and the refused rows of a chunk whose first row has the number `first`.

    The columns `carried` are copied to the output.
    """
    copied = {column.name for column in carried}
    readers = {f.name: value_reader(f) for f in engine.applications.fields.values()}
    readers |= {n: lines_reader(h) for n, h in engine.applications.histories.items()}
    columns = {
        name: list(map(readers.get(name, number), chunk.column(name).to_pylist()))
        for name in chunk.column_names
        if name not in copied
    }
    kept, invalid = [], []
    for place, values in enumerate(zip(*columns.values(), strict=True)):
        application = {n: v for n, v in zip(columns, values, strict=True) if v is not None}
        try:
            engine.applications.check(application)
            kept.append(place)
        except InvalidApplication as error:
            problems = [problem._asdict() for problem in error.problems]
            invalid.append({"row": first + place, "errors": problems})
    inputs = {f.name for f in engine.features.inputs} | {*engine.features.histories}
    valid = {n: [values[i] for i in kept] for n, values in columns.items() if n in inputs}
    decisions = engine.decide_columns(valid) if kept else []
    table = as_table(decisions, [first + i for i in kept])
    for column in carried:
        table = table.append_column(
            column, chunk.column(column.name).take(pa.array(kept, pa.int64()))
        )
    return table, invalid


def as_table(decisions: list[Decision], rows: list[int]) -> pa.Table:
    """Return decisions about the rows with these numbers as a table with the columns of OUTPUT."""
    columns: dict[str, list[Any]] = {
        name: [getattr(decision, name) for decision in decisions] for name in OUTPUT.names[1:-1]
    }
    reasons = [[reason["text"] for reason in decision.reasons] for decision in decisions]
    return pa.table({"row": rows, **columns, "reasons": reasons}, schema=OUTPUT)


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


def value_reader(field: Field) -> Callable[[object], object]:
    """Return a function that converts a field's value in a file to its value in a request.

    The function returns a value that it cannot convert as it is, so that the contract refuses it.
    """
    missing = {text(value) for value in field.missing_values}
    meant = {text(code): code for code in field.missing_meanings}
    repaired = {text(wrong): right for wrong, right in field.repair.items()}
    words = (BOOLEANS if field.is_boolean else {}) | {text(v): v for v in field.codes}
    numeric, plain = field.type in ("integer", "number"), field.plain_text

    def read(value: object) -> object:
        if value is None or value != value:  # noqa: PLR0124  (NaN)
            return None
        if plain and isinstance(value, str) and value not in missing:
            value = plain(value)
        value = number(value) if numeric else value
        word = text(value) if words or missing or repaired else ""
        if word in missing:
            return meant.get(word)
        if word in repaired:
            return repaired[word]
        if words:
            return words.get(word, value if field.other is None else word)
        return value if numeric else str(value)

    return read


def lines_reader(history: History) -> Callable[[object], object]:
    """Return a function that reads the lines of a history: nested rows, or a text of JSON."""
    readers = {name: value_reader(field) for name, field in history.fields.items()}

    def read(value: object) -> object:
        with contextlib.suppress(ValueError):
            value = json.loads(value) if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(line, dict) for line in value):
            return value
        stated = ({n: v for n, v in line.items() if v is not None} for line in value)
        return [{n: readers.get(n, number)(v) for n, v in line.items()} for line in stated]

    return read


def number(value: object) -> object:
    """Return the number that a text states, or the value itself where it states none."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def errors_of(target: Path) -> Path:
    """Return the path of the file of refused rows beside an output file."""
    return target.with_suffix(".errors.jsonl")


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = map(project.resolve, arguments)
    try:
        counts = score(Engine.load(), source, target)
    except (NotReady, ValueError, OSError) as error:
        print(f"batch: {source}: {error}", file=sys.stderr)
        return 2
    print(f"{counts.scored:,} rows scored into {target}; {counts.refused:,} refused", end="")
    print(f", see {errors_of(target)}" if counts.refused else "")
    return 1 if counts.refused else 0


if __name__ == "__main__":
    project.enter()
    sys.exit(main(sys.argv[1:]))

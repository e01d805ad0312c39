"""Time the scoring of a file by `service.batch`: `python -m benches.serving.portfolio [--rows N]`.

The test rows of the default book, repeated, as CSV and as Parquet, by the winner and by each
candidate at hand, in one process with one thread. The figures are rows per second of CPU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import process_time

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benches.serving.scoring import as_shipped, raw
from service.batch import scoring
from service.decision.engine import Engine
from stages.models import artifact
from stages.models.artifact import Model

CANDIDATES = Path("models") / "candidates"


def write_files(folder: Path, model: Model, rows: int) -> tuple[Path, Path, Path]:
    """Write applications as CSV and Parquet, and a twentieth of them; return the three paths."""
    features = model.features
    some = [features.application(row) for row in features.encode(raw(model, "test"))[:rows]]
    table = pa.concat_tables([pa.Table.from_pylist(some)] * -(-rows // len(some))).slice(0, rows)
    pa.csv.write_csv(table, folder / "in.csv")
    pq.write_table(table, folder / "in.parquet")
    pq.write_table(table.slice(0, rows // 20), folder / "few.parquet")
    return folder / "in.csv", folder / "in.parquet", folder / "few.parquet"


def rate(engine: Engine, source: Path, rows: int, *, with_reasons: bool) -> float:
    """Return the rows that are scored in a second of CPU."""
    target = source.with_name("out.parquet")
    since = process_time()
    counts = scoring.score(engine, source, target, with_reasons=with_reasons)
    if counts != (rows, 0):
        raise AssertionError(f"{rows} rows should be scored, and none refused; got {counts}")
    return rows / (process_time() - since)


def main() -> None:
    """Print a table of rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    served = Engine.load()
    engines = {f"{served.model.candidate}, the winner": served}
    for path in sorted(CANDIDATES.glob("*.joblib")):
        model = as_shipped(artifact.load(path))
        engines[path.stem] = Engine(model, served.policy, served.identity)
    print("| model | CSV | Parquet | Parquet, with reasons |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        texts, table, few = write_files(Path(name), served.model, rows)
        for title, engine in engines.items():
            figures = [rate(engine, source, rows, with_reasons=False) for source in (texts, table)]
            figures.append(rate(engine, few, rows // 20, with_reasons=True))
            print(f"| {title} | " + " | ".join(f"{figure:,.0f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()

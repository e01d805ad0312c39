"""Time `evaluate` on simulated books of more and more test rows, and with more and more candidates.

    python -m benches.evaluation_time --rows 50000 500000

Six tenths of the rows are test rows. The candidates are fitted once for each book; then the stage
runs with the first of them, the first two, and so on, with the resamples that params.yaml names.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benches.pipeline import copy_project, step
from benches.serving import clock
from stages import params

TEST_SHARE = 0.6


def change(folder: Path, key: str, value: object) -> None:
    """Write another value of a key into the params.yaml of a folder."""
    path = folder / "params.yaml"
    text, count = re.subn(rf"^( *{key}:).*", rf"\1 {value}", path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"params.yaml must have `{key}` once; it has it {count} times")
    path.write_text(text)


def run(folder: Path, *words: str) -> clock.Cost:
    """Run a stage by itself."""
    return clock.run(folder, sys.executable, "-m", *words)


def prepare(folder: Path, rows: int, names: list[str]) -> int:
    """Make a book with fitted candidates; return the number of its test rows."""
    step(f"{rows:,} rows: book and candidates")
    copy_project(folder, rows, None)
    change(folder, "test_share", TEST_SHARE)
    for words in (["preprocess"], ["featurize"], *(["train", name] for name in names)):
        run(folder, f"stages.{words[0]}", *words[1:])
    return int(pq.read_metadata(folder / "data/loan_book/prepared/test.parquet").num_rows)


def lines(rows: int, names: list[str], fewest: int) -> Iterator[str]:
    """Yield a row of the table for each number of candidates, from the fewest to all."""
    with TemporaryDirectory(prefix="evaluate-") as place:
        folder = Path(place) / "project"
        tested = prepare(folder, rows, names)
        for count in range(len(names), fewest - 1, -1):
            change(folder, "candidates", f"[{', '.join(names[:count])}]")
            step(f"{rows:,} rows: {count} candidates")
            cost = run(folder, "stages.evaluate")
            yield f"| {tested:,} | {count} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak:,.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benches.evaluation_time", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 500_000])
    parser.add_argument("--fewest", type=int, default=4, help="candidates of the shortest list")
    options = parser.parse_args()
    print("| test rows | candidates | seconds | CPU seconds | peak memory, MB |")
    print("|---|---|---|---|---|")
    for rows in options.rows:
        for line in lines(rows, [*params.load().candidates], options.fewest):
            print(line, flush=True)


if __name__ == "__main__":
    main()

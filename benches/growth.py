"""Time `preprocess` and `featurize` on books of more and more rows, with their peak memory.

    python -m benches.growth 10000 100000 1000000 --engine local

The exponent is the slope of the logarithm of the CPU seconds, or of the megabytes, on that of the
rows, between the two largest books, once what a stage needs without any row is taken off: 1 is
linear.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benches.pipeline import copy_project, step
from benches.serving import clock

STAGES = ("preprocess", "featurize")
FEWEST = 1000  # rows of the book that shows what a stage needs without any
Floats = NDArray[np.float64]


def measure(rows: int, engine: str, folder: Path) -> list[clock.Cost]:
    """Return what each stage costs on a simulated book."""
    step(f"{rows:,} rows")
    copy_project(folder, rows, None)
    params = folder / "params.yaml"
    text = re.sub("^compute: .*", f"compute: {engine}", params.read_text(), flags=re.MULTILINE)
    params.write_text(text)
    return [clock.run(folder, sys.executable, "-m", f"stages.{name}") for name in STAGES]


def exponent(rows: list[int], values: Floats) -> float:
    """Return the slope of the logarithm of the values (n,) on that of the rows, at its end."""
    (few, many), (low, high) = np.log(rows[-2:]), np.log(np.maximum(values[-2:], 1e-3))
    return float((high - low) / (many - few))


def main() -> None:
    """Print a line for each stage and number of rows, then the exponents."""
    parser = argparse.ArgumentParser("python -m benches.growth", description=__doc__)
    parser.add_argument("rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--engine", choices=("local", "dask"), default="local")
    options = parser.parse_args()
    costs = {}
    for rows in [FEWEST, *options.rows]:
        with TemporaryDirectory(prefix="bench.") as place:
            costs[rows] = measure(rows, options.engine, Path(place, "book"))
        for name, cost in zip(STAGES, costs[rows], strict=True):
            print(
                f"{name:12}{rows:>12,} rows{cost.wall:9.1f} s{cost.cpu:9.1f} s of CPU"
                f"{cost.peak:9.0f} MB",
                flush=True,
            )
    for i, name in enumerate(STAGES):
        for what in ("cpu", "peak"):
            values = np.array([getattr(costs[rows][i], what) for rows in options.rows])
            rest = values - getattr(costs[FEWEST][i], what)
            power = exponent(options.rows, rest)
            print(f"{name}: {what} grows with the rows to the power {power:.2f}")


if __name__ == "__main__":
    main()

"""Time the advice of `/explain`: `python -m benches.serving.advice [--trees 600] [--cases 60]`.

Each candidate, and their blend, is fitted to a simulated book of the shipped contract, and advises
on the first test rows that it refuses. Prints the CPU time of one process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches.pipeline import say
from service.decision.advice.search import AdviceSearch
from service.decision.engine import Engine
from stages import simulate
from stages.simulation import population
from tests.support.books import ROOT, Project
from tests.support.trained.winners import crown, save_blend

ROWS = 30_000
TIMED = ("scorecard", "random_forest", "xgboost", "lightgbm", "blend")


def fit(folder: Path, trees: int) -> Project:
    """Fit every candidate, with so many trees each, and the blend."""
    contract = (ROOT / "data/loan_book/contract.yaml").read_text()
    sizes = {f"train__{name}__trees": trees for name in ("random_forest", "xgboost", "lightgbm")}
    project = Project(folder, contract, **sizes).write(simulate.book(population.draw(ROWS, 3), 3))
    project.run("preprocess", "featurize", "logistic", *TIMED[:-1])
    return save_blend(project)


def find_refused(engine: Engine, project: Project, count: int) -> list[dict[str, Any]]:
    """Return the first applications of the test rows that are not approved."""
    features = engine.features
    rows = features.encode(project.columns("test"))
    decisions = engine.score_matrix(features.matrix(rows)).decision
    return [features.application(row) for row in rows[np.flatnonzero(decisions)[:count]]]


def time_advice(engine: Engine, applications: list[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of CPU for each application; the first, unseen, makes the tables."""
    AdviceSearch(engine, applications[0]).answer("decline")
    spent = []
    for application in applications:
        since = time.process_time()
        AdviceSearch(engine, application).answer("decline")
        spent.append(1e3 * (time.process_time() - since))
    return spent


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser("python -m benches.serving.advice", description=__doc__)
    parser.add_argument("--trees", type=int, default=600)
    parser.add_argument("--cases", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = fit(Path(folder) / "fitted", options.trees)
        for name in TIMED:
            engine = Engine.load(crown(project, name, Path(folder) / name))
            spent = time_advice(engine, find_refused(engine, project, options.cases))
            median, high = np.percentile(spent, (50, 90))
            say(
                f"{name:14} median {median:4.0f} ms, 90 % within {high:4.0f} ms, {len(spent)} cases"
            )


if __name__ == "__main__":
    main()

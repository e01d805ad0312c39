"""Time the fitting calls of a run alone, on the files that a run has left: each candidate and its
folds, and the winner without its directions of risk.

    python -m benches.judging.fits

prints one JSON object: `wall` and `cpu`, the seconds in the calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

# The fitting calls import these; imported here, they do not count as fitting.
import lightgbm  # noqa: F401
import optbinning  # noqa: F401
import sklearn.linear_model  # noqa: F401
import xgboost  # noqa: F401

from stages import params
from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.judging import monotone
from stages.models import artifact, registry
from stages.models.fitting.job import Job
from stages.models.fitting.training_rows import TrainingRows


def measure_time(call: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    """Return the same call, which adds its seconds to those that were spent."""

    def call_and_time(*arguments: object) -> Any:
        wall, cpu = perf_counter(), process_time()
        result = call(*arguments)
        spent["wall"] += perf_counter() - wall
        spent["cpu"] += process_time() - cpu
        return result

    return call_and_time


def main() -> None:
    """Fit and calibrate every candidate of params.yaml; count the fitting calls."""
    config = params.load()
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    spent = {"wall": 0.0, "cpu": 0.0}
    rows = TrainingRows.read("train", contract, features, config)
    x, bad = rows.x, rows.bad
    load = registry.load
    registry.load = lambda name: replace(load(name), fit=measure_time(load(name).fit, spent))
    for name in config.candidates:
        one = Job.of(name, config.candidate(name), features, config)
        one.fit(x, bad)
        one.judge_folds(x, bad, rows.cut(config.train.folds, config.train.seed))
    monotone.price_directions(artifact.load(Path("models") / "winner.joblib"), config)
    print(json.dumps(spent))


if __name__ == "__main__":
    main()

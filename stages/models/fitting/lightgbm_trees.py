"""Fit the trees of LightGBM: as many as are asked for, or until they stop helping on other rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stages.features.matrix import Floats, Outcomes
from stages.models.scorers import LightGBM
from stages.models.task import PATIENCE, Held, Task

# Up to this many categories, splitting one against the rest is better on both shipped books.
FEW_CATEGORIES = 8


def grow(
    task: Task,
    x: Floats,
    bad: Outcomes,
    settings: dict[str, Any],
    *,
    rounds: int,
    held: Held | None = None,
) -> tuple[LightGBM, int]:
    """Return the booster fitted on the features x (n, k) and the outcomes bad (n,), and its trees.

    With `held`, no more trees are grown, up to `rounds`, than lower the log loss of those rows.
    """
    import lightgbm  # noqa: PLC0415  (the process of one candidate needs one booster)

    settings = {
        "objective": "binary",
        **settings,
        "max_cat_to_onehot": FEW_CATEGORIES,
        "monotone_constraints": task.constraints(),
        "seed": task.seed,
        "num_threads": task.threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(x, bad, categorical_feature=task.categories, params=settings)
    if held is None:
        booster, trees = lightgbm.train(settings, rows, rounds), rounds
    else:
        judged = lightgbm.Dataset(held.x, held.bad, reference=rows)
        stop: list[Callable[..., object]] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
        booster = lightgbm.train(settings, rows, rounds, valid_sets=[judged], callbacks=stop)
        trees = booster.best_iteration
    return LightGBM(without_threads(booster.model_to_string(num_iteration=trees))), trees


def without_threads(text: str) -> str:
    """Return a model's text without its number of threads, which decides nothing in the model."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))

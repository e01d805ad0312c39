"""The data of the plots that `dvc plots` and `make plots` draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.features.matrix import Floats
from stages.judging.evaluation import Judged
from stages.metrics import curves
from stages.models.artifact import Model

# Exact contributions of some hundred rows settle the order of importance, and cost by the row.
IMPORTANCE_ROWS = 500


def write(folder: Path, name: str, columns: Mapping[str, Sequence[object] | Floats]) -> None:
    """Write columns of k values each as `<name>.csv`."""
    rows = zip(*(format_cells(values) for values in columns.values()), strict=True)
    lines = [",".join(columns), *map(",".join, rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def format_cells(values: Sequence[object] | Floats) -> list[str]:
    """Format values (k,) as CSV cells, numbers with six significant digits."""
    cells = np.asarray(values)
    if cells.dtype.kind == "f":
        return [f"{v:.6g}" for v in cells.tolist()]
    return [*map(str, cells.tolist())]


def rank_features(model: Model, x: Floats) -> dict[str, Any]:
    """Return the mean |Shapley value| of each feature in log-odds, the largest first."""
    spread = np.linspace(0, len(x) - 1, min(len(x), IMPORTANCE_ROWS)).astype(np.int64)
    mean = np.abs(model.scorer.contributions(x[spread])).mean(axis=0)[:-1]
    order = np.argsort(-mean, kind="stable")
    return {"feature": [model.features.names[j] for j in order], "importance": mean[order]}


def roc_by_candidate(judged: Mapping[str, Judged]) -> dict[str, Any]:
    """Return the ROC curves of all candidates below one another, with a column `candidate`."""
    every = {name: curves.roc(rows.bad, rows.pd) for name, rows in judged.items()}
    columns = next(iter(every.values()))
    named = [name for name, curve in every.items() for _ in curve["threshold"]]
    stacked = {name: np.concatenate([curve[name] for curve in every.values()]) for name in columns}
    return {"candidate": named, **stacked}


def write_all(
    folder: Path,
    model: Model,
    x: Floats,
    rows: Judged,
    validation: Mapping[str, Judged],
    compared: Mapping[str, Mapping[str, float]],
    by_vintage: Mapping[str, Mapping[str, float]],
    by_origin: Mapping[str, Sequence[object]],
    cut_off: float,
) -> None:
    """Write every plot of the winner's test rows, x (n, F) and what was judged.

    Two plots compare the candidates on the validation rows, judged by each and summed up, and one
    by origin.
    """
    write(folder, "roc", curves.roc(rows.bad, rows.pd))
    write(folder, "roc_candidates", roc_by_candidate(validation))
    write(folder, "precision_recall", curves.precision_recall(rows.bad, rows.pd))
    write(folder, "calibration", curves.reliability(rows.bad, rows.pd))
    write(folder, "scores", curves.histogram(rows.bad, rows.pd))
    write(folder, "ks", curves.kolmogorov_smirnov(rows.bad, rows.pd))
    write(folder, "importance", rank_features(model, x))
    write(folder, "origins", by_origin)
    named = np.array(["good", "bad"])
    predicted = named[(rows.pd >= cut_off).astype(np.int64)]
    write(folder, "confusion", {"actual": named[rows.bad], "predicted": predicted})
    figures = ("roc_auc", "pr_auc", "ks", "brier", "ece")
    write(
        folder,
        "candidates",
        {"candidate": list(compared)}
        | {name: [float(summary[name]) for summary in compared.values()] for name in figures},
    )
    write(
        folder,
        "vintages",
        {"vintage": list(by_vintage) or ["all"]}
        | {
            name: [figures[name] for figures in by_vintage.values()] or [float(np.mean(values))]
            for name, values in (("bad_rate", rows.bad), ("mean_pd", rows.pd))
        },
    )

"""The figures of every candidate at every origin, from the predictions by which it was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.judging.backtest.calibration import recalibrate
from stages.judging.backtest.stability import stability_index
from stages.metrics import delong, ratio_intervals
from stages.metrics.clusters import Codes, read_codes
from stages.metrics.ranked_rows import Floats
from stages.metrics.rate_intervals import Interval, as_figure

FEWEST = 2  # good and bad loans without which no figure has an interval
Facts = dict[str, Any]


def judge(table: pd.DataFrame, names: Iterable[str]) -> Facts:
    """Return which loans each origin judged, and each candidate's figures on them by origin.

    `table` are predictions with `fold`, the number of the origin, and `pd_<candidate>`.
    """
    parts = by_origin(table)
    return {
        "origins": {number: describe(rows) for number, rows in parts.items()},
        "candidates": {
            name: {number: judge_rows(rows, name) for number, rows in parts.items()}
            for name in names
        },
    }


def by_origin(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each origin by its number, in order of time."""
    folds = table["fold"].to_numpy(np.float64)
    numbers = np.unique(folds[np.isfinite(folds)])
    return {f"{number:.0f}": table[folds == number] for number in numbers}


def describe(rows: pd.DataFrame) -> Facts:
    """Return the first and the last day of an origin's loans, their number and bad rate."""
    dates = rows["date"].dropna()
    ends = [str(day)[:10] for day in (dates.min(), dates.max())] if len(dates) else [None, None]
    return {
        "from": ends[0],
        "to": ends[1],
        "rows": len(rows),
        "bads": int(rows["bad"].sum()),
        "bad_rate": float(rows["bad"].mean()),
    }


def judge_rows(rows: pd.DataFrame, name: str) -> Facts:
    """Return a candidate's AUC, calibration slope and level with intervals, and its mean PD."""
    bad, said = rows["bad"].to_numpy(np.int64), rows[f"pd_{name}"].to_numpy(np.float64)
    auc, slope, level = figures_of(bad, said, read_codes(rows.get("cluster")))
    return {
        "roc_auc": as_figure(auc),
        "calibration_slope": as_figure(slope),
        "calibration_level": as_figure(level),
        "mean_pd": float(said.mean()),
    }


def figures_of(
    bad: NDArray[np.int64], said: Floats, cluster: Codes | None
) -> tuple[Interval, Interval, Interval]:
    """Return AUC, slope and level of PDs (n,), undefined where there are too few goods or bads."""
    if min(bad.sum(), len(bad) - bad.sum()) < FEWEST:
        return ratio_intervals.UNDEFINED, ratio_intervals.UNDEFINED, ratio_intervals.UNDEFINED
    auc = delong.auc_with_interval(bad, said, cluster)
    return auc, *recalibrate(bad, said, cluster)


def judge_stability(table: pd.DataFrame, past: pd.DataFrame, names: Iterable[str]) -> Facts:
    """Return the PSI of each candidate's PDs by origin, against those of the origin's past."""
    before, parts = by_origin(past), by_origin(table)
    return {
        name: {
            number: as_figure(
                stability_index(
                    before[number][f"pd_{name}"].to_numpy(),
                    rows[f"pd_{name}"].to_numpy(),
                    read_codes(rows.get("cluster")),
                )
            )
            for number, rows in parts.items()
        }
        for name in names
    }


def plot_columns(judged: Facts) -> dict[str, list[Any]]:
    """Return the AUC of every candidate by the first day of each origin, or by its number."""
    label = {number: facts["from"] or number for number, facts in judged["origins"].items()}
    cells = [
        (label[number], name, *figures["roc_auc"].values())
        for name, by_number in judged["candidates"].items()
        for number, figures in by_number.items()
    ]
    columns = zip(*cells, strict=True)
    names = ("origin", "candidate", "roc_auc", "low", "high")
    return {name: [*values] for name, values in zip(names, columns, strict=True)}

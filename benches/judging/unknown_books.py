"""Simulate raw loan books that the project has never seen, each hard in a way of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]


def draw_small(seed: int) -> pd.DataFrame:
    """Draw 3,000 loans with ten numbers, half of them noise, and a nearly linear risk."""
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(3000, 10)).round(3)
    odds = -1.6 + 0.7 * x[:, 0] - 0.5 * x[:, 1] + 0.4 * np.tanh(2 * x[:, 2]) + 0.3 * x[:, 3]
    odds += 0.3 * x[:, 0] * (x[:, 4] > 0)
    return with_outcome(rng, pd.DataFrame(x, columns=names(10)), odds)


def draw_imbalanced(seed: int) -> pd.DataFrame:
    """Draw 30,000 loans with 25 fields, of which 2 % go bad and a tenth of the values is lost."""
    rng = np.random.default_rng([seed, 2])
    x = rng.normal(size=(30_000, 22))
    x[:, :6] = np.exp(x[:, :6] * 0.8) * 100
    risk = -0.5 * np.log(x[:, 0]) + 0.4 * np.log(x[:, 1]) + 0.5 * x[:, 8] * x[:, 9]
    risk += 0.5 * np.maximum(x[:, 10], 0) ** 2 + 0.6 * ((x[:, 11] > 1) & (x[:, 12] < 0))
    table = pd.DataFrame(x.round(3), columns=names(22))
    for name in names(22)[::2]:
        table.loc[rng.random(len(table)) < 0.1, name] = np.nan
    for name, count in (("branch", 8), ("product", 5), ("channel", 3)):
        code = rng.integers(0, count, len(table))
        table[name] = np.array([f"{name} {i}" for i in range(count)])[code]
        risk = risk + rng.normal(0, 0.4, count)[code]
    return with_outcome(rng, table, risk - 4.6 - risk.mean())


def draw_levels(seed: int) -> pd.DataFrame:
    """Draw 12,000 loans whose risk is in codes of 60 and 25 levels and in their interplay."""
    rng = np.random.default_rng([seed, 3])
    n = 12_000
    job, region = rng.zipf(1.4, n).clip(max=60) - 1, rng.integers(0, 25, n)
    income, amount = np.exp(rng.normal(10, 0.6, n)), np.exp(rng.normal(9, 0.7, n))
    months = rng.choice([12, 24, 36, 48, 60], n)
    burden = amount / months / (income / 12)
    odds = -2.2 + rng.normal(0, 0.8, 60)[job] + rng.normal(0, 0.5, 25)[region]
    odds += 2.5 * np.minimum(burden, 1.5) + 0.5 * (region % 5 == 0) * (np.log(income) - 10)
    table = pd.DataFrame(
        {
            "job": [f"J{code:02d}" for code in job],
            "region": [f"R{code:02d}" for code in region],
            "income": income.round(0),
            "amount": amount.round(0),
            "months": months,
            "age": rng.integers(20, 75, n),
        }
    )
    return with_outcome(rng, table, odds)


def draw_dated(seed: int) -> pd.DataFrame:
    """Draw 15,000 loans of five years in which the bad rate and one slope drift."""
    rng = np.random.default_rng([seed, 4])
    n = 15_000
    day = np.sort(rng.integers(0, 5 * 365, n))
    x = rng.normal(size=(n, 12)).round(3)
    year = day / 365
    odds = -2.2 + 0.1 * year + (0.8 - 0.08 * year) * x[:, 0] - 0.6 * x[:, 1]
    odds += 0.5 * np.sin(2 * x[:, 2]) + 0.4 * x[:, 3] * x[:, 4] + 0.3 * (x[:, 5] > 0.5)
    table = pd.DataFrame(x, columns=names(12))
    table.insert(0, "granted", (np.datetime64("2018-01-01") + day).astype(str))
    return with_outcome(rng, table, odds)


def names(count: int) -> list[str]:
    """Return the names of some numeric fields."""
    return [f"measure_{i:02d}" for i in range(count)]


def with_outcome(rng: np.random.Generator, table: pd.DataFrame, odds: Floats) -> pd.DataFrame:
    """Return the table with a key and with outcomes drawn by the true log-odds."""
    bad = rng.random(len(table)) < expit(odds)
    table = table.assign(status=np.where(bad, "default", "paid"))
    table.insert(0, "loan_id", np.arange(1, len(table) + 1) + 10**6)
    return table


UNKNOWN: dict[str, Callable[[int], pd.DataFrame]] = {
    "small_noisy": draw_small,
    "imbalanced": draw_imbalanced,
    "levels": draw_levels,
    "dated": draw_dated,
}

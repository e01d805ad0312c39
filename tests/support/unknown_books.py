"""Simulate loan books of shapes that no contract describes yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def outcome(risk: NDArray[np.float64], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which loans (n,) go bad: about a share of them, more where the risk (n,) is high."""
    score = risk + rng.logistic(size=len(risk))
    return score > np.quantile(score, 1 - share)


def bureau_scores(folder: Path, rows: int = 1000) -> list[Path]:
    """Write one CSV of whole numbers with missing codes, target Good/Bad, no key and no date."""
    rng = np.random.default_rng(1)
    estimate = rng.normal(70, 10, rows).round().clip(35, 95).astype(int)
    burden = rng.integers(0, 120, rows)
    bad = outcome((70 - estimate) / 15 + burden / 60, 0.5, rng)
    frame = pd.DataFrame(
        {
            "RiskPerformance": np.where(bad, "Bad", "Good"),
            "ExternalRiskEstimate": np.where(rng.random(rows) < 0.03, -9, estimate),
            "MSinceOldestTradeOpen": np.where(
                rng.random(rows) < 0.05, rng.choice([-7, -8, -9], rows), rng.integers(6, 600, rows)
            ),
            "NumSatisfactoryTrades": rng.poisson(20, rows),
            "NetFractionRevolvingBurden": np.where(rng.random(rows) < 0.02, -8, burden),
        }
    )
    frame.to_csv(folder / "heloc.csv", index=False)
    return [folder / "heloc.csv"]


def coded_categories(folder: Path, rows: int = 1000) -> list[Path]:
    """Write one CSV of coded categories, target 1/2, with an index column, typos and blanks."""
    rng = np.random.default_rng(2)
    status = rng.choice(["A11", "A12", "A13", "A14"], rows, p=[0.3, 0.25, 0.1, 0.35])
    duration = rng.choice([6, 12, 18, 24, 36, 48], rows)
    purpose = rng.choice(["car", "radio", "furniture", "business"], rows)
    purpose[:3] = "furnitrue"
    bad = outcome(1.5 * (status == "A11") + duration / 30, 0.3, rng)
    frame = pd.DataFrame(
        {
            "checking status": status,
            "duration": duration,
            "purpose": purpose,
            "credit_amount": rng.lognormal(8, 0.7, rows).round().astype(int),
            "housing_code": rng.choice([1, 2, 3], rows),
            "personal_status_sex": rng.choice(["A91", "A92", "A93"], rows),
            "age": rng.integers(19, 75, rows),
            "telephone": np.where(rng.random(rows) < 0.4, "yes", "none"),
            "savings": rng.choice(["A61", "A62", "?", "NA", ""], rows),
            "foreign worker": rng.choice(["A201", "A202"], rows, p=[0.96, 0.04]),
            "country": "DE",
            "class": np.where(bad, 2, 1),
        }
    )
    frame.to_csv(folder / "german.csv")
    return [folder / "german.csv"]


def two_tables(folder: Path, rows: int = 2000) -> list[Path]:
    """Write two Parquet files with dates, booleans and gaps, target Charged Off / Fully Paid."""
    rng = np.random.default_rng(3)
    member, people = rng.integers(0, 1500, rows), 1500
    income = rng.lognormal(10.5, 0.5, people).round(2)
    amount = rng.lognormal(9, 0.6, rows).round(2)
    bad = outcome(4 * amount / income[member], 0.15, rng)
    issued = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 1000, rows), unit="D")
    loans = pd.DataFrame(
        {
            "id": np.arange(rows) + 70_000,
            "member_id": [f"M{m:05d}" for m in member],
            "issue_date": issued,
            "last_pymnt_date": issued + pd.to_timedelta(rng.integers(30, 900, rows), unit="D"),
            "loan_amount": np.where(rng.random(rows) < 0.02, np.nan, amount),
            "term": rng.choice([" 36 months", " 60 months"], rows),
            "verified": pd.array(rng.choice([True, False, None], rows), dtype="boolean"),
            "grade": rng.choice(list("ABCD"), rows),
            "recoveries": np.where(bad, (amount / 3).round(2), 0.0),
            "description": [f"loan {i} of mine" for i in range(rows)],
            "loan_status": np.where(bad, "Charged Off", "Fully Paid"),
        }
    )
    members = pd.DataFrame(
        {
            "member_id": [f"M{m:05d}" for m in range(people)],
            "annual_inc": income,
            "birth_date": pd.Timestamp("1980-01-01")
            + pd.to_timedelta(rng.integers(-9000, 6000, people), unit="D"),
            "gender": rng.choice(["f", "m"], people),
            "home_ownership": rng.choice(["RENT", "OWN", "MORTGAGE"], people),
            "zip_code": rng.integers(10_000, 99_999, people),
        }
    )
    paths = [folder / "members.parquet", folder / "loans.parquet"]
    members.to_parquet(paths[0], index=False)
    loans.to_parquet(paths[1], index=False)
    return paths

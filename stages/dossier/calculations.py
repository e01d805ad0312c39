"""Figures that no other stage states, from the predictions of the winner and the features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from stages.contract.schema import Contract, Mode
from stages.dossier import grade_tests
from stages.metrics import clusters, delong, ratio_intervals
from stages.metrics.clusters import read_codes
from stages.metrics.rate_intervals import as_figure, share_interval

DIGITS = 6
FEWEST = 2  # good and bad loans without which an AUC has no interval
Facts = dict[str, Any]


def judge_rows(rows: pd.DataFrame) -> Facts:
    """Return how PDs and decisions of some rows agree with their outcomes, with 95 % intervals."""
    bads, count = int(rows["bad"].sum()), len(rows)
    is_approved = (rows["decision"] == "approve").to_numpy()
    approved = float(is_approved.mean())
    share, cluster = independent_share(rows), read_codes(rows.get("cluster"))
    bad = grade_tests.jeffreys_interval(share * bads, share * count)
    approval = share_interval(is_approved, np.ones(count), cluster)
    facts: Facts = {
        "rows": count,
        "bads": bads,
        "bad_rate": {"value": bads / count, "low": bad.low, "high": bad.high},
        "mean_pd": float(rows["pd"].mean()),
        "approval_rate": {"value": approved, "low": approval.low, "high": approval.high},
        "roc_auc": auc_with_interval(rows),
    }
    facts["mean_pd_within"] = bad.low <= facts["mean_pd"] <= bad.high
    return facts


def auc_with_interval(rows: pd.DataFrame) -> Facts | None:
    """Return the ROC-AUC of some rows with its 95 % interval (DeLong et al. 1988)."""
    bad = rows["bad"].to_numpy()
    if min(bad.sum(), len(bad) - bad.sum()) < FEWEST:
        return None
    cluster = read_codes(rows.get("cluster"))
    return as_figure(delong.auc_with_interval(bad, rows["pd"].to_numpy(), cluster))


def independent_share(rows: pd.DataFrame) -> float:
    """Return the share of an independent loan, at most 1, that one of these loans is worth."""
    codes = read_codes(rows.get("cluster"))
    return clusters.share_of_independent_rows(rows["bad"].to_numpy(np.float64), codes)


def judge_parts(rows: pd.DataFrame, labels: pd.Series[Any], minimum: int) -> dict[str, Facts]:
    """Return `judge_rows` of each part of at least `minimum` rows, by its label."""
    parts = rows.groupby(labels.to_numpy(), sort=True)
    return {str(label): judge_rows(part) for label, part in parts if len(part) >= minimum}


def judge_vintages(rows: pd.DataFrame, minimum: int) -> dict[str, Facts]:
    """Return `judge_rows` of each quarter of disbursal; {} where the loans have no dates."""
    dates = pd.to_datetime(rows["date"])
    if dates.isna().all():
        return {}
    quarters = dates.dt.year.astype(str) + "-Q" + dates.dt.quarter.astype(str)
    return judge_parts(rows, quarters, minimum)


def judge_segments(
    rows: pd.DataFrame, contract: Contract, data: Path, mode: Mode, minimum: int
) -> dict[str, dict[str, Facts]]:
    """Return `judge_rows` of each category of the fields that the model reads, by field."""
    fields = [f for f in contract.feature_fields(mode) if f.codes and not f.protected]
    path = data / "prepared" / "test.parquet"
    names = [field.name for field in fields if field.name in pq.read_schema(path).names]
    table = pd.read_parquet(path, columns=["_row", *names]).set_index("_row").loc[rows["row"]]
    judged = {name: judge_parts(rows, table[name].astype("str"), minimum) for name in names}
    return {name: parts for name, parts in judged.items() if len(parts) > 1}


def judge_grades(rows: pd.DataFrame, ratings: dict[str, float]) -> Facts:
    """Test the PD of each rating grade by its loans, and of all grades at once.

    A grade holds the PDs from the bound of the grade before it up to its own.
    """
    place = np.searchsorted(list(ratings.values()), rows["pd"], side="right")
    grades, shares = [], []
    for index, (name, bound) in enumerate(ratings.items()):
        part = rows[np.minimum(place, len(ratings) - 1) == index]
        if len(part):
            grades.append({"grade": name, "pd_below": bound, **judge_grade(part)})
            shares.append(independent_share(part))
    tested = [
        (share * grade["bads"], share * grade["rows"], grade["mean_pd"])
        for grade, share in zip(grades, shares, strict=True)
        if 0 < grade["mean_pd"] < 1
    ]
    all_at_once = grade_tests.hosmer_lemeshow(*np.array(tested).reshape(-1, 3).T)
    rates = [g["bad_rate"]["value"] for g in grades]
    return {
        "grades": grades,
        "hosmer_lemeshow": all_at_once._asdict(),
        "bad_rates_rise": rates == sorted(rates),
        "largest_share": max(grade["rows"] for grade in grades) / len(rows),
        "lights": {
            light: sum(grade["light"] == light for grade in grades)
            for light in ("green", "yellow", "red")
        },
    }


def judge_grade(part: pd.DataFrame) -> Facts:
    """Return the loans of a grade, and the tests of their mean PD."""
    bads, count, mean = int(part["bad"].sum()), len(part), float(part["pd"].mean())
    share = independent_share(part)
    alone = share * bads, share * count
    ends = grade_tests.jeffreys_interval(*alone)
    return {
        "rows": count,
        "bads": bads,
        "mean_pd": mean,
        "bad_rate": {"value": bads / count, "low": ends.low, "high": ends.high},
        "binomial": grade_tests.binomial(*alone, mean),
        "jeffreys": grade_tests.jeffreys(*alone, mean),
        "light": grade_tests.traffic_light(*alone, mean),
    }


def compare_approval(rows: pd.DataFrame, groups: pd.Series[Any], minimum: int) -> dict[str, Facts]:
    """Return each group's approval rate over that of the group approved most, with its interval.

    The interval is that of a ratio of two rates on the log scale (Katz et al. 1978).
    """
    names = groups.to_numpy().astype(str)
    approved, cluster = (rows["decision"] == "approve").to_numpy(), read_codes(rows.get("cluster"))
    inside = {str(name): names == name for name in np.unique(names)}
    rates = {n: float(approved[i].mean()) for n, i in inside.items() if i.sum() >= minimum}
    best = max(rates, key=rates.__getitem__, default="")
    if len(rates) < FEWEST or rates[best] == 0:
        return {}
    stated: dict[str, Facts] = {}
    for name, rate in rates.items():
        ratio: Facts = {"value": 1.0, "low": 1.0, "high": 1.0}
        if rate == 0:
            ratio = {"value": 0.0, "low": 0.0, "high": None}
        elif name != best:
            pair = inside[name], inside[best]
            value, low, high = ratio_intervals.quotient_of_rates(approved, *pair, cluster)
            ratio = {"value": value, "low": low, "high": high}
        stated[name] = {"ratio": ratio, "most_approved": name == best}
    return stated


def judge_origins(rows: pd.DataFrame) -> list[Facts]:
    """Return how the PDs of each fold agree with its outcomes: no model saw the fold it judged."""
    origins = []
    folds = rows["fold"].to_numpy(np.float64)
    for fold in np.unique(folds[np.isfinite(folds)]):
        part = rows[folds == fold]
        dates = part["date"].dropna()
        ends = [str(d)[:10] for d in (dates.min(), dates.max())] if len(dates) else [None, None]
        origins.append({"fold": int(fold), "from": ends[0], "to": ends[1], **judge_rows(part)})
    return origins


def rank_information(fitted: dict[str, Any], limit: float | None) -> list[Facts]:
    """Return the features by information value, the strongest first, and which exceed the limit."""
    values = zip(fitted["names"], fitted["iv"], strict=True)
    ranked = sorted(values, key=lambda pair: -pair[1])
    return [
        {"feature": name, "iv": iv, "suspect": limit is not None and iv > limit}
        for name, iv in ranked
    ]


def round_facts(facts: object) -> Any:
    """Return facts with six decimals, and None for what is no finite number."""
    if isinstance(facts, dict):
        return {str(key): round_facts(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [round_facts(value) for value in facts]
    if isinstance(facts, bool | np.bool_):
        return bool(facts)
    if isinstance(facts, float):
        return round(float(facts), DIGITS) if math.isfinite(facts) else None
    return facts


def group_columns(rows: pd.DataFrame) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield the name and the groups (n,) of each protected attribute."""
    for column in rows.columns:
        if column.startswith("group_"):
            yield column.removeprefix("group_"), rows[column]

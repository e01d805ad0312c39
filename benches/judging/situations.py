"""Simulate small loan books with the troubles of real ones, and with their truth.

A situation draws a raw table with its contract, and fresh loans of the same population with their
true PDs. The fresh loans say what a figure of the model would be if the test part were very large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Contract = dict[str, Any]

ROWS = 5000
FRESH = 40_000
CUSTOMERS = 1250
NUMBERS = ("income", "age", "debt", "history")
AREAS = ("north", "east", "south", "west")
MONTHS = 12
CODES = {-7: "no account", -9: "no record"}
CODE_PDS = {-7: 0.02, -9: 0.4}
RANKS = ("roc_auc", "calibration_slope", "bad_rate")


@dataclass(frozen=True)
class Book:
    """A raw table with its contract, and fresh loans as a model takes them, with their true PDs."""

    raw: pd.DataFrame
    contract: Contract
    fresh: pd.DataFrame
    true_pd: Floats
    true_iv: dict[str, float] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)  # of the section of each candidate


@dataclass(frozen=True)
class Situation:
    """A trouble of loan books, and the metrics that it distorts.

    Attributes
    ----------
    draw : returns the book of a seed.
    figures : the metrics of the test part that the situation distorts.
    candidates : the candidates that compete.
    warns : whether the pipeline cannot know the truth from this contract, and has to warn.
    """

    title: str
    draw: Callable[[int], Book]
    figures: tuple[str, ...] = RANKS
    candidates: tuple[str, ...] = ("logistic", "xgboost")
    warns: bool = False


def expit(odds: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def contract_of(**changes: object) -> Contract:
    """Return the contract of the plain book, with some keys changed."""
    numbers: Contract = {name: {"type": "number"} for name in NUMBERS}
    numbers["area"] = {"type": "string", "constraints": {"enum": list(AREAS)}}
    return {
        "title": "Simulated book",
        "tables": {"loans": {"path": "loans.csv", "key": "loan"}},
        "target": {"field": "status", "bad": "bad", "good": "good"},
        "fields": numbers,
    } | changes


def applications(rng: np.random.Generator, rows: int) -> tuple[pd.DataFrame, Floats]:
    """Return applications and their true log-odds, which no straight line can follow."""
    values = rng.normal(size=(rows, len(NUMBERS))).round(3)
    area = rng.integers(0, len(AREAS), rows)
    odds = -2.1 - 0.8 * values[:, 0] + 0.6 * values[:, 2] * (values[:, 1] > 0) + 0.5 * (area == 1)
    table = pd.DataFrame(dict(zip(NUMBERS, values.T, strict=True)))
    return table.assign(area=np.array(AREAS)[area]), odds


def add_outcomes(rng: np.random.Generator, table: pd.DataFrame, true_pd: Floats) -> pd.DataFrame:
    """Return the table with the key and the outcome of each loan."""
    status = np.where(rng.random(len(table)) < true_pd, "bad", "good")
    return table.assign(loan=np.arange(len(table)), status=status)


def clean(seed: int, **changes: object) -> Book:
    """Draw a book without any trouble."""
    rng = np.random.default_rng(seed)
    table, odds = applications(rng, ROWS)
    fresh, fresh_odds = applications(rng, FRESH)
    raw = add_outcomes(rng, table, expit(odds))
    return Book(raw, contract_of(), fresh, expit(fresh_odds), changes=changes)


def copies(share: float) -> Callable[[int], Book]:
    """Return the draw of a book in which a share of the rows repeat an application with its end."""

    def draw(seed: int) -> Book:
        book, rng = clean(seed), np.random.default_rng([seed, 1])
        first = book.raw.iloc[: round(ROWS * (1 - share))]
        again = first.iloc[rng.integers(0, len(first), ROWS - len(first))]
        raw = pd.concat([first, again]).sample(frac=1, random_state=seed)
        return Book(raw.assign(loan=np.arange(ROWS)), book.contract, book.fresh, book.true_pd)

    return draw


def dated_copies(share: float) -> Callable[[int], Book]:
    """Return the draw of a book with dates in which a share of the rows repeat an application.

    A customer who was granted a loan asks again within a year, with the same fields and end.
    """

    def draw(seed: int) -> Book:
        book, rng = copies(share)(seed), np.random.default_rng([seed, 2])
        raw = book.raw.sort_values("loan").reset_index(drop=True)
        again = raw.duplicated([*NUMBERS, "area"]).to_numpy()
        first = raw.groupby([*NUMBERS, "area"], sort=False).ngroup().to_numpy()
        day = rng.integers(0, 4 * 365, first.max() + 1)[first]
        day = day + again * rng.integers(1, 366, ROWS)
        raw = raw.assign(granted=np.datetime64("2019-01-01") + day)
        return Book(raw, contract_of(date="granted"), book.fresh, book.true_pd)

    return draw


def customers(seed: int) -> Book:
    """Draw four loans of each customer, whose risk is in no field but who can be recognised."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(CUSTOMERS), 4)

    def loans(rows: int, customer: NDArray[np.int64]) -> tuple[pd.DataFrame, Floats]:
        table, odds = applications(rng, rows)
        people = int(customer.max()) + 1
        table["age"] = rng.normal(size=people).round(4)[customer]
        odds = -2.5 - 0.8 * table["income"].to_numpy() + rng.normal(0, 1.5, people)[customer]
        return table, odds

    table, odds = loans(len(person), person)
    fresh, fresh_odds = loans(FRESH, np.arange(FRESH))
    raw = add_outcomes(rng, table.assign(person=person), expit(odds))
    return Book(raw, contract_of(entity="person"), fresh, expit(fresh_odds))


def unripe(with_outcome: bool) -> Callable[[int], Book]:
    """Return the draw of a book whose newest loans had no time to go bad."""

    def draw(seed: int) -> Book:
        book, rng = clean(seed), np.random.default_rng([seed, 1])
        day = np.datetime64("2019-01-01") + np.sort(rng.integers(0, 4 * 365, ROWS))
        default = day + rng.integers(1, 366, ROWS)
        seen = (book.raw["status"] == "bad").to_numpy() & (default <= np.datetime64("2022-12-31"))
        raw = book.raw.assign(
            granted=day,
            defaulted=np.where(seen, default.astype(str), ""),
            status=np.where(seen, "bad", "good"),
        )
        window = {"months": MONTHS, "observed_until": "2022-12-31", "event": "defaulted"}
        changes = {"outcome": window} if with_outcome else {}
        return Book(raw, contract_of(date="granted", **changes), book.fresh, book.true_pd)

    return draw


def meanings(seed: int) -> Book:
    """Draw a book in which one missing code means a low risk and another a high one."""
    book, rng = clean(seed), np.random.default_rng([seed, 1])
    fields = book.contract["fields"] | {"lines": {"type": "integer", "missingValues": CODES}}

    def with_lines(table: pd.DataFrame, odds: Floats) -> tuple[pd.DataFrame, Floats]:
        lines = rng.choice([-7, -9, 1, 2, 3, 4], len(table), p=[0.2, 0.2, 0.15, 0.15, 0.15, 0.15])
        true_pd = np.select([lines == code for code in CODES], list(CODE_PDS.values()), expit(odds))
        return table.assign(lines=lines), true_pd

    table, true_pd = with_lines(*applications(rng, ROWS))
    fresh, fresh_pd = with_lines(*applications(rng, FRESH))
    codes = {code: place for place, code in enumerate(CODES, start=1)}
    fresh["lines__missing"] = fresh["lines"].map(codes).fillna(0).astype(np.int8)
    fresh["lines"] = fresh["lines"].where(fresh["lines"] > 0)
    return Book(add_outcomes(rng, table, true_pd), contract_of(fields=fields), fresh, fresh_pd)


def levels(count: int) -> Callable[[int], Book]:
    """Return the draw of a book with a category of pure noise and one that says much."""

    def draw(seed: int) -> Book:
        rng = np.random.default_rng(seed)
        names = np.array([f"level {i}" for i in range(count)])
        effect = rng.permutation(np.linspace(-1.7, 1.7, count))
        field = {"type": "string", "constraints": {"enum": names.tolist()}}

        def loans(rows: int) -> tuple[pd.DataFrame, Floats]:
            table, odds = applications(rng, rows)
            signal = rng.integers(0, count, rows)
            table["noise"] = names[rng.integers(0, count, rows)]
            return table.assign(signal=names[signal]), odds + effect[signal]

        table, odds = loans(ROWS)
        fresh, fresh_odds = loans(FRESH)
        fields = contract_of()["fields"] | {"noise": field, "signal": field}
        true_pd = expit(fresh_odds)
        ivs = {"noise": 0.0, "signal": information_value(fresh["signal"], true_pd)}
        raw = add_outcomes(rng, table, expit(odds))
        return Book(raw, contract_of(fields=fields), fresh, true_pd, ivs)

    return draw


def information_value(level: pd.Series, true_pd: Floats) -> float:
    """Return the information value of a category, from the true PDs of very many loans."""
    code = level.astype("category").cat.codes
    bad, good = np.bincount(code, weights=true_pd), np.bincount(code, weights=1 - true_pd)
    bad, good = bad / bad.sum(), good / good.sum()
    return float((bad - good) @ np.log(bad / good))


def leak(seed: int) -> Book:
    """Draw a book with a field that gives the outcome away, and is marked as known afterwards."""
    book, rng = clean(seed), np.random.default_rng([seed, 1])
    arrears = (book.raw["status"] == "bad") * rng.uniform(1, 9, ROWS).round(2)
    fields = book.contract["fields"] | {"arrears": {"type": "number", "known_at": "outcome"}}
    raw = book.raw.assign(arrears=arrears)
    return Book(raw, contract_of(fields=fields), book.fresh, book.true_pd)


def with_resampling(balance: str) -> Callable[[int], Book]:
    """Return the draw of a clean book whose candidates learn from resampled rows."""
    return lambda seed: clean(seed, balance=balance, calibration="none")


SITUATIONS = (
    Situation("clean book", clean, (*RANKS, "mean_pd", "ks", "ece", "brier")),
    *(
        Situation(f"{share:.0%} copies", copies(share), (*RANKS, "ece"))
        for share in (0.1, 0.2, 0.4)
    ),
    *(
        Situation(f"{share:.0%} copies, with dates", dated_copies(share), (*RANKS, "ece"))
        for share in (0.0, 0.1, 0.2, 0.4)
    ),
    Situation("four loans a customer", customers, (*RANKS, "ece")),
    Situation("unripe, with outcome", unripe(True), (*RANKS, "calibration_intercept")),
    Situation("unripe, without", unripe(False), ("bad_rate", "calibration_intercept"), warns=True),
    Situation("missing meanings", meanings, ("roc_auc", "ece", "PD of -7", "PD of -9")),
    *(
        Situation(
            f"{count} levels",
            levels(count),
            ("roc_auc", "calibration_slope", "IV noise", "IV signal"),
        )
        for count in (12, 30, 50)
    ),
    Situation("leak, marked", leak),
    *(
        Situation(
            f"{name}, not calibrated",
            with_resampling(name),
            ("mean_pd", "calibration_intercept", "ece"),
            candidates=("logistic",),
        )
        for name in ("undersample", "smote")
    ),
)

"""Make small raw loan books, and run the stages on them in a separate folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from hypothesis import strategies as st

from stages import evaluate, featurize, params, preprocess, search, train
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.contract.fields.field import Field
from stages.contract.schema import Contract, Mode
from stages.dossier import __main__ as dossier

ROOT = Path(__file__).parents[2]
CANDIDATES = ("logistic", "scorecard", "random_forest", "xgboost", "lightgbm")
SEPARATE = ("glass_box",)  # not listed by default
VERBS = {
    "preprocess": preprocess,
    "featurize": featurize,
    "evaluate": evaluate,
    "dossier": dossier,
}
Tables = dict[str, pd.DataFrame]

CONTRACT = """
title: Small book
tables:
  loans: {path: loans.csv, key: loan}
  people: {path: people.csv, key: person, join: person}
target: {field: outcome, bad: [defaulted, sold], good: repaid}
date: granted
fields:
  amount:
    type: number
    risk: increasing
    constraints: {minimum: 100, maximum: 50000, required: true}
  months: {type: integer, constraints: {minimum: 1, maximum: 120}, missingValues: [-9]}
  purpose:
    type: string
    constraints: {enum: [car, home, other], required: true}
    repair: {hoem: home}
  insured: {type: boolean, trueValues: ['Y'], falseValues: ['N']}
  grade:
    type: string
    known_at: pricing
    ordered: true
    risk: increasing
    constraints: {enum: [A, B, C]}
  income: {type: number, table: people, constraints: {minimum: 0, maximum: 1000000}}
  branch: {type: integer, table: people, constraints: {enum: [10, 20, 30]}}
  sex: {type: string, table: people, protected: true, constraints: {enum: [F, M]}}
  arrears: {type: number, known_at: outcome}
  closed: {type: date, known_at: outcome}
derived:
  loan_to_income: {formula: amount / income, when_empty: 9, stated_as: stated, risk: increasing}
checks:
  pace: {rule: arrears <= 2 * amount, message: More in arrears than twice the loan}
"""


MEANINGS = CONTRACT.replace(
    "missingValues: [-9]}", "missingValues: {-7: no loan so far, -9: no record}}"
)


HISTORY = CONTRACT.replace(
    "fields:\n",
    """history:
  payments:
    path: payments.csv
    key: person
    join: person
    date: paid_on
    title: Payments
    max_lines: 50
    fields:
      paid_on: {type: date}
      late: {type: integer, title: Days late, constraints: {minimum: 0, maximum: 999}}
      status: {type: string, constraints: {enum: [open, closed]}}
aggregates:
  payments_12m: {of: payments, take: count, within: 12 months, title: Payments of a year}
  most_late:
    of: payments
    take: max
    field: late
    where: "status == 'open'"
    when_empty: 0
    title: Longest delay
    unit: days
    risk: increasing
    reason: {high: A payment was late for long, quote: true}
  last_late: {of: payments, take: last, field: late}
fields:
""",
    1,
).replace(
    "derived:\n", "derived:\n  late_each: {formula: most_late / payments_12m, when_empty: 0}\n", 1
)


def book(rows: int = 600, seed: int = 1) -> Tables:
    """Return clean raw tables as text, with about 20 % bad loans that the features explain."""
    rng = np.random.default_rng(seed)
    amount, income = rng.integers(1_000, 20_000, rows), rng.integers(10_000, 90_000, rows)
    purpose, sex = rng.choice(["car", "home", "other"], rows), rng.choice(["F", "M"], rows)
    months, insured = rng.integers(6, 61, rows), rng.random(rows) < 0.4
    branch, wait = rng.choice(["10", "20", "30"], rows), rng.integers(100, 900, rows)
    odds = 5 * amount / income + (purpose == "other") - 0.8 * insured + 0.5 * (branch == "30") - 3.2
    bad = rng.random(rows) < 1 / (1 + np.exp(-odds))
    granted = np.datetime64("2020-01-01") + np.sort(rng.integers(0, 1000, rows))
    loans = {
        "loan": np.arange(rows),
        "person": rng.permutation(rows),
        "amount": amount,
        "months": np.where(rng.random(rows) < 0.05, "", months.astype(str)),
        "purpose": purpose,
        "insured": np.where(insured, "Y", "N"),
        "grade": np.array(["A", "B", "C"])[np.clip(np.round(odds / 2 + 1.4), 0, 2).astype(int)],
        "stated": np.round(amount / income, 4),
        "granted": granted,
        "arrears": np.where(bad, amount // 2, 0),
        "closed": granted + wait,
        "outcome": np.where(bad, rng.choice(["defaulted", "sold"], rows), "repaid"),
    }
    people = {"person": loans["person"], "income": income, "branch": branch, "sex": sex}
    tables = {"loans": pd.DataFrame(loans), "people": pd.DataFrame(people)}
    return {name: table.astype(str).astype(object) for name, table in tables.items()}


def with_payments(later: bool, rows: int = 600) -> Tables:
    """The small book with payments, whose delays are high for bad loans; and later ones planted."""
    rng = np.random.default_rng(11)
    tables = book(rows)
    loans = tables["loans"]
    bad = (loans["outcome"] != "repaid").to_numpy()
    count = rng.integers(0, 8, rows)
    owner = np.repeat(np.arange(rows), count)
    granted = loans["granted"].to_numpy().astype("datetime64[D]")[owner]
    lines = pd.DataFrame(
        {
            "person": loans["person"].to_numpy()[owner],
            "paid_on": granted - rng.integers(1, 900, len(owner)).astype("timedelta64[D]"),
            "late": rng.poisson(np.where(bad[owner], 30, 4)),
            "status": rng.choice(["open", "closed"], len(owner)),
        }
    )
    if later:
        after = lines.assign(paid_on=granted + (np.arange(len(owner)) % 3), late=998, status="open")
        lines = pd.concat([after, lines.sample(frac=1, random_state=2)])
    broken = lines.head(1).assign(late=5000)
    return tables | {"payments": pd.concat([lines, broken]).astype(str).astype(object)}


def contract(text: str = CONTRACT) -> Contract:
    """Return the contract of the small book."""
    return contracts.read(text)


def settings(**changes: Any) -> dict[str, Any]:
    """Return the repository's params.yaml for a small book, with changes as `train__folds=2`."""
    config: dict[str, Any] = yaml.load((ROOT / "params.yaml").read_text(), yaml.CSafeLoader)
    config |= {"dataset": "small", "threads": 1, "candidates": list(CANDIDATES)}
    small = {"trees": 20}
    for section in config["train"].values():
        if isinstance(section, dict):
            section |= {key: value for key, value in small.items() if key in section}
    config["evaluate"] |= {"resamples": 100, "min_group": 20, "golden": 10}
    config["policy"]["rules"] = []
    config["search"] |= {"trials": 2, "folds": 2, "found": {"small": {}}}
    for name, value in changes.items():
        *above, key = name.split("__")
        section = config
        for part in above:
            section = section[part]
        section[key] = value
    return config


class Project:
    """A folder with params.yaml and one dataset, in which stages run."""

    def __init__(self, folder: Path, text: str = CONTRACT, **changes: Any) -> None:
        self.folder, self.data = folder, folder / "data" / "small"
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "contract.yaml").write_text(text)
        self.set(**changes)

    def set(self, **changes: Any) -> Project:
        """Write params.yaml anew."""
        text = yaml.dump(settings(**changes), Dumper=yaml.CSafeDumper)
        (self.folder / "params.yaml").write_text(text)
        return self

    def write(self, tables: Tables) -> Project:
        """Write raw tables."""
        (self.data / "raw").mkdir(exist_ok=True)
        for name, table in tables.items():
            table.to_csv(self.data / "raw" / f"{name}.csv", index=False)
        return self

    def run(self, *verbs: str) -> Project:
        """Run stages in this process: VERBS, `search`, or `train` by a candidate's name."""
        with contextlib.chdir(self.folder):
            for verb in verbs:
                if verb in (*CANDIDATES, *SEPARATE):
                    train.main(verb)
                elif verb == "search":
                    for name in params.load().candidates:
                        search.main(name)
                else:
                    VERBS[verb].main()
        return self

    @property
    def config(self) -> params.Params:
        """The checked parameters."""
        return params.load(self.folder / "params.yaml")

    def artifact(self, candidate: str) -> Path:
        """Return the path to which a candidate is written."""
        return self.folder / "models" / "candidates" / f"{candidate}.joblib"

    def split(self, name: str) -> pd.DataFrame:
        """Return the prepared rows of a split."""
        return pd.read_parquet(self.data / "prepared" / f"{name}.parquet")

    def columns(self, name: str, mode: Mode = "application") -> dict[str, Any]:
        """Return the raw columns of a split by name, as a model takes them."""
        rows = prepared.read(self.data / "prepared" / f"{name}.parquet")
        fields = contracts.read((self.data / "contract.yaml").read_text()).inputs(mode)
        return prepared.columns(rows, fields)

    def files(self) -> dict[str, bytes]:
        """Return the bytes of every output of the stages so far, by path."""
        return dict(self._files())

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.folder.rglob("*")):
            inputs = ("raw", "contract.yaml", "params.yaml")
            if path.is_file() and not any(part in inputs for part in path.parts):
                yield str(path.relative_to(self.folder)), path.read_bytes()


def values(field: Field) -> st.SearchStrategy[Any]:
    """Return a strategy for the raw values of a field, with None and missing codes."""
    if field.missing_codes:
        return present(field) | st.sampled_from([*field.missing_codes])
    return present(field)


def present(field: Field) -> st.SearchStrategy[Any]:
    """Return a strategy for the raw values of a field, with None but no missing code."""
    if field.codes:
        return st.sampled_from([*field.codes, None])
    low, high = field.constraints.minimum, field.constraints.maximum
    far = 1e3 if field.type == "integer" else 1e6
    low = -far if low is None else low
    high = max(far, low) if high is None else high
    if field.type == "integer":
        return st.none() | st.integers(int(low), int(high))
    return st.none() | st.floats(low, high) | st.just(low)


def applications(contract: Contract, mode: Mode = "application") -> st.SearchStrategy[Any]:
    """Return a strategy for raw applications of a contract, in which fields may be absent."""
    every = {f.name: values(f) for f in contract.inputs(mode)}
    return st.fixed_dictionaries({}, optional=every)

"""Raw tables of a Czech bank to a decision with the account's transactions, by contract alone.

The data (PKDD 1999, `loan.asc`, `account.asc`, `district.asc`, `trans.asc`) is no part of the
repository: the folder beside it, or `BERKA`, holds it where this test runs.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from stages.judging.rows import Rows
from tests.support.books import ROOT, Project

BERKA = Path(os.environ.get("BERKA", ROOT.parent / "shared" / "data" / "berka"))
CONTRACT = """
title: Loans of a Czech bank
tables:
  loans: {path: loan.asc, key: loan_id, dialect: {delimiter: ;}}
  accounts: {path: account.asc, key: account_id, join: account_id, dialect: {delimiter: ;}}
  districts: {path: district.asc, key: A1, join: accounts.district_id, dialect: {delimiter: ;}}
target: {field: status, bad: [B, D], good: [A, C]}
date: granted
history:
  transactions:
    path: trans.asc
    key: account_id
    join: account_id
    date: day
    title: Transactions of the account
    max_lines: 2000
    dialect: {delimiter: ;}
    fields:
      day: {column: date, type: date, format: '%y%m%d', example: '1994-02-01'}
      direction:
        column: type
        type: string
        repair: {VYBER: VYDAJ}
        constraints: {enum: [PRIJEM, VYDAJ], required: true}
      amount: {type: number, constraints: {minimum: 0, required: true}}
      balance: {type: number}
      purpose:
        column: k_symbol
        type: string
        other: other
        constraints: {enum: [UROK, SIPO, SANKC. UROK, DUCHOD, other]}
fields:
  granted: {column: date, type: date, format: '%y%m%d'}
  opened: {table: accounts, column: date, type: date, format: '%y%m%d'}
  amount: {type: number, constraints: {minimum: 0, required: true}}
  duration: {type: integer, unit: months, constraints: {minimum: 1, maximum: 120, required: true}}
  payments: {type: number, constraints: {minimum: 0, required: true}}
  average_salary: {table: districts, column: A11, type: number}
  unemployment: {table: districts, column: A13, type: number}
aggregates:
  transactions_12m: {of: transactions, take: count, within: 12 months}
  income_3m:
    {of: transactions, take: sum, field: amount, within: 3 months, where: "direction == 'PRIJEM'"}
  lowest_balance: {of: transactions, take: min, field: balance, within: 6 months}
  last_balance: {of: transactions, take: last, field: balance}
  balance_trend: {of: transactions, take: trend, field: balance}
  penalties: {of: transactions, take: count, where: "purpose == 'SANKC. UROK'"}
  has_pension: {of: transactions, take: share, where: "purpose == 'DUCHOD'", when_empty: 0}
  quiet_months: {of: transactions, take: months_since}
derived:
  account_age: {formula: "months_between(opened, granted)", unit: months}
  burden: {formula: "payments / max(income_3m / 3, 1)", title: Instalment to income}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The bank's raw tables up to a winner."""
    if not BERKA.is_dir():
        pytest.skip(f"{BERKA} is not there: put the raw .asc tables in it, or name it by BERKA")
    project = Project(
        tmp_path_factory.mktemp("berka"),
        CONTRACT,
        candidates=["lightgbm"],
        evaluate__min_group=10,
    )
    raw = project.data / "raw"
    raw.mkdir()
    for name in ("loan", "account", "district", "trans"):
        content = (BERKA / f"{name}.asc").read_bytes()
        # A copy of `trans` that was cut after some bytes ends within a line.
        (raw / f"{name}.asc").write_bytes(content[: content.rindex(b"\n") + 1])
    return project.run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(project: Project) -> Engine:
    """The engine of a model of the bank's loans, which has proven the golden records."""
    return Engine.load(project.folder)


def test_raw_tables_of_a_bank_become_served_decisions_with_lines(
    project: Project, engine: Engine
) -> None:
    with contextlib.chdir(project.folder):
        train = Rows(project.config, engine.contract, "train")
    active = np.flatnonzero(train.table.column("transactions_12m").to_numpy() > 20)[:40]
    assert len(active) == 40
    offline = engine.model.predict(train.columns)[active]
    with contextlib.chdir(project.folder):
        lines = train.lines_of(active)["transactions"]
    encoded = engine.features.encode(train.columns)[active]
    for row, stated, pd in zip(encoded, lines, offline.tolist(), strict=True):
        assert len(stated) > 20
        application = engine.features.application(row) | {"transactions": stated}
        body = json.dumps(application).encode()
        assert engine.decide(engine.applications.parse(body)).default_probability == pd


def test_a_request_with_its_transactions_is_decided_and_checked(engine: Engine) -> None:
    lines = [
        {"day": f"1994-0{month}-15", "direction": "PRIJEM", "amount": 9000, "balance": 40000.5}
        for month in (1, 2, 3)
    ]
    application = {
        "granted": "1994-04-01",
        "opened": "1993-03-05",
        "amount": 96396,
        "duration": 12,
        "payments": 8033,
        "average_salary": 8507,
        "transactions": lines,
    }
    x = dict(zip(engine.features.names, engine.matrix(application)[0], strict=True))
    assert (x["transactions_12m"], x["income_3m"], x["account_age"]) == (3, 27000, 12)
    assert x["burden"] == 8033 / 9000
    assert engine.decide(json.loads(json.dumps(application))).decision
    broken = application | {"transactions": [*lines, {"day": "1994-03-20", "amount": 5}]}
    with pytest.raises(InvalidApplication, match=r"transactions\[3\].direction is required"):
        engine.decide(broken)

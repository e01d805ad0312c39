"""The shipped book with histories, from simulated lines to a served decision with its reasons."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from service.api.handlers.api import Api
from service.decision.advice.explanation import explain
from service.decision.engine import Engine
from service.ledger import Ledger
from stages import simulate
from stages.judging.rows import Rows
from stages.simulation import credit_lines, population
from tests.support.api_client import Client, client_of
from tests.support.books import ROOT, Project

CONTRACT = (ROOT / "data" / "loan_history" / "contract.yaml").read_text()
ROWS, SEED = 3000, 3
SUMS = ("total_loan_months", "delinquent_months", "total_dpd", "enquiry_count")
BUREAU = {"total_dpd", "delinquent_months", "delinquency_ratio", "credit_utilization_ratio"}
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def columns() -> population.Columns:
    return population.draw(ROWS, SEED, 1)


@pytest.fixture(scope="module")
def tables(columns: population.Columns) -> Tables:
    return simulate.book_with_history(columns, SEED)


@pytest.fixture(scope="module")
def project(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The simulated book up to a winner, under the shipped contract."""
    folder = tmp_path_factory.mktemp("loan_history")
    written = Project(folder, CONTRACT, candidates=["lightgbm"], train__lightgbm__trees=60)
    simulate.write_book(tables, written.data / "raw")
    return written.run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(project: Project) -> Engine:
    """The engine of the winner, which has proven the golden records with their lines."""
    return Engine.load(project.folder)


def counted(columns: population.Columns, lines: pd.DataFrame, within: int = 0) -> pd.DataFrame:
    """Return the valid lines before the decisions, of the last months where `within` is given."""
    decided = dict(zip(columns["cust_id"], columns["disbursal_date"], strict=True))
    day = pd.to_datetime(lines["cust_id"].map(decided))
    date = pd.to_datetime(lines["date"])
    kept = date < day
    if within:
        kept &= date >= day - pd.DateOffset(months=within)
    if "days_past_due" in lines:
        kept &= lines["days_past_due"] < credit_lines.IMPOSSIBLE_DELAY
    return lines[kept]


def by_customer(columns: population.Columns, values: pd.Series) -> Any:
    """Return the values of a groupby in the order of the customers; 0 where there are none."""
    return values.reindex(columns["cust_id"], fill_value=0).to_numpy()


def test_the_lines_before_the_loan_add_up_to_the_bureaus_sums(
    columns: population.Columns, tables: Tables
) -> None:
    payments = counted(columns, tables["payments"]).groupby("cust_id")["days_past_due"]
    enquiries = counted(columns, tables["enquiries"]).groupby("cust_id").size()
    sums = (payments.size(), payments.agg(lambda days: (days > 0).sum()), payments.sum(), enquiries)
    for name, values in zip(SUMS, sums, strict=True):
        np.testing.assert_array_equal(by_customer(columns, values), columns[name], name)
    events = counted(columns, tables["tradelines"]).groupby(["cust_id", "event"]).size().unstack()
    opened, closed = (by_customer(columns, events[name].fillna(0)) for name in ("opened", "closed"))
    np.testing.assert_array_equal(closed, columns["number_of_closed_accounts"])
    np.testing.assert_array_equal(opened - closed, columns["number_of_open_accounts"])
    month = counted(columns, tables["payments"], within=1).groupby("cust_id")
    used = 100 * month["balance"].sum() / month["limit"].sum()
    np.testing.assert_array_equal(by_customer(columns, used), columns["credit_utilization_ratio"])


def test_the_pipeline_counts_what_the_bureau_counted(
    columns: population.Columns, project: Project
) -> None:
    loans = pd.read_csv(project.data / "raw" / "loans.csv")["loan_id"].str[1:].astype(int) - 1
    for split in ("train", "validation", "test"):
        rows = project.split(split)
        places = loans.to_numpy()[rows["_row"]]
        for name in SUMS:
            np.testing.assert_array_equal(rows[name], columns[name][places], name)


def test_later_lines_tell_the_outcome_and_change_nothing(
    columns: population.Columns, tables: Tables, project: Project, tmp_path: Path
) -> None:
    worst = tables["payments"].query("days_past_due < 1000").groupby("cust_id")["days_past_due"]
    assert roc_auc_score(columns["default"], by_customer(columns, worst.max())) == 1
    names = credit_lines.TABLES
    cut = tables | {name: counted(columns, tables[name]) for name in names}
    assert all(len(cut[name]) < len(tables[name]) for name in names)
    without = Project(tmp_path, CONTRACT, candidates=["lightgbm"])
    simulate.write_book(cut, without.data / "raw")
    without.run("preprocess")
    for split in ("train", "validation", "test"):
        pd.testing.assert_frame_equal(project.split(split), without.split(split))


def test_impossible_delays_are_left_out_and_counted(tables: Tables, project: Project) -> None:
    broken = (tables["payments"]["days_past_due"] == credit_lines.IMPOSSIBLE_DELAY).sum()
    quality = json.loads((project.data / "quality.json").read_text())["history"]["payments"]
    assert quality["invalid"]["days_past_due: maximum (999)"]["rows"] == broken > 0


@pytest.fixture(scope="module")
def application(tables: Tables, project: Project, engine: Engine) -> dict[str, Any]:
    """The riskiest application of the test part, with all lines of its customer."""
    with contextlib.chdir(project.folder):
        test = Rows(project.config, engine.contract, "test")
    pds = engine.model.predict(test.columns)
    place = int(pds.argmax())
    loan = tables["loans"].iloc[int(test.table.column("_row")[place].as_py())]
    stated = engine.features.application(engine.features.encode(test.columns)[place])
    for name in engine.features.histories:
        lines = tables[name][tables[name]["cust_id"] == loan["cust_id"]].drop(columns="cust_id")
        if name == "payments":
            lines = lines.query("days_past_due < 1000")
        stated[name] = json.loads(lines.to_json(orient="records"))
    stated["expected"] = float(pds[place])
    return stated


@pytest.fixture
def client(project: Project, tmp_path: Path) -> Client:
    api = Api(project.folder, Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    api.state.load()
    return client_of(api, max_body=1 << 20)


def test_a_request_with_all_lines_is_decided_as_the_pipeline_scored_it(
    client: Client, engine: Engine, application: dict[str, Any]
) -> None:
    body = {name: value for name, value in application.items() if name != "expected"}
    day = body["disbursal_date"]
    assert any(line["date"] >= day for line in body["payments"])
    answer = client.post("/predict", json=body).json()
    assert answer["default_probability"] == application["expected"]
    record = client.get(f"/predictions/{answer['prediction_id']}").json()
    assert record["application"] == body
    before = {
        name: [line for line in body[name] if line["date"] < day]
        for name in engine.features.histories
    }
    assert client.post("/predict", json=body | before).json()["reasons"] == answer["reasons"]


def test_the_lines_count_against_an_application_in_words(
    engine: Engine, application: dict[str, Any]
) -> None:
    body = {name: value for name, value in application.items() if name != "expected"}
    explained = explain(engine, body)
    assert explained["decision"] == "decline"
    assert BUREAU & {reason["field"] for reason in explained["reasons"]}
    shown = {value["field"] for fact in explained["contributions"] for value in fact["values"]}
    assert {"total_dpd", "credit_utilization_ratio", "number_of_open_accounts"} <= shown
    clean = [line | {"days_past_due": 0, "balance": 0} for line in body["payments"]]
    better = explain(engine, body | {"payments": clean})
    assert better["default_probability"] < explained["default_probability"]
    assert not BUREAU & {reason["field"] for reason in better["reasons"]}

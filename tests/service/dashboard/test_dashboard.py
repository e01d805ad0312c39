from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from service.dashboard import queries
from service.ledger import Ledger, override
from service.monitoring import drift, outcomes
from service.monitoring.reports import Reports
from tests.support.books import ROOT
from tests.support.ledger_client import decided

testing = pytest.importorskip("streamlit.testing.v1", reason="the dashboard needs streamlit")

REFERENCE: dict[str, Any] = {
    "rows": 5000,
    "features": {
        "purpose": {"kind": "category", "categories": ["Auto", "Home"], "shares": [0.5, 0.5]}
    },
    "score": {"kind": "number", "edges": [-2.0], "shares": [0.5, 0.5], "mean": -2.0, "sd": 1.0},
}
EXPECTED = {"value": 0.8, "low": 0.75, "high": 0.85}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reference and the parameters, and a ledger's address in the environment."""
    (tmp_path / "models").mkdir()
    for part in (*REFERENCE["features"].values(), REFERENCE["score"]):
        part |= {"missing": 0.0, "quantiles": list(np.linspace(-4, 0, 101))}
    (tmp_path / "models/reference.json").write_text(json.dumps(REFERENCE))
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/ledger.sqlite")
    return tmp_path


@pytest.fixture
def empty(at: Path) -> Iterator[Ledger]:
    ledger = Ledger()
    ledger.prepare()
    yield ledger
    ledger.close()


@pytest.fixture
def small(empty: Ledger) -> Ledger:
    """Eight approved, one declined, one referred and decided by a person, and a drift report."""
    entries = empty.append_many([*(decided("approve", 0.05) for _ in range(8)), decided()])
    referred = empty.append_many([decided("refer", 0.14)])[0]
    empty.append_many([override(referred, "approve", "knows *her*", "Ada")])
    return reported(empty, entries[0].time)


def reported(ledger: Ledger, time: str) -> Ledger:
    live = {"purpose": np.ones(500)}
    found = drift.report(REFERENCE, live, np.random.default_rng(0).uniform(0.02, 0.4, 500))
    facts = {"time": time, "since": time, "until": time, "window": 500, "last_sequence": 10}
    expected = {"roc_auc": EXPECTED, "bad_rate": EXPECTED}
    reports = Reports(ledger.engine)
    reports.add({**facts, "model": "m1", "loudest": "alarm", "expected": expected, **found})
    reports.settle("500", found["findings"], time)
    return ledger


def opened() -> Any:
    """The page, run once."""

    def page() -> None:
        from service.dashboard.page import show_page  # noqa: PLC0415

        show_page()

    app = testing.AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    return app


def figures(app: Any) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_a_missing_ledger_is_reported(at: Path) -> None:
    assert "cannot be read" in opened().error[0].value


def test_an_empty_ledger_shows_no_figures_and_says_why(empty: Ledger) -> None:
    app = opened()
    assert figures(app)["Approval rate"] == "none"
    assert app.info[0].value == "No decisions in this period."
    assert not app.error


@pytest.fixture
def page(small: Ledger) -> Any:
    return opened()


def test_the_headline_counts_decisions_and_overrides(page: Any) -> None:
    told = figures(page)
    assert (told["Decisions"], told["Approval rate"], told["Overrides"]) == ("10", "80.0%", "1")


def test_an_open_incident_stands_on_top(page: Any) -> None:
    assert figures(page)["Open incidents"] != "0"
    assert any("purpose" in box.value for box in page.error)


def test_drift_names_the_field_and_what_to_do(page: Any) -> None:
    words = " ".join(text.value for text in page.markdown)
    assert "**purpose**: its distribution moved" in words
    assert "alarm" in words


def test_the_reason_of_an_override_is_shown_as_it_was_written(page: Any) -> None:
    tables = [table.value for table in page.dataframe]
    reasons = [table["reason"].tolist() for table in tables if "reason" in table]
    assert reasons == [["knows *her*"]]


def test_another_period_has_its_own_counts(page: Any) -> None:
    page.segmented_control[0].set_value("Last hour").run()
    assert not page.exception
    assert figures(page)["Decisions"] == "10"


def test_outcomes_of_old_decisions_stand_beside_what_was_expected(
    small: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outcomes.mature_outcomes
    monkeypatch.setattr(
        outcomes, "mature_outcomes", lambda ledger, _, today: real(ledger, 0, today)
    )
    ids = [row["id"] for row in queries.latest(small.engine)]
    today = queries.latest(small.engine)[0]["time"][:10]
    rows = [{"prediction_id": each, "bad": i % 2, "date": today} for i, each in enumerate(ids)]
    assert outcomes.record(small, rows) == (10, [])
    tables = [table.value for table in opened().dataframe]
    assert [t["decisions"].tolist() for t in tables if "brier" in t] == [[10]]


def test_markdown_in_texts_is_escaped() -> None:
    from service.dashboard.tabs import escape  # noqa: PLC0415

    assert escape("![x](http://y) <b>") == r"\!\[x\](http\://y) \<b\>"


def test_bins_are_named_in_their_order() -> None:
    from service.dashboard import charts  # noqa: PLC0415

    edges = {"kind": "number", "edges": [0.5, 20_000.0]}
    assert charts.labels(edges) == ["below 0.5", "0.5 to 20,000", "from 20,000"]


def test_decisions_are_counted_by_time(small: Ledger) -> None:
    totals = queries.totals(small.engine, "")
    rows = queries.over_time(small.engine, "", totals)
    assert {row["decision"]: row["decisions"] for row in rows} == {
        "approve": 8,
        "decline": 1,
        "refer": 1,
    }


def test_scores_are_counted_in_bands(small: Ledger) -> None:
    assert queries.scores(small.engine, "") == [{"score": 600, "decisions": 10}]


def test_models_are_listed_with_how_often_they_decided(small: Ledger) -> None:
    found = queries.models(small.engine)
    assert [(row["model"], row["policy"], row["decisions"]) for row in found] == [("m1", "p1", 10)]


def test_no_aggregate_reads_a_payload(small: Ledger) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(
        small.engine, "before_cursor_execute", lambda *own: statements.append((own[2], own[3]))
    )
    totals = queries.totals(small.engine, "2020")
    queries.over_time(small.engine, "2020", totals)
    for question in (queries.ratings, queries.scores):
        question(small.engine, "2020")
    queries.models(small.engine)
    with small.engine.connect() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())
            for sql, values in list(statements)
        ]
    assert len(plans) == 5
    assert all("COVERING INDEX ledger_entries_by_time" in plan for plan in plans)

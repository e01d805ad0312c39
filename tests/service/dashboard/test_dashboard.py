from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from service.dashboard import audit, queries, totals
from service.dashboard.baselines import Baselines, with_training_ratings, with_training_scores
from service.dashboard.tabs import HEADLINES
from service.ledger import Ledger, override
from service.ledger.storage.entries import chained_hash
from service.monitoring import drift, outcomes
from service.monitoring.reports import Reports
from stages import params
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
    monkeypatch.chdir(write_project(tmp_path))
    monkeypatch.setenv("DATABASE_URL", address_in(tmp_path))
    return tmp_path


def address_in(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def write_project(folder: Path) -> Path:
    """Write a reference and the parameters to a folder."""
    (folder / "models").mkdir()
    for part in (*REFERENCE["features"].values(), REFERENCE["score"]):
        part |= {"missing": 0.0, "quantiles": list(np.linspace(-4, 0, 101))}
    (folder / "models/reference.json").write_text(json.dumps(REFERENCE))
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    return folder


@pytest.fixture
def empty(at: Path) -> Iterator[Ledger]:
    ledger = Ledger()
    ledger.prepare()
    yield ledger
    ledger.close()


@pytest.fixture
def small(empty: Ledger) -> Ledger:
    return fill(empty)


def fill(ledger: Ledger) -> Ledger:
    """Eight approved, one declined, one referred and decided by a person, and a drift report."""
    entries = ledger.append_many([*(decided("approve", 0.05) for _ in range(8)), decided()])
    referred = ledger.append_many([decided("refer", 0.14)])[0]
    ledger.append_many([override(referred, "approve", "knows *her*", "Ada")])
    return reported(ledger, entries[0].time)


def reported(ledger: Ledger, time: str) -> Ledger:
    live = {"purpose": np.ones(500)}
    report = drift.report(REFERENCE, live, np.random.default_rng(0).uniform(0.02, 0.4, 500))
    facts = {"time": time, "since": time, "until": time, "window": 500, "last_sequence": 10}
    expected = {"roc_auc": EXPECTED, "bad_rate": EXPECTED}
    reports = Reports(ledger.engine)
    reports.add({**facts, "model": "m1", "loudest": "alarm", "expected": expected, **report})
    reports.settle("500", report["findings"], time)
    return ledger


class Views:
    """The elements of the page, of several tabs in turn."""

    def __init__(self, pages: list[Any]) -> None:
        self.pages = pages

    def __getattr__(self, name: str) -> list[Any]:
        return [element for page in self.pages for element in getattr(page, name)]

    def get(self, name: str) -> list[Any]:
        return [element for page in self.pages for element in page.get(name)]


def opened(*views: str) -> Any:
    """The page with each of these tabs open in turn."""
    return Views([opened_at(view) for view in views or ("Decisions",)])


def opened_at(view: str) -> Any:
    """The page with one tab open, run once."""

    def page() -> None:
        from service.dashboard.page import show_page  # noqa: PLC0415

        show_page()

    app = testing.AppTest.from_function(page, default_timeout=60)
    app.query_params["view"] = view
    app.run()
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
    return opened("Decisions", "Drift", "Overrides")


def test_the_headline_counts_decisions_and_overrides(page: Any) -> None:
    shown = figures(page)
    assert (shown["Decisions"], shown["Approval rate"], shown["Overrides"]) == ("10", "80.0%", "1")


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


def test_another_period_has_its_own_counts(small: Ledger) -> None:
    page = opened_at("Decisions")
    page.segmented_control[0].set_value("Last hour").run()
    assert not page.exception
    assert figures(page)["Decisions"] == "10"


def test_outcomes_of_old_decisions_stand_beside_what_was_expected(
    small: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_PD_MATURITY_DAYS", "0")
    ids = [row["id"] for row in queries.latest(small.engine)]
    today = queries.latest(small.engine)[0]["time"][:10]
    rows = [{"prediction_id": each, "bad": i % 2, "date": today} for i, each in enumerate(ids)]
    assert outcomes.record(small, rows) == (10, [])
    tab = opened("Performance")
    shown = figures(tab)
    assert (shown["Loans with an outcome"], shown["Bad rate"]) == ("10", "50.0%")
    assert not any("Provisional" in box.value for box in tab.warning)


def test_outcomes_are_compared_again_only_as_outcomes_come(
    small: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.dashboard import cached  # noqa: PLC0415

    compared: list[int] = []

    def compare(mature: Any) -> dict[str, Any]:
        compared.append(len(mature.bad))
        return {"mature": len(mature.bad)}

    monkeypatch.setattr(cached.realised, "realised_performance", compare)
    monkeypatch.setenv("CREDIT_PD_MATURITY_DAYS", "0")
    monkeypatch.setattr(cached, "datetime", SameDay)
    url = str(small.engine.url)
    for _ in range(2):
        assert cached.realised_performance(url)["mature"] == 0
    again = len(compared)
    small.append_many([decided()])
    assert cached.realised_performance(url)["mature"] == 0
    assert len(compared) == again
    newest = queries.latest(small.engine)[0]
    outcome = {"prediction_id": newest["id"], "bad": 1, "date": newest["time"][:10]}
    assert outcomes.record(small, [outcome]) == (1, [])
    assert cached.realised_performance(url)["mature"] == 1


class SameDay(datetime):
    """A clock on which no day ends."""

    @classmethod
    def now(cls, tz: Any = None) -> SameDay:
        return cls(2200, 1, 1, tzinfo=tz)


def test_markdown_in_texts_is_escaped() -> None:
    from service.dashboard.formatting import escape  # noqa: PLC0415

    assert escape("![x](http://y) <b>") == r"\!\[x\](http\://y) \<b\>"


def test_bins_are_named_in_their_order() -> None:
    from service.dashboard import charts  # noqa: PLC0415

    edges = {"kind": "number", "edges": [0.5, 20_000.0]}
    assert charts.labels(edges) == ["below 0.5", "0.5 to 20,000", "from 20,000"]


def test_decisions_are_counted_by_time(small: Ledger) -> None:
    period = queries.first_and_last(small.engine, "")
    rows = queries.over_time(small.engine, "", period)
    assert {row["decision"]: row["decisions"] for row in rows} == {
        "approve": 8,
        "decline": 1,
        "refer": 1,
    }


def test_the_first_view_is_what_its_queries_say_one_by_one(small: Ledger) -> None:
    overview, engine = queries.overview(small.engine, ""), small.engine
    period = queries.first_and_last(engine, "")
    assert overview.totals[:4] == (10, 8, 1, 1)
    assert (overview.totals.first, overview.totals.last) == period
    assert overview.over_time == queries.over_time(engine, "", period)
    parts = (queries.ratings(engine, ""), queries.scores(engine, ""), queries.models(engine))
    assert (overview.ratings, overview.scores, overview.models) == parts


def test_a_period_without_decisions_has_an_empty_first_view(small: Ledger) -> None:
    overview = queries.overview(small.engine, "2999")
    assert (overview.totals.decisions, overview.over_time, overview.ratings) == (0, [], [])


def test_scores_are_counted_in_bands(small: Ledger) -> None:
    assert queries.scores(small.engine, "") == [{"score": 600, "decisions": 10}]


def test_models_are_listed_with_how_often_they_decided(small: Ledger) -> None:
    models = queries.models(small.engine)
    assert [(row["model"], row["policy"], row["decisions"]) for row in models] == [("m1", "p1", 10)]


@pytest.mark.parametrize("has_totals", [False, True])
def test_aggregates_read_no_payload_but_of_the_few_entries_that_no_totals_count(
    small: Ledger, has_totals: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "exist", lambda connection: has_totals)
    statements: list[tuple[str, Any]] = []
    event.listen(
        small.engine, "before_cursor_execute", lambda *own: statements.append((own[2], own[3]))
    )
    period = queries.first_and_last(small.engine, "2020")
    queries.over_time(small.engine, "2020", period)
    for question in (queries.ratings, queries.scores):
        question(small.engine, "2020")
    queries.models(small.engine)
    with small.engine.connect() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())
            for sql, values in list(statements)
            if "ledger_" in sql
        ]
    assert len(plans) == 6
    alone = 3 if has_totals else 6  # the times of the first and the last, and single seconds
    assert all("COVERING INDEX ledger_entries_by_time" in plan for plan in plans[:alone])
    for plan in plans[alone:]:
        assert "ledger_totals USING PRIMARY KEY" in plan
        assert "ledger_entries USING INDEX ledger_entries_by_kind (kind=? AND sequence>?)" in plan


def test_outcomes_of_young_decisions_are_shown_at_once_and_called_provisional(
    small: Ledger,
) -> None:
    decision = queries.latest(small.engine)[-1]
    row = {"prediction_id": decision["id"], "bad": 1, "date": decision["time"][:10]}
    assert outcomes.record(small, [row]) == (1, [])
    tab = opened("Performance")
    assert any("Provisional" in box.value for box in tab.warning)
    assert figures(tab)["Loans with an outcome"] == "1"


def test_the_dossier_of_the_winner_is_one_click_away(at: Path, small: Ledger) -> None:
    judged = {"winner": "scorecard", "dataset": "small", "mode": "application"}
    judged |= {"trained_on": {"rows": 5000, "bad_rate": 0.1}}
    judged |= {"test": dict.fromkeys((*HEADLINES, "profit"), EXPECTED)}
    (at / "models" / "evaluation.json").write_text(json.dumps(judged))
    assert "make dossier" in " ".join(text.value for text in opened("Model").caption)
    (at / "models" / "dossier").mkdir()
    (at / "models" / "dossier" / "index.html").write_text("<h1>Dossier</h1>")
    [button] = [b for b in opened("Model").get("download_button") if "Dossier" in b.proto.label]
    assert button


def test_every_view_names_the_model_and_the_period(page: Any) -> None:
    captions = " ".join(caption.value for caption in page.caption)
    assert captions.count("`m1`") >= 3  # the head, Decisions and Drift
    assert "UTC" in captions


def test_a_figure_stands_beside_that_of_the_test_rows(small: Ledger, at: Path) -> None:
    figure = {"value": 0.7, "low": 0.6, "high": 0.8}
    names = ("approval_rate", "mean_pd", "roc_auc", "bad_rate", "gini", "ks", "brier", "ece")
    facts = {"winner": "m", "dataset": "d", "mode": "application"}
    facts |= {"test": dict.fromkeys(names, figure), "trained_on": {"rows": 10, "bad_rate": 0.1}}
    (at / "models/evaluation.json").write_text(json.dumps(facts))
    rate = next(metric for metric in opened().metric if metric.label == "Approval rate")
    assert (rate.value, rate.delta) == ("80.0%", "+10.0 points, test 70.0%")


def test_a_case_is_a_link_to_the_page(page: Any, small: Ledger) -> None:
    newest = next(t.value for t in page.dataframe if "credit_score" in t.value)
    which = queries.latest(small.engine)[0]["id"]
    assert newest["id"][0] == f"http://127.0.0.1:3000/#/decision/{which}"


def test_the_time_line_has_a_severity_for_each_report_and_feature() -> None:
    from service.dashboard import drift_tab  # noqa: PLC0415

    finding = {"field": "income", "loudness": "alarm", "words": "moved"}
    quiet = {"until": "2026-01-01T00:00:00Z", "findings": [], "titles": {"income": "Income"}}
    loud = {"until": "2026-01-02T00:00:00Z", "findings": [finding], "titles": {"income": "Income"}}
    rows = drift_tab.timeline([loud, quiet])
    assert [(r["feature"], r["severity"]) for r in rows] == [
        ("Income", "quiet"),
        ("Credit score", "quiet"),
        ("Income", "alarm"),
        ("Credit score", "quiet"),
    ]


def test_the_bins_of_the_score_are_named_in_points() -> None:
    from service.dashboard import charts  # noqa: PLC0415

    log_odds = {"kind": "number", "edges": [-3.0, -2.0]}
    policy = params.load(with_candidates=False).policy
    low, high = (round(policy.score(1 / (1 + np.exp(-edge)))) for edge in (-2.0, -3.0))
    names = charts.points_of(log_odds, policy.score)
    assert names == [f"below {low}", f"{low} to {high}", f"from {high}"]


def test_fairness_stands_by_group_beside_the_best_group_and_the_test_rows() -> None:
    from service.dashboard import tabs  # noqa: PLC0415

    groups = {
        "F": {"rows": 40, "approval_rate": 0.6, "mean_pd": 0.1},
        "M": {"rows": 60, "approval_rate": 0.8, "mean_pd": 0.1},
    }
    known = Baselines({}, {"by_group": {"sex": {"F": {"approval_rate": 0.65}}}})
    first, second = tabs.groups_of("sex", groups, known)
    assert (first["ratio"], first["on test rows"]) == (pytest.approx(0.75), 0.65)
    assert (second["ratio"], second["on test rows"]) == (1.0, None)


def test_the_groups_of_a_report_are_shown(small: Ledger) -> None:
    reports = Reports(small.engine)
    newest = queries.newest_reports(small.engine, 500)[0]
    groups = {"sex": {"F": {"rows": 200, "approval_rate": 0.5, "mean_pd": 0.1}}}
    reports.add(newest | {"last_sequence": 11, "groups": groups})
    tables = [table.value for table in opened("Fairness").dataframe]
    assert [t["group"].tolist() for t in tables if "group" in t] == [["F"]]


def test_the_cache_follows_a_small_ledger_at_once(small: Ledger) -> None:
    before = queries.sizes(small.engine)
    small.append_many([decided()])
    assert queries.sizes(small.engine) == (before[0] + 1, before[1])


def test_a_large_ledger_is_counted_again_after_a_thousandth_part_of_it() -> None:
    from service.dashboard import cached  # noqa: PLC0415

    assert cached.change_counter(99) != cached.change_counter(100)
    assert (
        cached.change_counter(1_000_000)
        == cached.change_counter(1_000_999)
        != cached.change_counter(1_001_000)
    )


def test_an_auditor_gets_every_entry_of_the_period_with_the_chain(small: Ledger) -> None:
    ids = [row["id"] for row in queries.latest(small.engine)]
    today = queries.latest(small.engine)[0]["time"][:10]
    outcomes.record(small, [{"prediction_id": ids[0], "bad": 0, "date": today}])
    files = read_export(small.engine, "2020", "2100")
    manifest = json.loads(files["manifest.json"])
    assert manifest["rows"] == {
        "decisions.csv": 10,
        "overrides.csv": 1,
        "proposals.csv": 0,
        "rejections.csv": 0,
        "notes.csv": 0,
        "outcomes.csv": 1,
        "erases.csv": 0,
        "shadows.csv": 0,
        "reports.json": 1,
        "incidents.json": len(json.loads(files["incidents.json"])),
    }
    for name, digest in manifest["sha256"].items():
        assert sha256(files[name]).hexdigest() == digest
    rows = [
        row
        for name in audit.FILES
        for row in csv.DictReader(io.StringIO(files[name].decode(), newline=""))
    ]
    rows.sort(key=lambda row: int(row["sequence"]))
    previous = "0" * 64
    for row in rows:  # the chain holds from the first to the head that the manifest names
        digest = sha256(row["payload"].encode()).hexdigest()
        assert row["previous_hash"] == previous
        assert row["hash"] == chained_hash(int(row["sequence"]), previous, digest)
        previous = row["hash"]
    assert manifest["chain"] == {"sequence": len(rows), "hash": previous}


def read_export(engine: Any, since: str, until: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(audit.export(engine, since, until))) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_an_export_holds_its_period_alone(small: Ledger) -> None:
    files = read_export(small.engine, "2020", "2021")
    assert json.loads(files["manifest.json"])["rows"]["decisions.csv"] == 0


def test_too_long_a_period_is_refused(small: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_ENTRIES", 3)
    with pytest.raises(audit.TooMany, match="choose a shorter one"):
        audit.export(small.engine, "2020", "2100")


def test_decisions_stand_beside_what_the_training_rows_suggest() -> None:
    policy = params.load(with_candidates=False).policy
    log_odds = np.log(np.array([0.01, 0.06]) / np.array([0.99, 0.94]))
    known = Baselines({"score": {"quantiles": list(np.linspace(*log_odds, 101))}}, {})
    names = list(policy.ratings)  # the training rows lie between the bounds of A and of C
    rows = with_training_ratings([{"rating": names[0], "decisions": 50}], policy, known)
    assert {row["rating"]: row["decisions"] for row in rows} == dict.fromkeys(names, 0) | {
        names[0]: 50
    }
    assert sum(row["training"] for row in rows[1:3]) == pytest.approx(50)
    top = float(policy.score(0.01))
    bands = [{"score": top - 2000, "decisions": 0}, {"score": top - 20, "decisions": 50}]
    low, high = with_training_scores(bands, policy, known)
    assert low["training"] == 0
    assert high["training"] == pytest.approx(50 * np.log(2) / np.diff(log_odds)[0])
    assert with_training_ratings(rows, policy, Baselines({}, {})) == rows


def test_overrides_are_those_of_the_period(small: Ledger) -> None:
    assert queries.overrides(small.engine, "") == {"approve": 1}
    assert [row["author"] for row in queries.latest_overrides(small.engine, "")] == ["Ada"]
    assert queries.overrides(small.engine, "2999") == {}
    assert queries.latest_overrides(small.engine, "2999") == []


@pytest.mark.parametrize("view", ["Overrides", "Audit", "Model"])
def test_every_list_says_of_which_period_it_is(small: Ledger, view: str) -> None:
    told = opened_at(view)
    assert sum("All time" in caption.value for caption in told.caption) >= 2


def test_realised_figures_name_the_days_and_the_models(small: Ledger) -> None:
    decision = queries.latest(small.engine)[0]
    row = {"prediction_id": decision["id"], "bad": 1, "date": decision["time"][:10]}
    assert outcomes.record(small, [row]) == (1, [])
    captions = " ".join(caption.value for caption in opened_at("Performance").caption)
    assert (
        f"Decisions of {decision['time'][:10]} to {decision['time'][:10]}, model `m1`" in captions
    )


def test_incidents_name_their_window_and_no_key(small: Ledger) -> None:
    tables = [table.value for table in opened_at("Model").dataframe]
    [incidents] = [table for table in tables if "opened" in table]
    assert [*incidents] == ["opened", "closed", "severity", "decisions", "what happened"]
    assert {*incidents["decisions"]} == {"500"}


def test_an_empty_ledger_says_what_to_do(empty: Ledger) -> None:
    assert "`make serve`" in opened().info[1].value

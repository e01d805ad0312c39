"""Histories from raw files to decisions: nothing after a decision counts, and nothing differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.batch import scoring
from service.decision.advice.explanation import explain
from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from tests.support.books import HISTORY, Project, with_payments


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The book whose file of payments has later ones too, up to a winner."""
    folder = tmp_path_factory.mktemp("history")
    written = Project(folder, HISTORY, candidates=["lightgbm"]).write(with_payments(later=True))
    return written.run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(project: Project) -> Engine:
    """The engine of the winner, which has proven the golden records with their lines."""
    return Engine.load(project.folder)


@pytest.fixture(scope="module")
def application(engine: Engine) -> dict[str, Any]:
    """A golden application with lines."""
    return next(r["application"] for r in engine.golden if len(r["application"]["payments"]) > 1)


def test_lines_of_the_day_and_later_change_nothing(project: Project, tmp_path: Path) -> None:
    without = Project(tmp_path, HISTORY, candidates=["lightgbm"]).write(with_payments(later=False))
    without.run("preprocess")
    for split in ("train", "validation", "test"):
        pd.testing.assert_frame_equal(project.split(split), without.split(split))
    assert project.split("train")["most_late"].max() < 998


def test_lines_that_break_a_rule_are_left_out_and_counted(project: Project) -> None:
    quality = json.loads((project.data / "quality.json").read_text())["history"]["payments"]
    assert quality["invalid"]["late: maximum (999)"]["rows"] == 1
    assert quality["rows_in"] == quality["rows_out"] + 1
    assert 0 < quality["lines_before_decisions"] < quality["rows_out"]


def test_a_served_pd_with_its_lines_is_that_of_the_pipeline(engine: Engine) -> None:
    assert {"payments_12m", "most_late", "last_late", "late_each"} <= {*engine.features.names}
    assert engine.golden
    for record in engine.golden:
        decision = engine.decide(record["application"])
        assert decision.default_probability == record["default_probability"]


def test_lines_after_the_decision_change_no_answer(
    engine: Engine, application: dict[str, Any]
) -> None:
    later = {"paid_on": application["granted"], "late": 998, "status": "open"}
    with_later = application | {"payments": [later, *application["payments"][::-1]]}
    assert engine.decide(with_later) == engine.decide(application)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"payments": None}, "payments", "must be a list of at most 50 lines"),
        ({"payments": [{}]}, "payments[0].paid_on", "is required: a date YYYY-MM-DD"),
        ({"payments": [{"paid_on": "2020-01-01"}, 3]}, "payments[1]", "must be a JSON object"),
        (
            {"payments": [{"paid_on": "2020-01-01", "late": "x"}]},
            "payments[0].late",
            "must be a whole number from 0 to 999, or null; got x",
        ),
        (
            {"payments": [{"paid_on": "2020-01-01", "lat": 1}]},
            "payments[0].lat",
            "is not a field of a line: one of paid_on, late, status",
        ),
        ({"payments": [{"paid_on": "2020-01-01"}] * 51}, "payments", "got 51 lines"),
        ({"most_late": 3}, "most_late", "is not a field of this contract"),
        ({"granted": None}, "granted", "must be a date"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_by_its_place(
    engine: Engine, application: dict[str, Any], change: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(InvalidApplication) as refused:
        engine.decide(application | change)
    assert [p.field for p in refused.value.problems] == [field]
    assert problem in refused.value.problems[0].message


def test_lines_must_be_sent_even_where_there_are_none(
    engine: Engine, application: dict[str, Any]
) -> None:
    without = {n: v for n, v in application.items() if n != "payments"}
    with pytest.raises(InvalidApplication, match="payments is required: a list of lines"):
        engine.decide(without)
    assert engine.decide(without | {"payments": []}).decision


def test_the_schema_describes_the_lines_and_the_example_is_valid(engine: Engine) -> None:
    schema = engine.applications.schema()
    assert schema["properties"]["payments"]["items"] == {"$ref": "#/$defs/PaymentsLine"}
    assert set(schema["$defs"]["PaymentsLine"]["properties"]) == {"paid_on", "late", "status"}
    engine.decide(engine.applications.example)


def test_an_explanation_shows_aggregates_as_facts_with_their_own_words(
    engine: Engine, application: dict[str, Any]
) -> None:
    late = [{"paid_on": "2019-12-01", "late": 900, "status": "open"}]
    explained = explain(engine, application | {"granted": "2020-01-01", "payments": late})
    fact = next(c for c in explained["contributions"] if "most_late" in c["features"])
    value = next(v for v in fact["values"] if v["field"] == "most_late")
    assert (fact["title"], value["value"], value["unit"]) == ("Longest delay", 900, "days")
    assert "A payment was late for long (900 days" in json.dumps(explained["reasons"])


@pytest.mark.parametrize("form", ["nested", "text"])
def test_a_batch_reads_nested_lines_and_lines_as_text(
    engine: Engine, tmp_path: Path, form: str
) -> None:
    rows = [record["application"] for record in engine.golden]
    if form == "text":
        rows = [row | {"payments": json.dumps(row["payments"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    counts = scoring.score(engine, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert (counts.scored, counts.refused) == (len(rows), 0)
    pds = pq.read_table(tmp_path / "out.parquet").column("default_probability").to_pylist()
    assert pds == [record["default_probability"] for record in engine.golden]


def test_the_drift_reference_knows_the_aggregates(project: Project) -> None:
    reference = json.loads((project.folder / "models" / "reference.json").read_text())
    assert {"payments_12m", "most_late", "late_each"} <= reference["features"].keys()

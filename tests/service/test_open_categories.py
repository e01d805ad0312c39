"""A category of texts that nobody can list: from raw files to the decision."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from service.batch import scoring
from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from stages.contract import reading
from stages.contract.schema import ContractError
from tests.support.books import CONTRACT, Project, book
from tests.support.trained.winners import crown

OPEN = CONTRACT.replace("    repair: {hoem: home}\n", "    other: other\n").replace(
    "  income: {", "  income: {column: Income (p.a.), "
)


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A trained lender whose loans have purposes that the contract does not list."""
    tables = book(600)
    rare = tables["loans"]["purpose"] == "other"
    tables["loans"].loc[rare, "purpose"] = [f"boat {i}" for i in range(rare.sum())]
    tables["people"] = tables["people"].rename(columns={"income": "Income (p.a.)"})
    project = Project(tmp_path_factory.mktemp("open"), OPEN, candidates=["lightgbm"])
    return project.write(tables).run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(lender: Project, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.load(crown(lender, "lightgbm", tmp_path_factory.mktemp("crowned")))


GOOD = {"amount": 5000, "purpose": "other", "income": 20_000, "insured": "Y", "branch": 10}


def test_a_text_that_is_not_listed_is_decided_as_the_other_ones(engine: Engine) -> None:
    usual = engine.decide(engine.applications.check(GOOD))
    for word in ("boat 7", "a purpose that nobody had before", "Ü"):
        decision = engine.decide(engine.applications.check(GOOD | {"purpose": word}))
        assert decision.default_probability == usual.default_probability
        assert decision.decision == usual.decision
    assert engine.applications.check(GOOD | {"purpose": "boat"})["purpose"] == "boat"


@pytest.mark.parametrize("wrong", ["", 5, True, ["car"], "x" * 201, None])
def test_what_is_no_text_is_refused_with_what_is_allowed(engine: Engine, wrong: object) -> None:
    with pytest.raises(InvalidApplication) as refused:
        engine.applications.check(GOOD | {"purpose": wrong})
    problem = refused.value.problems[0]
    assert problem.field == "purpose"
    assert problem.allowed == "a text of 1 to 200 characters"


def test_a_file_with_the_lenders_own_columns_is_scored_as_requests_are(
    engine: Engine, tmp_path: Path
) -> None:
    rows = [GOOD | {"purpose": word} for word in ("car", "boat 7", "home")]
    frame = pd.DataFrame(rows).rename(columns={"income": "Income (p.a.)"})
    frame.to_csv(tmp_path / "in.csv", index=False)
    assert scoring.score(engine, tmp_path / "in.csv", tmp_path / "out.parquet") == (3, 0)
    pds = pq.read_table(tmp_path / "out.parquet").column("default_probability").to_pylist()
    assert pds == [engine.decide(row).default_probability for row in rows]


def test_drift_and_reasons_know_the_other_category_by_name(lender: Project) -> None:
    reference = json.loads((lender.folder / "models" / "reference.json").read_text())
    shares = reference["features"]["purpose"]
    assert shares["categories"] == ["car", "home", "other"]
    assert min(shares["shares"]) > 0.1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("    other: boat\n", "must be one of the categories ['car', 'home', 'other']"),
        ("    other: 3\n", "fields.purpose.other: Input should be a valid string; got 3"),
    ],
)
def test_the_other_category_must_be_one_of_the_categories(line: str, problem: str) -> None:
    with pytest.raises(ContractError) as error:
        reading.read(OPEN.replace("    other: other\n", line))
    assert problem in str(error.value)

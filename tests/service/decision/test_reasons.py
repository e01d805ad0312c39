"""The principal reasons are true, in the contract's words, and never a protected attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.engine import Engine
from service.decision.reasons import MOST, ReasonWriter
from stages.contract import prepared
from stages.contract.schema import Contract
from stages.features.matrix import Features, Floats
from stages.policy import HardRule
from tests.support.books import MEANINGS, contract
from tests.support.winners import WORDED, loan_book

CANDIDATES = ("logistic", "lightgbm", "xgboost")


@pytest.fixture(scope="module", params=CANDIDATES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a winner on the simulated loan book."""
    return loan_book(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def engine(served: Path) -> Engine:
    return Engine.load(served)


@pytest.fixture(scope="module")
def refused(served: Path, engine: Engine) -> list[tuple[Floats, Any]]:
    """The encoded rows and decisions of every referred or declined row of the test split."""
    rows = prepared.read(served / "data" / "small" / "prepared" / "test.parquet")
    columns = prepared.columns(rows, engine.features.inputs)
    decisions = engine.decide_columns(columns)
    encoded = engine.features.encode(columns)
    found = [(e, d) for e, d in zip(encoded, decisions, strict=True) if d.decision != "approve"]
    assert len(found) > 40
    return found


def made(typical: Floats | None = None) -> tuple[ReasonWriter, Contract, Features]:
    own = contract(WORDED)
    features = Features(own, "application")
    none = np.zeros(len(features.names))
    return ReasonWriter(own, features, none if typical is None else typical), own, features


def contributions(features: Features, **values: float) -> Floats:
    return np.array([values.get(name, 0.0) for name in features.names])


def fields(reasons: list[dict[str, str]]) -> list[str]:
    return [reason["field"] for reason in reasons]


def test_the_weightiest_comes_first_in_the_contracts_words() -> None:
    reasons, _, features = made()
    own = contributions(features, amount=0.2, loan_to_income=0.7, income=-0.3)
    assert reasons(own) == [
        {"field": "loan_to_income", "text": "Much for the income"},
        {"field": "amount", "text": "It is much"},
    ]


def test_a_field_without_words_of_its_own_is_named() -> None:
    reasons, _, features = made()
    text = reasons(contributions(features, months=1))[0]["text"]
    assert text == "months carries a higher risk"


def test_what_lowers_the_risk_is_no_reason() -> None:
    reasons, _, features = made()
    assert fields(reasons(contributions(features, amount=0.1, income=-5))) == ["amount"]


def test_there_are_not_more_than_the_principal_ones() -> None:
    reasons, _, features = made()
    assert len(reasons(np.arange(1.0, len(features.names) + 1))) == MOST


def test_a_hard_rule_comes_first_and_is_not_cut_off() -> None:
    reasons, _, features = made()
    rules = [HardRule(rule="amount > 1", decision="refer", reason=f"Rule {i}") for i in range(6)]
    found = reasons(np.ones(len(features.names)), rules)
    assert [reason["text"] for reason in found] == [f"Rule {i}" for i in range(6)]


def test_where_nothing_is_worse_than_expected_the_approved_are_the_measure() -> None:
    _, _, features = made()
    typical = contributions(features, amount=-1.0, income=-0.2, months=-0.1)
    reasons, _, _ = made(typical)
    own = contributions(features, amount=-0.1, income=-0.1, months=-0.5)
    assert fields(reasons(own)) == ["amount", "income"]


def test_every_refused_applicant_is_given_reasons(refused: list[tuple[Floats, Any]]) -> None:
    assert all(1 <= len(decision.reasons) <= MOST for _, decision in refused)


def test_no_reason_names_a_protected_attribute(
    engine: Engine, refused: list[tuple[Floats, Any]]
) -> None:
    protected = {field.name for field in engine.contract.protected}
    sources = dict(zip(engine.features.names, engine.features.sources, strict=True))
    for _, decision in refused:
        for reason in decision.reasons:
            assert protected.isdisjoint({reason["field"], *sources[reason["field"]]})


def test_a_reason_is_what_raises_the_risk(
    engine: Engine, refused: list[tuple[Floats, Any]]
) -> None:
    for row, decision in refused:
        own = engine.contributions(engine.features.matrix(row[None]))[0]
        values = dict(zip(engine.features.names, own, strict=False))
        assert all(values[reason["field"]] > 0 for reason in decision.reasons)


def test_at_its_best_value_the_top_reason_does_not_raise_the_pd(
    engine: Engine, refused: list[tuple[Floats, Any]]
) -> None:
    """The best value of a field is the one with the lowest mean PD over all these applicants."""
    sources = dict(zip(engine.features.names, engine.features.sources, strict=True))
    rows = np.vstack([row for row, _ in refused])
    best: dict[int, float] = {}
    names = [field.name for field in engine.features.inputs]
    kept = []
    for row, decision in refused:
        trial = row.copy()
        for name in sources[decision.reasons[0]["field"]]:
            place = names.index(name)
            if place not in best:
                best[place] = best_value(engine, rows, place)
            trial[place] = best[place]
        kept.append(pd(engine, trial[None])[0] <= decision.default_probability)
    assert np.mean(kept) >= 0.95


def best_value(engine: Engine, rows: Floats, place: int) -> float:
    field = engine.features.inputs[place]
    values = sorted({*field.codes.values()}) or np.unique(
        np.nanquantile(rows[:, place], np.linspace(0, 1, 9))
    )
    means = []
    for value in values:
        trial = rows.copy()
        trial[:, place] = value
        means.append(pd(engine, trial).mean())
    return float(values[int(np.argmin(means))])


def pd(engine: Engine, rows: Floats) -> Floats:
    return engine.model.predict_matrix(engine.features.matrix(rows))


def test_a_value_that_is_missing_for_a_reason_is_worded_by_the_reason() -> None:
    features = Features(contract(MEANINGS), "application")
    writer = ReasonWriter(contract(MEANINGS), features, np.zeros(len(features.names)))
    shares = contributions(features, months=0.2, months__missing=0.5, income=0.1)
    for code, text in ((-7, "months: no loan so far"), (-9, "months: no record")):
        row = features({"months": [code], "income": [1000]})[0]
        reasons = writer(shares, (), row)
        assert reasons[0] == {"field": "months", "text": text}
        assert fields(reasons) == ["months", "income"]
    row = features({"months": [12], "income": [1000]})[0]
    assert writer(shares, (), row)[0] == {"field": "months", "text": "months carries a higher risk"}

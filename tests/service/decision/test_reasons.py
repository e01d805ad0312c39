"""The principal reasons are true, in the contract's words, and never a protected attribute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.engine import Engine
from service.decision.reasons import MOST, Approved, Reason, ReasonWriter
from service.decision.sentences import UsualRange
from stages.contract import prepared
from stages.features.matrix import Features, Floats
from stages.policy.rules import HardRule
from tests.support.books import MEANINGS, contract
from tests.support.trained.winners import WORDED, loan_book

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
    decisions = engine.decide_matrix(engine.features(columns))
    encoded = engine.features.encode(columns)
    not_approved = [
        (e, d) for e, d in zip(encoded, decisions, strict=True) if d.decision != "approve"
    ]
    assert len(not_approved) > 40
    return not_approved


APPROVED = Approved({"amount": UsualRange(1000, 5000), "income": UsualRange(20_000, 60_000)})
PLAIN = {"amount": 3000, "income": 30_000, "purpose": "home", "months": 12, "branch": 10}


def reasons_for(
    shares: dict[str, float],
    rules: Sequence[HardRule] = (),
    approved: Approved = APPROVED,
    text: str = WORDED,
    predict: Callable[[Floats], Floats] = lambda x: np.zeros(len(x)),
    **values: Any,
) -> list[Reason]:
    """The reasons of an application with these values, whose features contribute these shares."""
    parsed = contract(text)
    features = Features(parsed, "application")
    x = features({name: [value] for name, value in (PLAIN | values).items()})
    shapley = np.array([[shares.get(name, 0.0) for name in features.names]])
    return ReasonWriter(parsed, features, approved, predict)(shapley, x, predict(x), [rules])[0]


def texts(shares: dict[str, float], **values: Any) -> list[str]:
    return [reason["text"] for reason in reasons_for(shares, **values)]


def fields(reasons: list[Reason]) -> list[str]:
    return [reason["field"] for reason in reasons]


def test_the_weightiest_comes_first_in_the_contracts_words() -> None:
    assert reasons_for({"income": 0.2, "purpose": 0.7}, income=9000, purpose="car") == [
        {"field": "purpose", "text": "Cars often fail"},
        {"field": "income", "text": "Low income"},
    ]


def test_the_value_and_not_its_contribution_says_the_direction() -> None:
    assert texts({"income": 1}, income=19_999) == ["Low income"]
    for usual_or_better in (20_000, 60_000, 900_000):
        assert texts({"income": 1}, income=usual_or_better) == [
            "income counted against this application"
        ]


def test_a_value_is_called_high_or_low_only_where_the_model_prefers_a_usual_one() -> None:
    """The model may like a low income, or an income as it is beside the amount."""

    def prefers(better: Callable[[Any, Any], Any]) -> Callable[[Floats], Floats]:
        return lambda x: np.where(better(x[:, income], x[:, ratio]), 0.1, 0.2)

    names = Features(contract(WORDED), "application").names
    income, ratio = names.index("income"), names.index("loan_to_income")
    undirected = "income counted against this application"
    for better, sentence in (
        (lambda income, _: income >= 20_000, "Low income"),
        (lambda income, _: income < 20_000, undirected),
        (lambda _, ratio: ratio < 0.2, "Low income"),
        (lambda _, ratio: ratio > 0.2, undirected),
    ):
        reasons_given = reasons_for({"income": 1}, predict=prefers(better), income=10_000)
        assert [reason["text"] for reason in reasons_given] == [sentence]


def test_a_quoted_number_stands_beside_what_is_usual() -> None:
    against = {"amount": 1.0}
    assert texts(against, amount=7500) == [
        "It is much (7,500; approved applicants usually have at most 5,000)"
    ]
    assert texts(against, amount=5000.0001) == [
        "It is much (5,000.0001; approved applicants usually have at most 5,000)"
    ]
    assert texts(against, amount=400) == ["amount (400) counted against this application"]


def test_a_number_without_words_of_its_own_is_compared_with_what_is_usual() -> None:
    approved = Approved({"months": UsualRange(12, 24)})
    for value, side in ((11, "lower"), (25, "higher")):
        reasons_given = reasons_for({"months": 1}, approved=approved, months=value)
        assert reasons_given[0]["text"] == f"months: {side} than is usual for approved applicants"
    risky = WORDED.replace("months: {", "months: {risk: increasing, ")
    reasons_given = reasons_for({"months": 1}, approved=approved, text=risky, months=11)
    assert reasons_given[0]["text"] == "months counted against this application"


def test_without_a_reference_no_direction_is_claimed() -> None:
    reasons_given = reasons_for({"income": 1}, approved=Approved(), income=1)
    assert reasons_given[0]["text"] == "income counted against this application"


def test_a_category_without_a_sentence_is_named() -> None:
    assert texts({"purpose": 1}, purpose="other") == [
        "purpose (other) counted against this application"
    ]
    assert texts({"insured": 1}, insured="N") == ["insured (no) counted against this application"]


def test_the_sentence_of_one_value_is_not_said_of_another() -> None:
    words = "insured: {reason: {categories: {true: The bureau knows of a default}}, "
    text = WORDED.replace("insured: {", words)
    for value, sentence in (
        ("Y", "The bureau knows of a default"),
        ("N", "insured (no) counted against this application"),
        (None, "insured: not known"),
    ):
        assert reasons_for({"insured": 1.0}, text=text, insured=value)[0]["text"] == sentence


def test_a_missing_value_has_a_sentence_of_its_own() -> None:
    assert texts({"income": 1}, income=None) == ["No income is stated"]
    assert texts({"months": 1}, months=None) == ["months: not known"]


def test_a_ratio_and_its_numerator_are_one_fact() -> None:
    shares = {"amount": 0.5, "loan_to_income": 0.4, "income": 0.6}
    approved = Approved(APPROVED.ranges | {"loan_to_income": UsualRange(0.1, 0.2)})
    reasons_given = reasons_for(shares, approved=approved, amount=9000, income=10_000)
    assert fields(reasons_given) == ["amount", "income"]
    reasons_given = reasons_for(shares, approved=approved, amount=3000, income=10_000)
    assert fields(reasons_given) == ["loan_to_income", "income"]


def test_fields_of_a_group_are_one_fact() -> None:
    grouped = WORDED.replace("months: {", "months: {reason: {group: Size}, ").replace(
        "quote: true}", "group: Size}"
    )
    reasons_given = reasons_for({"months": 0.3, "amount": 0.2, "income": 0.1}, text=grouped)
    assert fields(reasons_given) == ["months", "income"]


def test_a_ratio_without_a_denominator_has_no_direction() -> None:
    approved = Approved({"loan_to_income": UsualRange(0.1, 0.2)})
    reasons_given = reasons_for({"loan_to_income": 1}, approved=approved, income=0)
    assert reasons_given[0]["text"] == "loan_to_income counted against this application"


def test_what_lowers_the_risk_is_no_reason() -> None:
    assert fields(reasons_for({"amount": 0.1, "income": -5})) == ["amount"]
    assert fields(reasons_for({"amount": 0.1, "loan_to_income": -0.2, "income": 0.1})) == ["income"]


def test_there_are_not_more_than_the_principal_ones() -> None:
    shares = {"amount": 1.0, "months": 2.0, "purpose": 3.0, "insured": 4.0, "income": 5.0}
    assert len(reasons_for(shares)) == MOST


def test_a_weak_fact_is_a_reason_only_where_no_other_is_stronger() -> None:
    assert fields(reasons_for({"amount": 0.5, "income": 0.09})) == ["amount"]
    assert fields(reasons_for({"amount": 0.08, "income": 0.09})) == ["income"]


def test_a_hard_rule_comes_first_and_is_not_cut_off() -> None:
    rules = [HardRule(rule="amount > 1", decision="refer", reason=f"Rule {i}") for i in range(6)]
    reasons_given = reasons_for({"amount": 1.0, "income": 1.0}, rules)
    assert [reason["text"] for reason in reasons_given] == [f"Rule {i}" for i in range(6)]


def test_the_fact_of_a_hard_rule_is_not_repeated() -> None:
    rules = [HardRule(rule="amount > 1", decision="refer", reason="A rule")]
    assert fields(reasons_for({"loan_to_income": 3.0, "income": 1.0}, rules)) == [
        "amount",
        "income",
    ]


def test_where_nothing_is_worse_than_expected_the_approved_are_the_measure() -> None:
    approved = Approved(APPROVED.ranges, {"amount": -1.0, "income": -0.2, "months": -0.1})
    shares = {"amount": -0.1, "income": -0.1, "months": -0.5}
    reasons_given = reasons_for(shares, approved=approved)
    assert fields(reasons_given) == ["amount", "income"]
    less = "counted less in favour of this application than is usual for approved applicants"
    assert reasons_given[1]["text"] == f"income {less}"


def test_every_refused_applicant_is_given_reasons(refused: list[tuple[Floats, Any]]) -> None:
    assert all(1 <= len(decision.reasons) <= MOST for _, decision in refused)


def test_no_reason_names_a_protected_attribute(
    engine: Engine, refused: list[tuple[Floats, Any]]
) -> None:
    protected = {field.name for field in engine.contract.protected_fields}
    sources = dict(zip(engine.features.names, engine.features.sources, strict=True))
    for _, decision in refused:
        for reason in decision.reasons:
            assert protected.isdisjoint({reason["field"], *sources[reason["field"]]})


def test_a_reason_is_what_raises_the_risk(
    engine: Engine, refused: list[tuple[Floats, Any]]
) -> None:
    for row, decision in refused:
        contributions = engine.contributions(engine.features.matrix(row[None]))[0]
        values = dict(zip(engine.features.names, contributions, strict=False))
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
    shares = {"months": 0.2, "months__missing": 0.5, "income": 0.1}
    for code, text in ((-7, "months: no loan so far"), (-9, "months: no record")):
        reasons = reasons_for(shares, text=MEANINGS, months=code)
        assert reasons[0] == {"field": "months", "text": text}
        assert fields(reasons) == ["months", "income"]
    worded = MEANINGS.replace("months: {", "months: {reason: {missing: {-7: A first loan}}, ")
    assert reasons_for(shares, text=worded, months=-7)[0]["text"] == "A first loan"
    assert reasons_for(shares, text=worded, months=-9)[0]["text"] == "months: no record"
    assert reasons_for(shares, text=worded, months=None)[0]["text"] == "months: not known"


def test_that_a_value_is_there_is_not_worded_as_its_direction() -> None:
    shares = {"months": -0.2, "months__missing": 0.5}
    reasons_given = reasons_for(
        shares, approved=Approved({"months": UsualRange(12, 24)}), text=MEANINGS, months=99
    )
    assert reasons_given == [{"field": "months", "text": "months counted against this application"}]

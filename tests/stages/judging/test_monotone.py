"""Whether the PD keeps the directions of risk: the same as brute force, and never silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from stages.features.matrix import DIRECTION, Floats
from stages.judging import monotone, monotone_proof
from stages.judging.monotone_lines import SAMPLES, SMALLEST_FALL, Line, falls_along
from stages.models import artifact
from stages.models.artifact import Model
from stages.models.calibration import Isotonic, Sigmoid
from stages.models.compiled.forest import LIGHTGBM, XGBOOST, Forest, Node
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Linear, Scorer, Selected, Table
from tests.support.books import Project

CONTRACT = """
title: Small book
tables: {loans: {path: loans.csv, key: loan}}
target: {field: bad, bad: 1, good: 0}
fields:
  amount: {type: number, risk: increasing, constraints: {minimum: 100, maximum: 5000}}
  income: {type: number, risk: decreasing, constraints: {minimum: 0, maximum: 9000}}
  late: {type: integer, risk: increasing, constraints: {minimum: 0, maximum: 30}}
  months: {type: integer, constraints: {minimum: 0, maximum: 60}}
  insured: {type: boolean, risk: decreasing}
derived:
  loan_to_income: {formula: amount / income, risk: increasing}
  late_share: {formula: 100 * late / months, when_empty: 0, risk: increasing}
  months_per_late: {formula: months / late, when_empty: 0}
checks:
  history: {rule: late <= months, message: Late more often than there were months}
"""
FEATURES = 8
KINDS = ("lightgbm", "xgboost", "scorecard", "linear", "selected")


def model_of(scorer: Scorer, contract: str = CONTRACT) -> Model:
    return Model("any", "small", "application", contract, scorer, Sigmoid(), {})


def applications(model: Model, rng: np.random.Generator, rows: int) -> Floats:
    """Rows of the contract, some with fields that are missing or 0."""
    months = rng.integers(0, 61, rows)
    columns = {
        "amount": rng.uniform(100, 5000, rows).round(),
        "income": np.where(rng.random(rows) < 0.1, 0, rng.uniform(0, 9000, rows).round()),
        "late": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, months.clip(max=30) + 1)),
        "months": np.where(rng.random(rows) < 0.1, np.nan, months),
        "insured": [[True, False, None][i] for i in rng.integers(0, 3, rows)],
    }
    return model.features.encode(columns)


def random_tree(rng: np.random.Generator, x: Floats, depth: int) -> list[Node]:
    """A tree that splits at values of the features x (n, F)."""
    nodes: list[Node] = []

    def grow(levels: int) -> int:
        place = len(nodes)
        if not levels:
            nodes.append(Node(1.0, value=float(np.float32(rng.normal(0, 0.3)))))
            return place
        feature = int(rng.integers(x.shape[1]))
        known = x[~np.isnan(x[:, feature]), feature]
        threshold = float(np.float32(rng.choice(known)))
        left_if_missing = bool(rng.integers(2))
        node = Node(2.0**levels, feature=feature, threshold=threshold, missing_left=left_if_missing)
        nodes.append(node)
        node.left, node.right = grow(levels - 1), grow(levels - 1)
        return place

    grow(depth)
    return nodes


def random_scorer(kind: str, rng: np.random.Generator, x: Floats) -> Scorer:
    if kind == "selected":
        kept = np.sort(rng.choice(FEATURES, 5, replace=False))
        return Selected(random_scorer("lightgbm", rng, x[:, kept]), kept)
    if kind in ("lightgbm", "xgboost"):
        library = LIGHTGBM if kind == "lightgbm" else XGBOOST
        trees = [random_tree(rng, x, 3) for _ in range(6)]
        return Trees(Forest(trees, library, 0.0, x.shape[1]))
    low, high = np.nanquantile(x, [0.05, 0.95], axis=0)
    if kind == "linear":
        slope = rng.normal(0, 1, FEATURES) / (high - low).clip(min=1e-9)
        everything = np.arange(FEATURES)
        return Additive(-1.0, Linear(everything, slope, low, low, high, low), [])
    tables = []
    for f in range(FEATURES):
        known = x[~np.isnan(x[:, f]), f]
        edges = np.unique(rng.choice(known, 3))
        tables.append(Table(f, edges, rng.normal(0, 0.3, len(edges) + 1), 0.0))
    return Additive(-1.0, Linear.empty(), tables)


def fine_grid(model: Model, j: int) -> Floats:
    field = model.features.inputs[j]
    if field.codes:
        return np.array([0.0, 1.0])
    low, high = float(field.constraints.minimum or 0), float(field.constraints.maximum or 0)
    if field.type == "integer":
        return np.arange(low, high + 1)
    return np.concatenate([[low], np.linspace(max(low, 1e-3), high, 1500)])


def along(model: Model, row: Floats, j: int, values: Floats) -> Floats:
    """The risk of one row at values of field j, and only where the contract allows them."""
    lines = np.repeat(row[None], len(values), axis=0)
    lines[:, j] = values
    places = {field.name: i for i, field in enumerate(model.features.inputs)}
    allowed = ~(lines[:, places["late"]] > lines[:, places["months"]])
    sign = DIRECTION[model.features.inputs[j].risk]
    return sign * model.predict_matrix(model.features.matrix(lines[allowed]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_no_fine_grid_sees_a_fall_that_the_check_does_not(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = applications(model_of(Additive(0.0, Linear.empty(), [])), rng, 25)
    x = model_of(Additive(0.0, Linear.empty(), [])).features.matrix(rows)
    model = model_of(random_scorer(kind, rng, x))
    for j, field in enumerate(model.features.inputs):
        if field.risk is None:
            continue
        wrong, worst = falls_along(model, rows, j)
        grid = fine_grid(model, j)
        sizes = np.zeros(len(rows))
        for i, row in enumerate(rows):
            risk = along(model, row, j, grid)
            sizes[i] = (np.maximum.accumulate(risk) - risk).max(initial=0.0)
        assert not (~wrong & (sizes > SMALLEST_FALL)).any(), field.name
        assert (worst.size if worst else 0.0) >= sizes.max() - SMALLEST_FALL
        for i in np.flatnonzero(wrong):
            _, fall = falls_along(model, rows[i : i + 1], j)
            assert fall is not None
            before, after = along(model, rows[i], j, np.array([fall.start, fall.end]))
            assert before - after == pytest.approx(fall.size, abs=1e-7)
            assert fall.start < fall.end


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_proved_has_no_fall(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = model_of(Additive(0.0, Linear.empty(), []))
    rows = applications(model, rng, 25)
    model = model_of(random_scorer(kind, rng, model.features.matrix(rows)))
    for j, field in enumerate(model.features.inputs):
        if field.risk and monotone_proof.is_proved(model, field):
            assert not falls_along(model, rows, j)[0].any()


def split_at(feature: int, threshold: float, below: float, above: float) -> Trees:
    """One split of a feature; a missing value counts as one below the threshold."""
    root = Node(2.0, feature=feature, threshold=threshold, left=1, right=2, missing_left=True)
    leaves = [Node(1.0, value=below), Node(1.0, value=above)]
    return Trees(Forest([[root, *leaves]], LIGHTGBM, 0.0, FEATURES))


def place(model: Model, name: str) -> int:
    return model.features.names.index(name)


def judged(scorer: Scorer, contract: str = CONTRACT, rows: int = 40) -> dict[str, dict[str, Any]]:
    model = model_of(scorer, contract)
    encoded = applications(model, np.random.default_rng(0), rows)
    return monotone.check_directions(model, encoded, 1000 + np.arange(rows))


def test_a_planted_fall_is_found_with_a_counterexample_that_anyone_can_score() -> None:
    scorer = split_at(0, 2000.0, 0.5, -0.5)
    figures = judged(scorer)["amount"]
    assert (figures["proved"], figures["violations"]) == (False, 40)
    shown = figures["counterexample"]
    assert shown["from"] <= 2000 < shown["to"]
    assert shown["pd_from"] > shown["pd_to"]
    model = model_of(scorer)
    row = applications(model, np.random.default_rng(0), 40)[shown["row"] - 1000]
    application = model.features.application(row)
    for value, pd in ((shown["from"], shown["pd_from"]), (shown["to"], shown["pd_to"])):
        assert model.predict_one(application | {"amount": value}) == pd


def test_a_counterexample_has_as_few_digits_as_it_can() -> None:
    shown = judged(split_at(0, 2345.678, 0.5, -0.5))["amount"]["counterexample"]
    assert (shown["from"], shown["to"]) == (2000, 4000)


def test_a_fall_by_way_of_a_ratio_is_the_fall_of_both_its_fields() -> None:
    figures = judged(split_at(5, 0.8, 0.5, -0.5))
    assert figures["amount"]["violations"] > 0
    assert figures["income"]["violations"] > 0
    assert figures["late"] == {"risk": "increasing", "proved": True, "violations": 0}


def test_a_rising_ratio_proves_its_numerator_and_shows_where_its_denominator_is_empty() -> None:
    figures = judged(split_at(5, 0.8, -0.5, 0.5))
    assert figures["amount"]["proved"]
    shown = figures["income"]["counterexample"]
    assert (shown["from"], shown["to"] > 0) == (0, True)  # an income of 0 has no ratio


def test_a_ratio_that_says_what_it_is_when_empty_keeps_the_direction() -> None:
    filled = CONTRACT.replace(
        "{formula: amount / income,", "{formula: amount / income, when_empty: 9999,"
    )
    figures = judged(split_at(5, 0.8, -0.5, 0.5), filled)
    assert figures["income"] == {"risk": "decreasing", "proved": False, "violations": 0}


def test_a_denominator_that_is_never_0_is_proved() -> None:
    positive = CONTRACT.replace("minimum: 0, maximum: 9000", "minimum: 1, maximum: 9000")
    model = model_of(split_at(5, 0.8, -0.5, 0.5), positive)
    assert monotone_proof.is_proved(model, model.features.inputs[1])


def test_a_field_in_two_ratios_that_disagree_is_followed() -> None:
    """More late months make each of them shorter, which this model takes for better."""
    figures = judged(split_at(7, 6.0, -0.5, 0.5))
    assert not figures["late"]["proved"]
    assert figures["late"]["violations"] > 0


def test_values_that_the_checks_forbid_are_no_counterexample() -> None:
    limited = CONTRACT + "  limit: {rule: amount <= 1000, message: Too much}\n"
    figures = judged(split_at(0, 2000.0, 0.5, -0.5), limited)["amount"]
    assert figures == {"risk": "increasing", "proved": False, "violations": 0}


def test_a_fall_below_the_least_value_that_is_allowed_is_none() -> None:
    assert judged(split_at(0, 40.0, 0.5, -0.5))["amount"]["violations"] == 0
    assert judged(split_at(0, 9000.0, 0.5, -0.5))["amount"]["violations"] == 0


def test_a_boolean_is_followed_from_no_to_yes() -> None:
    figures = judged(split_at(4, 0.5, -0.5, 0.5))["insured"]
    assert figures["violations"] == 40
    shown = figures["counterexample"]
    assert (shown["from"], shown["to"]) == (False, True)


def test_a_calibration_that_turns_the_margin_round_proves_nothing() -> None:
    model = model_of(split_at(0, 2000.0, -0.5, 0.5))
    assert monotone_proof.is_proved(model, model.features.inputs[0])
    for calibrator in (Sigmoid(-1.0), Isotonic(np.array([0.0, 1.0]), np.array([0.2, 0.1]))):
        model.calibrator = calibrator
        assert not monotone_proof.is_proved(model, model.features.inputs[0])


def test_of_very_many_rows_some_are_followed_and_the_report_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monotone, "MOST_ROWS", 10)
    assert judged(split_at(0, 2000.0, 0.5, -0.5))["amount"]["violations"] == 10
    assert monotone.rows_followed(40) == 10


@pytest.mark.parametrize("only", [0, 20, 39])
def test_no_row_is_passed_over(only: int) -> None:
    """The PD falls with the amount for applicants of more than 50 months alone."""
    months = Node(4.0, feature=3, threshold=50.0, left=1, right=2)
    amount = Node(2.0, feature=0, threshold=2000.0, left=3, right=4)
    leaves = [Node(1.0, value=value) for value in (0.0, 0.5, -0.5)]
    model = model_of(Trees(Forest([[months, leaves[0], amount, *leaves[1:]]], LIGHTGBM, 0.0, 8)))
    encoded = applications(model, np.random.default_rng(0), 40)
    encoded[:, 2], encoded[:, 3] = 0, 1
    encoded[only, 3] = 60
    direction = monotone.check_directions(model, encoded, np.arange(40))["amount"]
    assert (direction["violations"], direction["counterexample"]["row"]) == (1, only)


def test_the_report_names_the_formulas_whose_values_are_sampled() -> None:
    contract = CONTRACT.replace("checks:", "  squared: {formula: amount ** 2}\nchecks:")
    names = model_of(Additive(0.0, Linear.empty(), []), contract).features.names
    ends = (np.array([value]) for value in (-1e-7, 0.0, 0.0, 3e7, 0.0))
    linear = Linear(np.array([names.index("squared")]), *ends)
    figures = judged(Additive(0.0, linear, []), contract)["amount"]
    assert figures["sampled_for"] == ["squared"]
    assert figures["violations"] == 40


def test_a_candidate_that_knows_no_constraints_has_no_other_model(fitted_book: Project) -> None:
    model = artifact.load(fitted_book.artifact("logistic"))
    assert monotone.fit_without_directions(model, fitted_book.config) is None


@pytest.mark.parametrize("name", ["scorecard", "xgboost", "lightgbm"])
def test_candidates_with_constraints_are_proved_by_their_form(
    name: str, fitted_book: Project
) -> None:
    model = artifact.load(fitted_book.artifact(name))
    encoded = model.features.encode(fitted_book.columns("test"))
    figures = monotone.check_directions(model, encoded, np.arange(len(encoded)))
    assert figures == {"amount": {"risk": "increasing", "proved": True, "violations": 0}}


def line_of(scorer: Scorer, name: str, contract: str = CONTRACT) -> tuple[Line, Floats]:
    model = model_of(scorer, contract)
    j = [field.name for field in model.features.inputs].index(name)
    return Line(model, j), applications(model, np.random.default_rng(0), 5)


@pytest.mark.parametrize(("threshold", "read"), [(7.0, {6, 7, 8}), (3.5, {3, 4})])
def test_a_whole_number_is_read_on_both_sides_of_a_threshold(
    threshold: float, read: set[int]
) -> None:
    line, rows = line_of(split_at(2, threshold, -0.5, 0.5), "late")
    values = line.values(rows, 0.0, 30.0)
    assert all(read | {0, 30} <= {*row} for row in values.tolist())
    assert (np.diff(values, axis=1) >= 0).all()
    assert (values == np.rint(values)).all()


def linear_in(columns: dict[str, float], contract: str = CONTRACT) -> Additive:
    """A linear model of some features by their slopes, none of them clipped."""
    names = model_of(Additive(0.0, Linear.empty(), []), contract).features.names
    places = np.array([names.index(name) for name in columns])
    zero, far = np.zeros(len(columns)), np.full(len(columns), 1e12)
    slopes = np.array([*columns.values()])
    return Additive(0.0, Linear(places, slopes, zero, -far, far, zero, zero), [])


def test_the_worst_fall_of_a_linear_model_is_read_where_its_margin_turns() -> None:
    """The margin `1000 / income + 0.0004 * income` falls down to its root, and rises after it."""
    contract = CONTRACT.replace("minimum: 0, maximum: 9000", "minimum: 100, maximum: 9000")
    contract = contract.replace("amount / income", "0.5 * amount / income")
    model = model_of(linear_in({"loan_to_income": 1.0, "income": 0.0004}, contract), contract)
    row = applications(model, np.random.default_rng(0), 1)
    row[:, 0] = 2000.0
    _, fall = falls_along(model, row, 1)
    assert fall is not None
    assert fall.start == pytest.approx(np.sqrt(1000 / 0.0004), rel=1e-9)
    assert fall.end == 9000
    assert fall.size == pytest.approx(expit(1000 / 9000 + 3.6) - expit(2 * np.sqrt(0.4)), rel=1e-9)


def test_the_worst_fall_is_read_where_a_check_of_two_fields_ends() -> None:
    """The PD falls with `late`, which may be as large as `months` and no larger."""
    figures = {}
    for months in (4.0, 17.0):
        line, rows = line_of(linear_in({"late": -0.3}), "late")
        rows[:, 3] = months
        _, fall = line.follow(rows)
        figures[months] = (fall.start, fall.end)
    assert figures == {4.0: (0.0, 4.0), 17.0: (0.0, 17.0)}


def test_the_worst_fall_of_the_larger_side_of_a_check_begins_where_the_check_allows_it() -> None:
    contract = CONTRACT.replace(
        "months: {type: integer,", "months: {type: number, risk: increasing,"
    )
    line, rows = line_of(linear_in({"months": -0.1}, contract), "months", contract)
    rows[:, 2] = 13.0
    _, fall = line.follow(rows)
    assert (fall.start, fall.end) == (13.0, 60.0)


def test_values_are_sampled_for_a_formula_of_another_form_and_for_a_condition_alike() -> None:
    plain, _ = line_of(split_at(0, 2000.0, -0.5, 0.5), "amount")
    formula = CONTRACT.replace("checks:", "  squared: {formula: amount ** 2}\nchecks:")
    squared, _ = line_of(split_at(0, 2000.0, -0.5, 0.5), "amount", formula)
    condition = CONTRACT + "  odd: {rule: amount ** 2 < 9000000 or amount > 4000, message: Odd}\n"
    conditioned, rows = line_of(split_at(0, 2000.0, -0.5, 0.5), "amount", condition)
    assert (plain.is_sampled, squared.is_sampled, conditioned.is_sampled) == (False, True, True)
    values = conditioned.values(rows, 100.0, 5000.0)
    assert np.isin(np.linspace(100, 5000, SAMPLES).clip(100, 5000)[[0, -1]], values).all()
    assert np.diff(values, axis=1).max() <= 2 * (5000 - 100) / SAMPLES

"""The card of a scorecard: what people read adds up to what is served."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from stages.contract import prepared
from stages.judging import points
from stages.models import artifact
from stages.models.artifact import Model
from stages.models.calibration import Isotonic
from stages.models.scorers import Selected, Table
from tests.support.books import CANDIDATES, MEANINGS, Project, book

CALIBRATED = {"train__scorecard__calibration": "sigmoid", "train__scorecard__min_iv": 0.0}


@pytest.fixture(scope="module", params=["plain", "calibrated", "selected"])
def carded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book with codes for missing values, and its scorecard."""
    tables = book(2000, seed=5)
    months = tables["loans"]["months"]
    tables["loans"]["months"] = np.where(months == "", "-7", months)
    tables["loans"].loc[::40, "months"] = "-9"
    changes: dict[str, dict[str, Any]] = {
        "plain": {"train__scorecard__min_iv": 0.0},
        "calibrated": CALIBRATED,
        "selected": {"train__scorecard__min_iv": 0.02},
    }
    made = Project(tmp_path_factory.mktemp(request.param), MEANINGS, **changes[request.param])
    made.set(candidates=["scorecard"], **changes[request.param]).write(tables)
    return made.run("preprocess", "featurize", "scorecard", "evaluate")


def card(project: Project) -> list[dict[str, str]]:
    text = (project.folder / "models" / "scorecard.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def rows_of(project: Project, split: str) -> tuple[Any, Any]:
    with np.load(project.data / "features" / f"{split}.npz") as rows:
        return rows["x"], rows["bad"]


def test_the_points_of_an_application_add_up_to_its_served_score(carded: Project) -> None:
    model: Model = artifact.load(carded.artifact("scorecard"))
    policy, (x, _) = carded.config.policy, rows_of(carded, "test")
    scorer: Any = model.scorer
    columns = range(x.shape[1])
    if isinstance(scorer, Selected):
        scorer, columns = scorer.scorer, scorer.columns.tolist()
    lines = iter(card(carded))
    exact, whole, lying = np.zeros((3, len(x)))
    train, _ = rows_of(carded, "train")
    for table in scorer.tables:
        part = model.features.parts[columns[table.column]]
        labels = [b[0] for b in points.bins_of(table, part, train[:, columns[table.column]])]
        inside = {
            label: rows
            for label, _, rows in points.bins_of(table, part, x[:, columns[table.column]])
        }
        for label, line in zip(labels, lines, strict=False):
            assert (line["feature"], line["bin"]) == (part.name, label)
            exact += float(line["points_exact"]) * inside.get(label, False)
            whole += float(line["points"]) * inside.get(label, False)
            lying += inside.get(label, False)
    served = policy.score(model.predict(carded.columns("test")))
    np.testing.assert_array_equal(lying, len(scorer.tables))
    np.testing.assert_allclose(exact, served, atol=1e-4)
    np.testing.assert_array_equal(np.rint(exact), np.rint(served))
    assert np.abs(whole - served).max() <= 0.5 * len(scorer.tables) + 1e-4


AMOUNTS = """
tables: {loans: {path: loans.csv}}
target: {field: bad, bad: 1, good: 0}
fields:
  amount: {type: number}
  balance: {type: number}
  rate: {type: number}
  purpose: {type: string, constraints: {enum: ["a, b", a, b, missing]}}
"""


def points_by_hand(lines: list[dict[str, str]], feature: str, value: Any) -> float:
    """Return the exact points that a person reads off the card for a value."""

    def holds(label: str) -> bool:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return label == "missing"
        if isinstance(value, str):
            quoted = f"'{value}'" if value in ("a, b", "missing") else value
            return quoted in (label, *label.replace("'a, b'", "").split(", "))
        low, _, high = label.partition(" to below ")
        if high:
            return float(low) <= value < float(high)
        if label.startswith("below "):
            return value < float(label.removeprefix("below "))
        return label != "missing" and value >= float(label.removesuffix(" and above"))

    fitting = [line for line in lines if line["feature"] == feature and holds(line["bin"])]
    assert len(fitting) == 1, (feature, value, fitting)
    return float(fitting[0]["points_exact"])


def test_a_person_reads_the_served_score_off_the_labels_of_the_card(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    n = 3000
    loans = pd.DataFrame(
        {
            "amount": rng.lognormal(12, 1, n).round(2),
            "balance": rng.integers(1_000_000, 1_000_050, n) + 0.25,
            "rate": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n) / 3),
            "purpose": rng.choice(["a, b", "a", "b", "missing"], n),
        }
    )
    odds = np.log(loans["amount"]) - 14 + (loans["balance"] - 1e6) / 20 + loans["rate"].fillna(0)
    loans["bad"] = (rng.random(n) < expit(odds + (loans["purpose"] == "a"))).astype(int)
    project = Project(tmp_path, AMOUNTS, candidates=["scorecard"], train__scorecard__min_iv=0.0)
    project.write({"loans": loans}).run("preprocess", "featurize", "scorecard", "evaluate")
    model: Model = artifact.load(project.artifact("scorecard"))
    columns, lines = project.columns("test"), card(project)
    read = [
        sum(points_by_hand(lines, name, values[row]) for name, values in columns.items())
        for row in range(len(columns["amount"]))
    ]
    served = project.config.policy.score(model.predict(columns))
    np.testing.assert_allclose(read, served, atol=1e-4)


def test_each_meaning_of_a_missing_value_is_a_bin_of_its_own(carded: Project) -> None:
    lines = [line for line in card(carded) if line["feature"] == "months__missing"]
    names = ", ".join(line["bin"] for line in lines)
    if lines:
        assert set(names.split(", ")) == {"present", "no loan so far", "no record", "missing"}


def test_the_bins_of_a_feature_share_all_training_rows(carded: Project) -> None:
    _, bad = rows_of(carded, "train")
    by_feature: dict[str, list[dict[str, str]]] = {}
    for line in card(carded):
        by_feature.setdefault(line["feature"], []).append(line)
    assert by_feature
    for lines in by_feature.values():
        assert sum(int(line["rows"]) for line in lines) == len(bad)
        assert sum(float(line["share"]) for line in lines) == pytest.approx(1, abs=0.001)
        bads = sum(int(line["rows"]) * float(line["bad_rate"] or 0) for line in lines)
        assert bads == pytest.approx(bad.sum(), abs=1)


def test_safer_bins_have_more_points(carded: Project) -> None:
    for feature in {line["feature"] for line in card(carded)}:
        lines = [
            line for line in card(carded) if line["feature"] == feature and line["rows"] != "0"
        ]
        woe = [float(line["woe"]) for line in lines]
        exact = [float(line["points_exact"]) for line in lines]
        if feature in ("amount", "loan_to_income", "insured"):
            assert np.corrcoef(woe, exact)[0, 1] < -0.9


def test_the_facts_of_a_bin_are_their_formulas() -> None:
    inside, bad = np.arange(100) < 40, (np.arange(100) % 4 == 0).astype(np.int64)
    bad[:8] = 1
    bads, goods = int(bad[:40].sum()), 40 - int(bad[:40].sum())
    every, rest = int(bad.sum()), 100 - int(bad.sum())
    facts = points.facts_of(inside, bad)
    woe = math.log((bads + 0.5) / (goods + 0.5) * rest / every)
    assert (facts["rows"], facts["share"]) == (40, 0.4)
    assert facts["bad_rate"] == round(bads / 40, 4)
    assert facts["woe"] == round(woe, 4)
    assert facts["iv"] == round((bads / every - goods / rest) * woe, 4)


def test_labels_say_which_edge_a_bin_holds() -> None:
    edges = np.array([10.0, 20.5])
    labels = [points.label_of(edges, number) for number in range(3)]
    assert labels == ["below 10", "10 to below 20.5", "20.5 and above"]
    assert points.label_of(np.array([]), 0) == "any value"


def test_levels_of_one_bin_stand_together(models: dict[str, Model]) -> None:
    part = next(p for p in models["scorecard"].features.parts if p.name == "purpose")
    table = Table(0, np.array([0.5, 1.5, 2.5]), np.array([0.4, -0.2, 0.4, 0.0]), 0.0)
    x = np.array([0.0, 1, 2, 2, math.nan])
    bins = [(label, term, rows.tolist()) for label, term, rows in points.bins_of(table, part, x)]
    assert bins == [
        ("car, other", 0.4, [True, False, True, True, False]),
        ("home", -0.2, [False, True, False, False, False]),
        ("missing", 0.0, [False, False, False, False, True]),
    ]


def test_other_models_have_no_card_and_the_file_is_a_header(
    fitted_book: Project, models: dict[str, Model]
) -> None:
    rows = prepared.read(fitted_book.data / "prepared" / "train.parquet")
    bad = prepared.outcome(rows)
    x = models["logistic"].features(fitted_book.columns("train"))
    policy = fitted_book.config.policy
    for name in set(CANDIDATES) - {"scorecard"}:
        assert points.points_table(models[name], policy, x, bad) == []
    assert points.as_csv([]) == ",".join(points.COLUMNS) + "\n"


def test_with_an_isotonic_calibration_the_points_are_those_before_it(
    fitted_book: Project, models: dict[str, Model]
) -> None:
    x = models["scorecard"].features(fitted_book.columns("train"))
    bad = np.asarray(fitted_book.split("train")["_bad"])
    policy = fitted_book.config.policy
    plain = points.points_table(models["scorecard"], policy, x, bad)
    mapped = artifact.load(fitted_book.artifact("scorecard"))
    mapped.calibrator = Isotonic(np.array([-9.0, 9.0]), np.array([0.1, 0.9]))
    assert points.points_table(mapped, policy, x, bad) == plain


def test_a_field_that_may_be_missing_has_a_bin_for_it_and_a_required_one_has_none(
    models: dict[str, Model],
) -> None:
    parts = {part.name: part for part in models["scorecard"].features.parts}
    table = Table(0, np.array([1.5]), np.array([0.4, -0.2]), 0.0)
    x = np.array([0.0, 1, 2])
    labels = {
        name: [label for label, _, _ in points.bins_of(table, parts[name], x)]
        for name in ("income", "amount")
    }
    assert labels == {
        "income": ["below 1.5", "1.5 and above", "missing"],
        "amount": ["below 1.5", "1.5 and above"],
    }

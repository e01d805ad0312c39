"""Advice is the smallest there is: brute force over every allowed value finds no smaller one."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.advice.search import AdviceSearch
from service.decision.engine import Engine
from tests.support.books import CANDIDATES, CONTRACT, Project, book
from tests.support.trained.winners import crown, draw, save_blend

ACTIONABLE = (
    CONTRACT.replace("risk: increasing\n    constraints: {minimum: 100, maximum: 50000,",
                     "actionable: decrease\n    step: 500\n"
                     "    constraints: {minimum: 100, maximum: 20000,")
    .replace("income: {type: number,", "income: {type: number, actionable: any, step: 2500,")
    .replace("maximum: 1000000", "maximum: 120000")
    .replace("months: {type: integer,", "months: {type: integer, actionable: any, step: 3,")
    .replace("insured: {type: boolean,", "insured: {type: boolean, actionable: any,")
    .replace("branch: {type: integer,", "branch: {type: integer, actionable: any,")
    .replace("checks:\n", "checks:\n  most: {rule: amount <= 0.9 * income, message: Too much}\n")
)  # fmt: skip
RULES = [
    {"rule": "loan_to_income >= 0.35", "decision": "refer", "reason": "Much"},
    {"rule": "months >= 55", "decision": "decline", "reason": "Long"},
    {"rule": "amount > 250 * months", "decision": "refer", "reason": "Fast"},
]
CUT_OFF = 0.13


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("fitted"), ACTIONABLE).write(book(1500, seed=5))
    return save_blend(made.run("preprocess", "featurize", *CANDIDATES))


@pytest.fixture(scope="module", params=(*CANDIDATES, "blend"))
def engine(request: pytest.FixtureRequest, fitted: Project, tmp_path_factory: Any) -> Engine:
    folder: Path = tmp_path_factory.mktemp("own") / request.param
    settings = {"policy__rules": RULES, "policy__cut_off": CUT_OFF}
    return Engine.load(crown(fitted, request.param, folder, **settings))


def refused(engine: Engine, count: int = 60) -> list[dict[str, Any]]:
    """Applications that are not approved: golden records and drawn ones."""
    every = [r["application"] for r in engine.golden] + draw(engine.applications, count, seed=3)
    every = [{k: v for k, v in each.items() if k != "stated"} for each in every]
    return [each for each in every if engine.decide(each).decision != "approve"]


def allowed(engine: Engine, application: dict[str, Any]) -> dict[int, np.ndarray]:
    """Every allowed value of each actionable field, in encoded form."""
    row, values = engine.encode(application)[0], {}
    for j, field in enumerate(engine.features.inputs):
        if not field.actionable or math.isnan(row[j]):
            continue
        if field.codes:
            values[j] = np.array(sorted(set(field.codes.values()) - {row[j]}))
            continue
        least, most = field.constraints.minimum, field.constraints.maximum
        assert field.step is not None
        assert least is not None
        assert most is not None
        every = np.arange(math.ceil(least / field.step), math.floor(most / field.step) + 1)
        every = every * field.step
        every = every[every != row[j]]
        every = every[every > 0] if field.name == "income" else every
        every = every[every < row[j]] if field.actionable == "decrease" else every
        values[j] = every
    return values


def smallest(
    engine: Engine, application: dict[str, Any], values: dict[int, np.ndarray], fields: tuple
) -> float:
    """The size of the smallest approved change of one or two fields, by trying every one."""
    row = engine.encode(application)[0]
    grid = np.array(list(itertools.product(*(values[j] for j in fields))))
    if not len(grid):
        return math.inf
    rows = np.repeat(row[None], len(grid), axis=0)
    rows[:, fields] = grid
    x = engine.features.matrix(rows)
    approved = engine.policy.decide(engine.predict(x), engine.by_name(x)) == 0
    columns = {f.name: rows[:, j] for j, f in enumerate(engine.features.inputs)}
    approved &= engine.applications.keep_rules(columns, application)
    now = np.where(row == 0, 1.0, abs(row))[list(fields)]
    sizes = (abs(grid - row[list(fields)]) / now).sum(axis=1)
    return float(sizes[approved].min(initial=math.inf))


def size_of(engine: Engine, application: dict[str, Any], way: dict[str, Any]) -> float:
    row = engine.encode(application)[0]
    total = 0.0
    for change in way["changes"]:
        j = [f.name for f in engine.features.inputs].index(change["field"])
        codes = engine.features.inputs[j].codes
        to = codes[change["to"]] if codes else change["to"]
        total += abs(to - row[j]) / (abs(row[j]) or 1.0)
    return total


def test_no_smaller_change_of_one_field_or_of_two_is_approved(engine: Engine) -> None:
    singles = pairs = 0
    for application in refused(engine):
        told = AdviceSearch(engine, application).answer("decline")
        assert told["proved"]
        by_fields = {
            tuple(sorted(c["field"] for c in way["changes"])): size_of(engine, application, way)
            for way in told["ways"]
        }
        values = allowed(engine, application)
        alone = {j: smallest(engine, application, values, (j,)) for j in values}
        minimal = [s for s in alone.values() if s < math.inf]
        for two in itertools.combinations(values, 2):
            best = smallest(engine, application, values, two)
            minimal += [best] if best < min(alone[j] for j in two) - 1e-9 else []
            pairs += best < math.inf
        singles += len(minimal)
        assert sorted(by_fields.values()) == pytest.approx(sorted(minimal)[: len(by_fields)])
        assert len(by_fields) == min(len(minimal), 6)
    assert singles > 20
    assert pairs > 20


def test_every_advice_is_approved_and_holds_up_to_its_end(engine: Engine) -> None:
    for application in refused(engine):
        values = allowed(engine, application)
        names = [f.name for f in engine.features.inputs]
        for way in AdviceSearch(engine, application).answer("decline")["ways"]:
            changed = application | {c["field"]: c["to"] for c in way["changes"]}
            decision = engine.decide(changed)
            assert decision.decision == "approve"
            assert decision.default_probability == way["default_probability"]
            for change in way["changes"]:
                field = engine.contract.fields[change["field"]]
                if field.codes:
                    continue
                to, end = change["to"], change["until"]
                side = 1 if to > change["from"] else -1
                every = values[names.index(field.name)][::side]
                beyond = [v for v in every if side * (v - to) > 0]
                held = [v for v in beyond if end is None or side * (v - end) <= 0]
                after = [v for v in beyond if v not in held]
                turned = [approves(engine, changed, field.name, v) for v in (*held, *after[:1])]
                assert turned == [True] * len(held) + [False] * len(after[:1])


def approves(engine: Engine, application: dict[str, Any], name: str, value: float) -> bool:
    """Whether an application with another value of a field is valid and approved."""
    whole = engine.contract.fields[name].type == "integer"
    try:
        changed = application | {name: int(value) if whole else float(value)}
        return engine.decide(changed).decision == "approve"
    except ValueError:
        return False


def test_where_nothing_helps_it_is_proved(engine: Engine) -> None:
    hopeless = engine.policy.model_copy(update={"cut_off": 1e-8})
    strict = Engine(engine.model, hopeless, engine.identity)
    told = AdviceSearch(strict, refused(engine)[0]).answer("decline")
    assert told["ways"] == []
    assert told["proved"]
    assert told["statement"].endswith("alone or two together, would lead to approval.")

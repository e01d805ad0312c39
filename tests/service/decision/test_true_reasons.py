"""No applicant is given a false reason: every refused row of every book, by every candidate.

What makes a sentence false is defined in `sentence_checks` beside it. A reason is faithful
where the PD does not rise as the fields of its fact get their best values; one that calls a value
high or low, also where it does not rise as the value comes to the end of the usual range.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.engine import Decision, Engine
from service.decision.reasons import LEAST, MOST, Approved
from stages import simulate
from stages.contract.derived import Derived
from stages.contract.draft.drafting import Wishes, draft_contract
from stages.contract.fields.field import missing_column
from stages.features.facts import Fact, sum_by_fact
from stages.features.matrix import Floats, MissingReason
from stages.judging import reference
from stages.models import artifact, model_file
from stages.models.artifact import Model
from stages.simulation import population
from tests.service.decision.sentence_checks import COUNTED, COUNTED_LESS, SentenceChecker
from tests.support import unknown_books
from tests.support.books import CANDIDATES, MEANINGS, ROOT, Project, book

REAL = ROOT.parent / "shared" / "data" / "loan_applications"
FAITHFUL = 0.95
REFUSED = 0.3  # of the training rows, where the shipped policy would refuse all or none


@dataclass
class Judged:
    """A candidate's refusals of a book: `x` (n, F), `rows` encoded, `raw` applications."""

    engine: Engine
    checker: SentenceChecker
    usual: Approved
    x: Floats
    rows: Floats
    raw: list[dict[str, Any]]
    decisions: list[Decision]


def small(folder: Path, text: str, **changes: object) -> Project:
    trees = {f"train__{name}__trees": 60 for name in ("random_forest", "xgboost", "lightgbm")}
    return Project(folder, text, **trees | {"preprocess__max_invalid": 0.2} | changes)


def shipped_loan_book(folder: Path) -> Project:
    text = (ROOT / "data/loan_book/contract.yaml").read_text()
    return small(folder, text).write(simulate.book(population.draw(12_000, 3), 3))


def shipped_loan_applications(folder: Path) -> Project:
    if not REAL.exists():
        pytest.skip(f"{REAL} is not there")
    text = (ROOT / "data/loan_applications/contract.yaml").read_text()
    project = small(folder, text, mode="pricing")
    shutil.copytree(REAL, project.data / "raw")
    return project


def with_meanings(folder: Path) -> Project:
    """The small book, where months are missing for one of two reasons."""
    tables = book(1500, seed=8)
    months = tables["loans"]["months"]
    empty = months[months == ""].index
    months[empty[::2]], months[empty[1::2]] = "-7", "-9"
    return small(folder, MEANINGS).write(tables)


def unknown(make: Callable[[Path], list[Path]], target: str) -> Callable[[Path], Project]:
    """A book of which nothing is known but its files: its contract is drafted."""

    def project_in(folder: Path) -> Project:
        project = small(folder, "")
        (project.data / "raw").mkdir()
        written = draft_contract(make(project.data / "raw"), Wishes(target))
        (project.data / "contract.yaml").write_text(written.text)
        return project

    return project_in


BOOKS: dict[str, Callable[[Path], Project]] = {
    "loan_book": shipped_loan_book,
    "loan_applications": shipped_loan_applications,
    "meanings": with_meanings,
    "bureau_scores": unknown(unknown_books.bureau_scores, "RiskPerformance"),
    "coded_categories": unknown(unknown_books.coded_categories, "class"),
    "two_tables": unknown(unknown_books.two_tables, "loan_status"),
}


@pytest.fixture(scope="module", params=BOOKS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book with every candidate fitted."""
    project = BOOKS[request.param](tmp_path_factory.mktemp(request.param))
    return project.run("preprocess", "featurize", *CANDIDATES)


@pytest.fixture(scope="module", params=CANDIDATES)
def judged(request: pytest.FixtureRequest, trained: Project) -> Judged:
    """What a candidate refuses of all rows of the test part."""
    fitted = artifact.load(trained.artifact(request.param))
    served = model_file.parse(model_file.text(fitted).encode(), request.param)
    return judge(trained, served)


def judge(project: Project, model: Model) -> Judged:
    """Decide about the test part of a book by a model, its reference from the training rows."""
    mode = model.mode
    train = model.features(project.columns("train", mode))
    pd, policy = model.predict_matrix(train), project.config.policy
    if not 0.1 < np.mean(pd >= policy.approve_below) < 0.9:
        cut_off = float(np.quantile(pd, 1 - REFUSED))
        policy = policy.model_copy(update={"cut_off": cut_off, "refer_band": 0.0})
    usual = Approved.read(reference.describe_approved(model, policy, train))
    engine = Engine(model, policy, {}, usual)
    columns = project.columns("test", mode)
    decisions = engine.decide_matrix(engine.features(columns))
    refused = [n for n, d in enumerate(decisions) if d.decision != "approve"]
    assert len(refused) > 20
    encoded = model.features.encode(columns)[refused]
    return Judged(
        engine,
        SentenceChecker(model.contract, model.features, train, pd < policy.approve_below),
        usual,
        model.features.matrix(encoded),
        encoded,
        [raw_application(model, columns, n) for n in refused],
        [decisions[n] for n in refused],
    )


def raw_application(model: Model, columns: dict[str, Any], row: int) -> dict[str, Any]:
    """Return the raw values of a row, with the code that says why a value is missing."""
    raw = {field.name: columns[field.name][row] for field in model.features.inputs}
    for field in model.features.inputs:
        meaning = columns.get(missing_column(field.name))
        if meaning is not None and meaning[row]:
            raw[field.name] = list(field.missing_meanings)[int(meaning[row]) - 1]
    return raw


def fact_of(engine: Engine, name: str) -> Fact:
    place = engine.features.names.index(name)
    return next(fact for fact in engine.facts if place in fact.features)


def test_no_sentence_is_false(judged: Judged) -> None:
    faults = [
        (fault, reason, raw)
        for decision, raw in zip(judged.decisions, judged.raw, strict=True)
        for reason in decision.reasons
        if (fault := judged.checker.fault(reason, raw))
    ]
    assert faults == []


def test_the_reasons_are_the_largest_facts_that_raise_the_risk(judged: Judged) -> None:
    engine = judged.engine
    sums = sum_by_fact(engine.contributions(judged.x)[:, :-1], engine.facts)
    for decision, shares in zip(judged.decisions, sums, strict=True):
        facts = [fact_of(engine, reason["field"]) for reason in decision.reasons]
        assert all(fact not in facts[:n] for n, fact in enumerate(facts))
        order = [k for k in np.argsort(-shares, kind="stable") if shares[k] > 0]
        largest = [engine.facts[k] for n, k in enumerate(order) if n == 0 or shares[k] >= LEAST]
        assert 1 <= len(facts) <= MOST
        assert facts == largest[:MOST] or not largest
        less = [reason for reason in decision.reasons if reason["text"].endswith(COUNTED_LESS)]
        assert not (less and largest)


def test_at_the_best_values_of_its_fact_a_reason_does_not_raise_the_pd(judged: Judged) -> None:
    """The best value of a field is the one with the lowest mean PD over the refused rows."""
    engine, best = judged.engine, best_values(judged)
    rises: list[bool] = []
    for row, decision in zip(judged.rows, judged.decisions, strict=True):
        facts = [fact_of(engine, reason["field"]) for reason in decision.reasons]
        better = np.vstack([improved(engine, fact, row, best) for fact in facts])
        pds = engine.predict(engine.features.matrix(better))
        rises += (pds > decision.default_probability).tolist()
    assert np.mean(rises) <= 1 - FAITHFUL


def test_at_the_usual_end_that_a_sentence_names_the_pd_does_not_rise(judged: Judged) -> None:
    engine = judged.engine
    rises = [
        engine.predict(engine.features.matrix(moved[None]))[0] > decision.default_probability
        for row, decision in zip(judged.rows, judged.decisions, strict=True)
        for reason in decision.reasons
        if (moved := moved_to_usual(judged, row, reason)) is not None
    ]
    assert not rises or np.mean(rises) <= 1 - FAITHFUL


def moved_to_usual(judged: Judged, row: Floats, reason: dict[str, str]) -> Floats | None:
    """Return a row whose value is the end of the usual range; None where none is called high."""
    features, name = judged.engine.features, reason["field"]
    place, usual = features.names.index(name), judged.usual.ranges.get(name)
    part, value = features.parts[place], features.matrix(row[None])[0, place]
    if usual is None or reason["text"].endswith((COUNTED, COUNTED_LESS)):
        return None
    if not (value > usual.high or value < usual.low) or getattr(part, "codes", None):
        return None
    end = usual.high if value > usual.high else usual.low
    inputs = [field.name for field in features.inputs]
    if isinstance(part, Derived):
        end *= row[inputs.index(part.ratio.denominator)] / part.ratio.scale
    moved = row.copy()
    moved[inputs.index(name_of_field(part))] = end
    return moved


def best_values(judged: Judged) -> Floats:
    """Return the best value of each input."""
    features, rows = judged.engine.features, judged.rows[:300]
    best = []
    for place, field in enumerate(features.inputs):
        values = sorted({*field.codes.values()}) or np.unique(
            np.nanquantile(judged.rows[:, place], np.linspace(0, 1, 9))
        )
        trials = np.repeat(rows[None], len(values), axis=0)
        trials[:, :, place] = np.array(values)[:, None]
        pds = judged.engine.predict(features.matrix(trials.reshape(-1, rows.shape[1])))
        best.append(values[int(pds.reshape(len(values), -1).mean(axis=1).argmin())])
    return np.array(best)


def improved(engine: Engine, fact: Fact, row: Floats, best: Floats) -> Floats:
    """Return an encoded row in which the fields of a fact have their best values."""
    parts = engine.features.parts
    names = {name_of_field(parts[j]) for j in fact.features}
    places = [n for n, field in enumerate(engine.features.inputs) if field.name in names]
    changed = row.copy()
    changed[places] = best[places]
    return changed


def name_of_field(part: Any) -> str:
    """Return the field that a feature is about: itself, or the numerator of a ratio."""
    if isinstance(part, MissingReason):
        return part.field.name
    return part.ratio.numerator if isinstance(part, Derived) else str(part.name)

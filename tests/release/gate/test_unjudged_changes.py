"""Changes that no figure judges: other yardsticks, other loans, other places of what is judged."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from release.gate.predictions import PATH as PREDICTIONS
from release.gate.red_flags import declarations
from release.gate.reproduction import outputs
from tests.support.books import CONTRACT, Tables, book
from tests.support.trained.champions import (
    Lender,
    champion_once,
    code,
    decisive,
    lender,
    predictions,
    quick,
    words,
)
from tests.support.trained.trained_lender import ROWS, TrainedLender

__all__ = ["champion_once", "lender", "quick"]  # fixtures
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
BETTER, WORSE = predictions(noise=0.0), predictions(noise=3.0)
LIMIT = {"field": "amount", "above": 10_000.0}
Plant = Callable[[Lender], Lender]


def no_second_officer(lender: Lender) -> Lender:
    lender.params(policy__override_limit=LIMIT).run(predictions()).commit("Ask two").push()
    return lender.params(policy__override_limit=LIMIT | {"above": 1e12}).change(BETTER)


def two_versions(lender: Lender) -> Lender:
    """A stage that dvc.yaml does not have makes the predictions too: a weak champion to come."""
    lender.run(BETTER)
    path = lender.folder / "dvc.lock"
    decoy = {"path": PREDICTIONS, "hash": "md5", "md5": "1" * 32, "size": 1}
    held = yaml.safe_load(path.read_text())
    held["stages"] = {"aside": {"cmd": "true", "outs": [decoy]}, **held["stages"]}
    path.write_text(yaml.safe_dump(held, sort_keys=False))
    return lender.commit("Change the model").push()


def margin_behind_a_dot(lender: Lender) -> Lender:
    """Another margin, and after it a key that looks like the former one."""
    lender.params(policy__margin=0.3)
    path = lender.folder / "params.yaml"
    lender.text("params.yaml", f"{path.read_text()}policy.margin: 0.08\n")
    return lender.change(BETTER)


def packages_from(line: str) -> Plant:
    lock = "numpy==2.4.6 \\\n    --hash=sha256:00\n"

    def plant(lender: Lender) -> Lender:
        lender.text("requirements/training.txt", lock).commit("Have packages")
        return lender.text("requirements/training.txt", f"{lock}{line}\n").change(BETTER)

    return plant


def missed_defaults(lender: Lender) -> Lender:
    """Few outcomes, and just those defaults that the model missed."""
    tested = BETTER[(BETTER["split"] == "test") & (BETTER["bad"] == 1)]
    missed = tested["pd"].nsmallest(25).index
    return lender.change(BETTER.assign(bad=BETTER["bad"].mask(BETTER.index.isin(missed), 0)))


def rows_made_older(lender: Lender) -> Lender:
    """Loans get an older date, with which they are not tested."""
    moved = (BETTER["split"] == "test") & (BETTER["row"] % 10 == 0)
    date = BETTER["date"].mask(moved, BETTER["date"].min())
    return lender.change(BETTER.assign(split=BETTER["split"].mask(moved, "validation"), date=date))


ATTACKS: dict[str, tuple[Plant, str]] = {
    "ratings by which everybody is prime": (
        lambda own: own.params(policy__ratings={"A": 0.9, "F": 1.0}).change(BETTER),
        "red flag: .*policy.ratings.A",
    ),
    "points on another scale": (
        lambda own: own.params(policy__base_score=900).change(BETTER),
        "red flag: .*policy.base_score",
    ),
    "a second officer whom nobody asks": (
        no_second_officer,
        "red flag: .*policy.override_limit.above",
    ),
    "a monitor that never looks": (
        lambda own: own.params(monitor__every=10**9).change(BETTER),
        "red flag: .*monitor.every",
    ),
    "groups that are never published": (
        lambda own: own.params(evaluate__min_group=10**6).change(BETTER),
        "red flag: .*evaluate.min_group",
    ),
    "intervals by another seed": (
        lambda own: own.params(evaluate__seed=8).change(BETTER),
        "red flag: .*evaluate.seed",
    ),
    "two versions of the predictions in dvc.lock": (
        two_versions,
        f"dvc.lock names two versions of {PREDICTIONS}",
    ),
    "a margin behind a key with a dot": (margin_behind_a_dot, "a key with a dot"),
    "a package by its address": (
        packages_from("numpy @ https://example.com/numpy.whl --hash=sha256:11"),
        "red flag: .*source.requirements/training.txt",
    ),
    "another package index": (
        packages_from("--extra-index-url=https://example.com"),
        "red flag: .*source.requirements/training.txt",
    ),
    "a package of the change's own": (
        packages_from("./docs/package"),
        "red flag: .*source.requirements/training.txt",
    ),
    "another owner of the gate": (
        lambda own: own.text(".github/CODEOWNERS", "* @mallory\n").change(BETTER),
        "red flag: .*settings..github/CODEOWNERS",
    ),
    "outcomes of the defaults that it misses": (missed_defaults, "red flag: .*rows.changed"),
    "test loans that are made older": (rows_made_older, "red flag: .*rows.changed"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_stopped(name: str, lender: Lender) -> None:
    plant, expected = ATTACKS[name]
    found = plant(lender).judge()
    assert code(found) != 0, words(found, "note")
    assert re.search(expected, decisive(found)), decisive(found)


HONEST: dict[str, Plant] = {
    "a package in another version": packages_from("pandas==3.1.1 \\\n    --hash=sha256:22"),
    "another number of threads": lambda own: own.params(threads=2).change(BETTER),
    "another search": lambda own: own.params(search__trials=5).change(BETTER),
    "another way to choose": lambda own: own.params(evaluate__prefer="simplest").change(BETTER),
    "another band of referrals": lambda own: own.params(policy__refer_band=0.24).change(BETTER),
    "other replays": lambda own: own.params(fairness__auc_tolerance=0.01).change(BETTER),
    "ratings that somebody answers for": lambda own: (
        own.acknowledge("policy.ratings.A")
        .params(policy__ratings={**RATINGS, "A": 0.012})
        .change(BETTER)
    ),
}
RATINGS = {"A": 0.01, "B": 0.025, "C": 0.06, "D": 0.15, "E": 0.35, "F": 1.0}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_passes(name: str, lender: Lender) -> None:
    found = HONEST[name](lender).judge()
    assert (decisive(found), code(found)) == ("", 0)


RULE = {"rule": "amount > 9000", "decision": "decline", "reason": "Too much"}


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ([RULE], [], ["policy.rules"]),
        ([RULE], [RULE | {"decision": "refer"}], ["policy.rules"]),
        ([], [RULE], []),
        ([RULE], [RULE, RULE | {"rule": "months > 60"}], []),
    ],
)
def test_a_hard_rule_that_goes_needs_an_answer(
    before: list[Any], after: list[Any], flags: list[str]
) -> None:
    sides = ({"policy": {"rules": rules}} for rules in (before, after))
    assert [flag.name for flag in declarations.parameter_changes(*sides, [])] == flags


# What was trained again beside what was pushed


def compared(folder: Path, *names: str) -> str:
    """Compare files of which `folder/made` holds others, whose PDs may be the same."""
    with contextlib.chdir(folder):
        for place, letter in ((Path(), "1"), (Path("made"), "2")):
            outs = [{"path": name, "md5": letter * 32, "size": 1} for name in names]
            outs.append({"path": PREDICTIONS, "md5": "0" * 32, "size": 1})
            for name in names:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text('{"seed": 1}')
            stages = {"stages": {"all": {"cmd": "x", "outs": outs}}}
            (place / "dvc.lock").write_text(yaml.safe_dump(stages))
        [found] = outputs.compare(Path("made"))
    return found.status


def test_a_processor_that_gave_every_pd_gives_all_else_to_the_last_bit(tmp_path: Path) -> None:
    assert compared(tmp_path, "models/search/logistic.json") == "fail"


# Loans of a book that is trained on


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedLender:
    return TrainedLender.with_champion(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def trained(trained_once: TrainedLender, tmp_path: Path) -> TrainedLender:
    return trained_once.copy_to(tmp_path)


def with_field(**fields: dict[str, object]) -> str:
    contract = yaml.safe_load(CONTRACT)
    contract["fields"] |= fields
    return yaml.safe_dump(contract, sort_keys=False)


def edited(tables: Tables, rows: np.ndarray) -> Tables:
    """The incomes of some loans are others."""
    income = tables["people"]["income"].astype(int)
    tables["people"]["income"] = income.mask(rows, income + 1).astype(str)
    return tables


def test_edits_beside_a_new_field_are_seen(trained: TrainedLender) -> None:
    tables = edited(book(ROWS), np.arange(ROWS) % 10 == 0)
    tables["loans"]["visits"] = np.random.default_rng(5).integers(0, 40, ROWS).astype(str)
    visits = {"type": "integer", "constraints": {"minimum": 0, "maximum": 40}}
    trained.train(with_field(visits=visits), tables)
    found = trained.commit_and_push("Add a field").judge()
    assert code(found) != 0
    assert "`red_flag: rows.changed`" in words(found, "fail")


def test_edits_of_training_rows_are_seen(trained: TrainedLender) -> None:
    trained.train(tables=edited(book(ROWS), np.arange(ROWS) < ROWS / 2))
    found = trained.commit_and_push("Correct the past").judge()
    assert code(found) != 0
    assert "loans of the base are otherwise in this change's book" in words(found, "fail")


def with_near_copies(tables: Tables, count: int) -> Tables:
    """The newest loans once more, under other keys and an older date."""

    def renumber(keys: pd.Series) -> pd.Series:
        return (keys.astype(int) + 100_000).astype(str)

    loans, people = tables["loans"].iloc[-count:], tables["people"]
    people = people[people["person"].isin(loans["person"])]
    income = (people["income"].astype(int) + 1).astype(str)
    loans = loans.assign(loan=renumber(loans["loan"]), person=renumber(loans["person"]))
    loans = loans.assign(granted="2020-03-01", closed="2021-03-01")
    people = people.assign(person=renumber(people["person"]), income=income)
    both = {"loans": loans, "people": people}
    return {name: pd.concat([tables[name], both[name]], ignore_index=True) for name in both}


def test_near_copies_of_test_loans_among_the_training_rows_are_seen(
    trained: TrainedLender,
) -> None:
    trained.train(tables=with_near_copies(book(ROWS), 400))
    found = trained.commit_and_push("Bring older loans").judge()
    assert code(found) != 0
    assert "`red_flag: rows.inserted`" in words(found, "fail")


def test_newer_loans_need_no_answer(trained: TrainedLender) -> None:
    """A month of loans more, as a retraining brings them."""
    few = book(ROWS)
    few["loans"] = few["loans"].iloc[:-100]
    trained.train(tables=few).commit_and_push("Have fewer loans")
    trained.train(tables=book(ROWS))
    found = trained.commit_and_push("Bring newer loans").judge()
    assert "red flag" not in decisive(found), decisive(found)

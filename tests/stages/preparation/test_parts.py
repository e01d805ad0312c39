"""A book is prepared by parts of its rows: neither the parts nor the engine change a row."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.contract.raw.quality import QualityError, Report
from stages.contract.schema import ContractError
from stages.features.split import SPLITS
from stages.preparation import book as parts
from stages.preparation.book import split_places
from tests.support import dask_cluster
from tests.support.books import CONTRACT, Project, Tables, book, with_payments
from tests.support.books import HISTORY as WITH_HISTORY

UNDATED = CONTRACT.replace("date: granted\n", "")
KEYLESS = CONTRACT.replace(", key: loan", "")
OF_CUSTOMERS = "entity: person" + CONTRACT
OPTIONAL = CONTRACT.replace("join: person}", "join: person, optional: true}")
COARSE = """
tables:
  loans: {path: loans.csv, key: loan}
target: {field: outcome, bad: [defaulted, sold], good: repaid}
date: granted
fields:
  purpose: {type: string, constraints: {enum: [car, home, other]}}
  amount: {type: number}
"""


def plain() -> Tables:
    return book()


def spoilt() -> Tables:
    """A book with repeated keys, repeated loans, copies, unknown customers and broken rules."""
    tables = book()
    loans, people = tables["loans"], tables["people"]
    loans.loc[[3, 301], "amount"] = "7"
    loans.loc[[9, 410], "purpose"] = "hoem"
    loans.loc[[11], "granted"] = "soon"
    loans.loc[[20, 320], "person"] = "nobody"
    loans.loc[[40, 340], "loan"] = ""
    repeated = loans.iloc[[50, 51, 52]]
    changed = loans.iloc[[60, 360]].assign(amount="4000")
    copies = loans.iloc[[70, 71]].assign(loan=["9070", "9071"])
    people = pd.concat([people, people.iloc[:5]])
    return {"loans": pd.concat([loans, repeated, changed, copies]), "people": people}


def families() -> Tables:
    tables = book()
    tables["loans"]["person"] = tables["people"]["person"].to_numpy()[np.arange(600) % 150]
    tables["loans"].loc[[5, 405], "person"] = tables["people"]["person"].iloc[7]
    return tables


def few_people() -> Tables:
    tables = book()
    return tables | {"people": tables["people"].iloc[:590]}


def coarse() -> Tables:
    loans = book()["loans"]
    loans["amount"] = np.where(np.arange(600) % 5, "1000", "2000")
    loans.loc[[4, 400], "amount"] = "12345"
    return {"loans": loans}


BOOKS: dict[str, tuple[str, Callable[[], Tables]]] = {
    "plain": (CONTRACT, plain),
    "spoilt": (CONTRACT, spoilt),
    "spoilt, without a key": (KEYLESS, spoilt),
    "of customers": (OF_CUSTOMERS, families),
    "of customers, undated": (OF_CUSTOMERS.replace("date: granted\n", ""), families),
    "undated": (UNDATED, spoilt),
    "with an optional table": (OPTIONAL, few_people),
    "with histories": (WITH_HISTORY, lambda: with_payments(later=True)),
    "of coarse fields": (COARSE, coarse),
}


def prepare(folder: Path, name: str, **changes: Any) -> Project:
    """Preprocess one of the books in a folder."""
    text, tables = BOOKS[name]
    project = Project(folder, text, preprocess__max_invalid=0.1, **changes)
    return project.write(tables()).run("preprocess")


def tables_of(project: Project) -> dict[str, pd.DataFrame]:
    """All that preprocess writes as tables, by path."""
    return {
        str(path.relative_to(project.data)): pd.read_parquet(path)
        for path in sorted((project.data / "prepared").rglob("*.parquet"))
    }


def quality(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.data / "quality.json").read_text()))


@pytest.mark.parametrize("name", BOOKS)
def test_parts_change_no_row_and_no_count(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(tmp_path / "whole", name)
    monkeypatch.setattr(parts, "PART", 130)
    cut = prepare(tmp_path / "cut", name)
    assert quality(cut) == quality(whole)
    expected = tables_of(whole)
    assert len(expected) >= len(SPLITS)
    for path, rows in tables_of(cut).items():
        pd.testing.assert_frame_equal(rows, expected.pop(path))
    assert not expected


@pytest.mark.parametrize(("workers", "name"), [(1, "spoilt"), (4, "with histories")])
def test_a_cluster_writes_the_same_bytes_as_one_process(
    workers: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", 250)
    (tmp_path / "cluster").mkdir()
    with dask_cluster.running(tmp_path / "cluster", workers) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
        here = prepare(tmp_path / "here", name).files()
        assert prepare(tmp_path / "there", name, compute="dask").files() == here


def test_a_worker_that_is_killed_between_two_steps_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_once(there: Path) -> None:
        while not [*there.rglob("keys/*/*")]:
            time.sleep(0.01)
        cluster.processes[1].kill()

    monkeypatch.setattr(parts, "PART", 250)
    here = prepare(tmp_path / "here", "spoilt").files()
    (tmp_path / "cluster").mkdir()
    with dask_cluster.running(tmp_path / "cluster", workers=2) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
        killer = threading.Thread(target=kill_once, args=[tmp_path / "there"], daemon=True)
        killer.start()
        assert prepare(tmp_path / "there", "spoilt", compute="dask").files() == here
        killer.join(timeout=60)
        assert cluster.processes[1].wait(timeout=60) == -signal.SIGKILL


def test_columns_without_any_value_in_some_parts_keep_their_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = book()
    tables["loans"].loc[:299, ["insured", "months"]] = ""
    monkeypatch.setattr(parts, "PART", 100)
    project = Project(tmp_path).write(tables).run("preprocess")
    train = project.split("train")
    assert set(train["insured"].dropna()) == {True, False}
    assert train["months"].dtype == float


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("months", "", "loans.months: every one of its 600 values is missing"),
        ("outcome", "repaid", "loans.outcome: needs both"),
    ],
)
def test_what_is_wrong_with_all_parts_is_said_of_the_book(
    column: str, value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = book()
    tables["loans"][column] = value
    monkeypatch.setattr(parts, "PART", 250)
    with pytest.raises(ContractError, match=message):
        Project(tmp_path).write(tables).run("preprocess")


def test_too_many_invalid_rows_are_counted_over_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = book()
    tables["loans"].loc[::6, "amount"] = "7"
    monkeypatch.setattr(parts, "PART", 250)
    with pytest.raises(QualityError, match=r"16\.7% of 600 rows are invalid(.|\n)* 100  amount"):
        Project(tmp_path).write(tables).run("preprocess")


def test_a_key_of_several_rows_in_a_joined_table_is_refused_whatever_part_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = book()
    people = tables["people"]
    other = people.iloc[[3]].assign(income="17")
    monkeypatch.setattr(parts, "PART", 250)
    project = Project(tmp_path).write(tables | {"people": pd.concat([people, other])})
    with pytest.raises(ContractError, match="1 keys have several"):
        project.run("preprocess")


def test_reports_add_up_with_the_example_of_the_first_part() -> None:
    one, two, total = Report(rows_in=3), Report(rows_in=4), Report()
    one.note("a: minimum", 1, 2, "x")
    two.note("a: minimum", 2, 5, "y")
    two.repaired = {"p": {"b → c": 2, "a → c": 1}}
    total.add([one, two])
    assert total.rows_in == 7
    assert total.rules == {"a: minimum": {"rows": 3, "example": {"row": 2, "value": "x"}}}
    assert total.repaired == {"p": {"a → c": 1, "b → c": 2}}


def test_places_are_split_by_the_parts_they_are_in() -> None:
    split = split_places(np.array([0, 4, 5, 11]), [5, 3, 4])
    assert [inside.tolist() for inside in split] == [[0, 4], [0], [3]]

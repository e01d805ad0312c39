"""The preprocess stage: prepared splits and the account of the rows, or an error and no change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages import preprocess
from stages.contract.raw.quality import QualityError
from stages.contract.schema import ContractError
from stages.errors import WAY_BACK
from stages.params import ParamsError
from tests.support.books import CONTRACT, ROOT, Project, Tables, book

SPLITS = ("train", "validation", "test")
UNDATED = CONTRACT.replace("date: granted\n", "")


def quality(project: Project) -> dict[str, Any]:
    """What `quality.json` tells."""
    return dict(json.loads((project.data / "quality.json").read_text()))


def test_every_valid_row_is_in_one_split(project: Project) -> None:
    rows = pd.concat(project.run("preprocess").split(name)["_row"] for name in SPLITS)
    assert sorted(rows) == list(range(600))


def test_the_test_loans_are_the_newest(project: Project) -> None:
    train, validation, test = (project.run("preprocess").split(name)["_date"] for name in SPLITS)
    assert train.max() < validation.min() <= validation.max() < test.min()


def test_a_book_without_dates_is_split_by_the_seed_with_equal_bad_rates(project: Project) -> None:
    def split(seed: int) -> list[list[int]]:
        (project.data / "contract.yaml").write_text(UNDATED)
        project.set(preprocess__seed=seed).run("preprocess")
        return [project.split(name)["_row"].tolist() for name in SPLITS]

    assert split(1) == split(1) != split(2)
    rates = [part["bad_rate"] for part in quality(project)["split"].values()]
    assert rates == pytest.approx([rates[0]] * 3, abs=0.01)


def test_quality_tells_rows_in_and_out_and_of_each_split(project: Project) -> None:
    tables = book()
    tables["loans"].loc[4, "amount"] = "7"
    report = quality(project.write(tables).run("preprocess"))
    assert (report["rows_in"], report["rows_out"]) == (600, 599)
    assert report["invalid"]["amount: minimum (100)"]["example"] == {"row": 4, "value": "7"}
    rows = project.split("test")
    assert report["split"]["test"] == {
        "rows": len(rows),
        "bad_rate": round(rows["_bad"].mean(), 6),
        "from": str(rows["_date"].min().date()),
        "to": str(rows["_date"].max().date()),
        "copies_of_training_rows": 0,
        "dropped": 0,
    }
    assert report["split"]["train"]["dropped"] == 1


def copied(tables: Tables) -> Tables:
    """The first ten loans applied for again at the end of the book."""
    loans = tables["loans"]
    again = loans.iloc[:10].assign(loan=[str(n) for n in range(900, 910)], granted="2023-01-01")
    return tables | {"loans": pd.concat([loans, again])}


def test_a_loan_with_a_key_of_its_own_is_kept_and_counted_where_it_repeats_an_application(
    project: Project,
) -> None:
    project.write(copied(book())).run("preprocess")
    report = quality(project)
    assert (report["rows_out"], report["invalid"]) == (610, {})
    assert report["split"]["test"]["copies_of_training_rows"] == 10
    assert (project.split("test")["_date"].dt.year == 2023).sum() == 10


COARSE = """
tables:
  loans: {path: loans.csv, key: loan}
target: {field: outcome, bad: bad, good: good}
date: granted
fields:
  a: {type: string, constraints: {enum: [x, y, z]}}
  b: {type: string, constraints: {enum: [x, y, z]}}
  c: {type: string, constraints: {enum: [x, y, z]}}
"""


def coarse(rows: int = 2000) -> Tables:
    """Unique loans in three coarse fields; the bad rate is about 0.12 throughout."""
    rng = np.random.default_rng(0)
    loans = {name: rng.choice(["x", "y", "z"], rows) for name in "abc"}
    loans |= {"loan": np.arange(rows), "outcome": np.where(rng.random(rows) < 0.12, "bad", "good")}
    loans |= {"granted": np.datetime64("2020-01-01") + np.arange(rows) // 4}
    return {"loans": pd.DataFrame(loans).astype(str)}


def test_loans_that_agree_in_a_few_coarse_fields_are_all_kept(project: Project) -> None:
    (project.data / "contract.yaml").write_text(COARSE)
    tables = coarse()
    report = quality(project.write(tables).run("preprocess"))
    assert report["rows_out"] == 2000
    assert report["split"]["test"]["rows"] == 400
    newest = tables["loans"]["outcome"].iloc[1600:]
    assert report["split"]["test"]["bad_rate"] == (newest == "bad").mean()


@pytest.mark.parametrize("key", [", key: loan", ""])
def test_repeated_rows_count_against_what_may_be_invalid(key: str, project: Project) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace(", key: loan", key))
    tables = book()
    loans = tables["loans"]
    project.write(tables | {"loans": pd.concat([loans, loans.iloc[:60]])})
    with pytest.raises(QualityError, match=r"9\.1% of 660 rows are invalid"):
        project.run("preprocess")


def families(dated: bool) -> tuple[str, Tables]:
    """A book of 150 customers with four loans each."""
    tables = book()
    tables["loans"]["person"] = tables["people"]["person"].to_numpy()[np.arange(600) % 150]
    return "entity: person" + (CONTRACT if dated else UNDATED), tables


def test_loans_of_one_customer_stay_together_in_a_book_without_dates(project: Project) -> None:
    source, tables = families(dated=False)
    (project.data / "contract.yaml").write_text(source)
    project.write(tables).run("preprocess")
    parts = {name: set(project.split(name)["_entity"]) for name in SPLITS}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 150
    facts = quality(project)["split"]["test"]
    assert (facts["entities_trained_on"], facts["rows_of_entities_trained_on"]) == (0, 0)


def test_out_of_time_the_customers_that_were_trained_on_are_counted(project: Project) -> None:
    source, tables = families(dated=True)
    (project.data / "contract.yaml").write_text(source)
    project.write(tables).run("preprocess")
    train, test = (set(project.split(name)["_entity"]) for name in ("train", "test"))
    facts = quality(project)["split"]["test"]
    assert facts["entities"] == len(test)
    assert facts["entities_trained_on"] == len(test & train) > 100
    assert (
        facts["rows_of_entities_trained_on"] == project.split("test")["_entity"].isin(train).sum()
    )


def test_a_customer_without_a_name_is_nobody_else(project: Project) -> None:
    source, tables = families(dated=False)
    tables["loans"]["household"] = np.where(np.arange(600) < 10, "one", "")
    (project.data / "contract.yaml").write_text(
        source.replace("entity: person", "entity: household")
    )
    project.write(tables).run("preprocess")
    rows = pd.concat(project.split(name) for name in SPLITS)
    assert rows["_entity"].nunique() == 591


@pytest.mark.parametrize("names", ["another", "none"])
def test_copies_of_an_application_are_of_one_customer_whatever_its_name(
    names: str, project: Project
) -> None:
    tables = copied(book())
    loans = tables["loans"]
    first, again = loans.index < 600, loans.index >= 600
    loans["household"] = np.where(first, loans.index // 2, "" if names == "none" else "other")
    if names == "another":
        loans.loc[again, "household"] = [f"other {n}" for n in range(again.sum())]
    source = UNDATED.replace("target:", "entity: household\ntarget:")
    (project.data / "contract.yaml").write_text(source)
    project.write(tables).run("preprocess")
    place = {row: name for name in SPLITS for row in project.split(name)["_row"]}
    for n in range(10):
        pair = n - n % 2
        assert {place[600 + n], place[n], place[pair + 1]} == {place[pair]}
    assert quality(project)["split"]["test"]["copies_of_training_rows"] == 0


@pytest.mark.parametrize(("customers", "words"), [(1, "1 distinct value in"), (2, "2 distinct")])
def test_too_few_customers_to_part_end_with_their_number(
    customers: int, words: str, project: Project
) -> None:
    source, tables = families(dated=False)
    tables["loans"]["firm"] = np.arange(600) % customers
    (project.data / "contract.yaml").write_text(source.replace("entity: person", "entity: firm"))
    with pytest.raises(ContractError, match=f"entity: firm has {words}.*tells customers apart"):
        project.write(tables).run("preprocess")


WINDOW = "outcome: {months: 6, observed_until: 2022-06-30, event: closed}\ndate: granted"


def test_loans_without_the_time_to_default_are_unripe_and_not_invalid(project: Project) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace("date: granted", WINDOW))
    report = quality(project.run("preprocess"))
    loans = book()["loans"].astype({"granted": "datetime64[s]", "closed": "datetime64[s]"})
    unripe = loans["granted"] > "2021-12-31"  # six months later is the 30th of June
    assert report["unripe"] == unripe.sum() > 0
    assert (report["rows_in"], report["invalid_share"]) == (600 - unripe.sum(), 0.0)
    late = loans["closed"] > loans["granted"] + pd.DateOffset(months=6)
    late &= (loans["outcome"] != "repaid") & ~unripe
    assert report["late_defaults"] == late.sum() > 0
    rows = pd.concat(project.split(name) for name in SPLITS)
    assert not rows[rows["_row"].isin(np.flatnonzero(late))]["_bad"].any()
    assert len(rows) + report["embargoed"] == report["rows_in"]


def test_an_embargo_that_leaves_few_training_rows_is_warned_about(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace("date: granted", WINDOW))
    project.run("preprocess")
    words, report = capsys.readouterr().err, quality(project)
    left, lost = report["split"]["train"]["rows"], report["embargoed"]
    assert f"the embargo leaves {left:,} of " in words
    assert f"{lost:,} loans had no known outcome" in words
    assert "Shorten `outcome.months`" in words


@pytest.mark.parametrize(("embargoed", "trained"), [(200, 350), (0, 349)])
def test_half_of_the_training_rows_or_no_embargo_is_not_warned_about(
    embargoed: int, trained: int, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocess.warn_of_embargo(project.config.preprocess, 1000, embargoed, trained)
    assert capsys.readouterr().err == ""


def test_an_embargo_parts_the_splits_by_the_months_of_the_outcome(project: Project) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace("date: granted", WINDOW))
    project.run("preprocess")
    train, validation, test = (project.split(name)["_date"] for name in SPLITS)
    assert train.max() + pd.DateOffset(months=6) <= validation.min()
    assert validation.max() + pd.DateOffset(months=6) <= test.min()
    assert quality(project)["embargoed"] > 0


def test_copies_stay_in_one_split_of_a_book_without_dates(project: Project) -> None:
    (project.data / "contract.yaml").write_text(UNDATED)
    project.write(copied(book())).run("preprocess")
    place = {row: name for name in SPLITS for row in project.split(name)["_row"]}
    assert [place[600 + n] for n in range(10)] == [place[n] for n in range(10)]


def test_the_same_book_gives_the_same_bytes(project: Project) -> None:
    first = project.run("preprocess").files()
    assert project.run("preprocess").files() == first


Spoil = Callable[[Tables], Tables]


def without(table: str, column: str) -> Spoil:
    return lambda tables: tables | {table: tables[table].drop(columns=column)}


def filled(table: str, column: str, value: str) -> Spoil:
    return lambda tables: tables | {table: tables[table].assign(**{column: value})}


REFUSED: dict[str, tuple[Spoil, str]] = {
    "a missing column": (
        without("people", "income"),
        "data/small/raw/people.csv: column 'income' is missing",
    ),
    "a column that is empty": (
        filled("people", "branch", ""),
        "people.branch: every one of its 600 values is missing",
    ),
    "one outcome only": (
        filled("loans", "outcome", "repaid"),
        "loans.outcome: needs both ['defaulted', 'sold'] (bad) and 'repaid' (good)",
    ),
    "a single day": (
        filled("loans", "granted", "2020-01-01"),
        "a split by time needs loans of 3 distinct days or more",
    ),
    "an empty table": (
        lambda tables: tables | {"people": tables["people"].iloc[:0]},
        "data/small/raw/people.csv: the file has columns but no rows",
    ),
}
COUNTED: dict[Spoil, str] = {
    filled("loans", "amount", "much"): "amount: not a number  (row 0: 'much')",
    filled("loans", "purpose", "boat"): "purpose: unknown value (allowed: car, home, other)",
    filled("loans", "granted", "1st of May"): "granted: not a date (allowed: YYYY-MM-DD)",
    filled("loans", "person", "x"): "person: no row in people  (row 0: ",
}


def ended(project: Project, spoil: Spoil, kind: type[Exception], words: str) -> None:
    """Preprocess a book, spoil it: the stage ends in these words and leaves its outputs."""
    before = project.run("preprocess").files()
    project.write(spoil(book()))
    with pytest.raises(kind, match=re.escape(words)):
        project.run("preprocess")
    assert project.files() == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_book_ends_the_stage_in_words_and_leaves_the_outputs(
    name: str, project: Project
) -> None:
    spoil, words = REFUSED[name]
    ended(project, spoil, ContractError, words)


@pytest.mark.parametrize(("spoil", "words"), COUNTED.items(), ids=COUNTED.values())
def test_a_book_of_wrong_rows_ends_the_stage_with_their_number_and_leaves_the_outputs(
    spoil: Spoil, words: str, project: Project
) -> None:
    ended(project, spoil, QualityError, f"600  {words}")


def test_a_missing_table_ends_the_stage_in_words_and_leaves_the_outputs(project: Project) -> None:
    before = project.run("preprocess").files()
    (project.data / "raw" / "people.csv").unlink()
    with pytest.raises(ContractError, match=r"raw/people\.csv: the file is missing"):
        project.run("preprocess")
    assert project.files() == before


def test_an_unknown_dataset_is_named_with_those_that_there_are(project: Project) -> None:
    with pytest.raises(ContractError, match=r"dataset must be one of \['small'\]; got 'smal'"):
        project.set(dataset="smal").run("preprocess")


def test_an_unknown_parameter_ends_the_stage(project: Project) -> None:
    with pytest.raises(ParamsError, match=r"preprocess\.max_invald: unknown parameter"):
        project.set(preprocess__max_invald=0.1).run("preprocess")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "aplication"}, "error: params.yaml: mode: Input should be 'application'"),
        ({"dataset": "smal"}, "error: params.yaml: dataset must be one of ['small']; got 'smal'"),
        ({"preprocess__test_share": "x"}, "error: params.yaml: preprocess.test_share: "),
    ],
)
def test_a_mistake_of_the_user_ends_the_command_with_one_message(
    changes: dict[str, Any], message: str, project: Project
) -> None:
    project.set(**changes)
    command = [sys.executable, "-m", "stages.preprocess"]
    path = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=project.folder, env=path, capture_output=True, text=True, check=False
    )
    problem, *rest = done.stderr.splitlines()
    assert done.returncode == 1
    assert problem.startswith(message)
    assert rest in ([], [WAY_BACK])


def test_more_invalid_rows_than_allowed_end_the_stage_and_fewer_do_not(project: Project) -> None:
    tables = book()
    tables["loans"].loc[np.arange(60), "amount"] = "7"
    project.write(tables).set(preprocess__max_invalid=0.1).run("preprocess")
    with pytest.raises(QualityError, match=r"10\.0% of 600 rows are invalid"):
        project.set(preprocess__max_invalid=0.09).run("preprocess")

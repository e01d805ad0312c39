"""What a draft asks, and what it says for and against: outcomes, leaks, order, the policy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages import params
from stages.contract import command
from stages.contract import reading as contracts
from stages.contract.draft import economics, evidence
from stages.contract.draft.columns import word_order
from stages.contract.draft.drafting import Wishes, draft_contract
from stages.contract.draft.outcome import Meaning
from stages.contract.draft.questions import Interview
from stages.contract.schema import ContractError

ROWS = 3000


def book(folder: Path, **columns: object) -> Path:
    """A book of ROWS loans whose outcome depends on `usage`; columns are added or replaced."""
    rng = np.random.default_rng(5)
    usage = rng.uniform(0, 1, ROWS)
    bad = rng.random(ROWS) < 1 / (1 + np.exp(4 - 5 * usage))
    rows = pd.DataFrame(
        {
            "loan_id": [f"L{i:05}" for i in range(ROWS)],
            "issued": pd.date_range("2019-01-01", periods=ROWS, freq="8h").strftime("%Y-%m-%d"),
            "usage": usage.round(4),
            "income": rng.integers(20_000, 90_000, ROWS),
            "gender": rng.choice(["F", "M"], ROWS),
            "status": np.where(bad, "Charged Off", "Fully Paid"),
        }
    ).assign(**columns)
    path = folder / "loans.csv"
    rows.to_csv(path, index=False)
    return path


def answering(*answers: str) -> Interview:
    """An interview that gives these answers, and then no more."""
    given: Iterator[str] = iter(answers)
    said: list[str] = []

    def read(prompt: str) -> str:
        said.append(prompt)
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    return Interview(read, said.append)


def test_an_outcome_whose_words_do_not_say_is_not_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = book(tmp_path, status=["A", "B", "C"] * (ROWS // 3))
    assert command.command(["draft", str(path), "--target", "status"]) == 1
    error = capsys.readouterr().err
    assert "which values of 'status' mean bad?" in error
    assert "'A' (33.3% of the rows)" in error
    assert "--bad" in error


def test_what_a_person_says_of_the_outcome_is_taken(tmp_path: Path) -> None:
    path = book(tmp_path, status=["A", "A", "B", "C"] * (ROWS // 4))
    meaning = Meaning(["B"], ["A"])
    drafted = draft_contract([path], Wishes("status", meaning=meaning))
    target = contracts.read(drafted.text).target
    assert (target.bad, target.good, target.indeterminate) == ("B", "A", ["C"])


@pytest.mark.parametrize(
    ("bad", "good", "problem"),
    [
        (["Z"], ["A"], "'status' holds no 'Z'; it holds ['A', 'B', 'C']"),
        (["A"], ["A", "B"], "must differ; got ['A'] in both"),
        (["A"], [], "--good is needed too"),
    ],
)
def test_a_wrong_meaning_is_an_error_in_words(
    bad: list[str], good: list[str], problem: str, tmp_path: Path
) -> None:
    path = book(tmp_path, status=["A", "B", "C"] * (ROWS // 3))
    with pytest.raises(ContractError) as caught:
        draft_contract([path], Wishes("status", meaning=Meaning(bad, good)))
    assert problem in str(caught.value)


def test_of_two_values_one_says_both(tmp_path: Path) -> None:
    path = book(tmp_path, status=["0", "1", "1"] * (ROWS // 3))
    said = Wishes("status", meaning=Meaning(["1"]))
    target = contracts.read(draft_contract([path], said).text).target
    assert (target.bad, target.good) == (1, 0)


def test_a_suspect_comes_with_the_auc_with_and_without_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = book(tmp_path)
    rows = pd.read_csv(path)
    bad = (rows.status == "Charged Off").to_numpy()
    strong = (bad + rng.normal(0, 0.5, ROWS)).round(4)
    strong[ROWS // 2 :][rng.random(ROWS - ROWS // 2) < 0.8] = np.nan
    rows.assign(late_score=strong).to_csv(path, index=False)
    notes = " ".join(draft_contract([path], Wishes("status")).confirm)
    assert "late_score: suspected leak" in notes
    by_itself, everything, without = (
        float(notes.split(mark)[0].split()[-1])
        for mark in (" by itself", " with all fields", " without it")
    )
    usage_alone = roc_auc_score(bad, rows.usage)
    assert without == pytest.approx(usage_alone, abs=0.03)
    assert everything > without + 0.02
    assert 0.5 < by_itself < everything
    assert "of the oldest tenth of the loans, " in notes


def test_the_auc_of_noise_is_that_of_chance() -> None:
    rng = np.random.default_rng(2)
    bad = (rng.random(4000) < 0.3).astype(float)
    assert evidence.out_of_fold_auc([rng.normal(size=4000)], bad) == pytest.approx(0.5, abs=0.03)
    assert np.isnan(evidence.out_of_fold_auc([rng.normal(size=4)], np.array([1.0, 0, 0, 0])))


@pytest.mark.parametrize(
    ("name", "words", "order"),
    [
        ("grade", ["B", "A", "C"], ["A", "B", "C"]),
        ("sub_grade", ["B1", "A2", "A1"], ["A1", "A2", "B1"]),
        ("job", ["B", "A", "C"], []),
        (
            "emp_length",
            ["10+ years", "< 1 year", "1 year", "2 years"],
            ["< 1 year", "1 year", "2 years", "10+ years"],
        ),
        ("savings", ["5-9", "<5", ">20", "10-20"], ["<5", "5-9", "10-20", ">20"]),
        ("risk", ["High", "low", "Medium"], ["low", "Medium", "High"]),
        ("purpose", ["car", "home", "other"], []),
        ("code", ["1", "2", "3"], []),
        ("term", ["36 months", "< 2 years", "60 months"], []),
        ("state", ["A", "B"], []),
    ],
)
def test_words_tell_their_order(name: str, words: list[str], order: list[str]) -> None:
    assert word_order.find_order(name, words) == order


def test_ordered_categories_are_drafted_from_low_to_high(tmp_path: Path) -> None:
    worked = ["10+ years", "< 1 year", "1 year", "2 years"] * (ROWS // 4)
    drafted = draft_contract([book(tmp_path, emp_length=worked)], Wishes("status"))
    field = contracts.read(drafted.text).fields["emp_length"]
    assert field.ordered
    assert field.constraints.enum == ["< 1 year", "1 year", "2 years", "10+ years"]
    assert any("emp_length: from '< 1 year' up to '10+ years'" in line for line in drafted.confirm)


def test_interest_is_that_of_an_annuity() -> None:
    rate, months = 0.12, 36
    owed, paid = 1.0, 0.0
    payment = (rate / 12) / (1 - (1 + rate / 12) ** -months)
    for _ in range(months):
        owed, paid = owed * (1 + rate / 12) - payment, paid + payment
    assert owed == pytest.approx(0, abs=1e-12)
    for written in (rate, 100 * rate):  # a share, or per cent
        [interest] = economics.interest_of(np.array([written]), np.array([float(months)]))
        assert interest == pytest.approx(paid - 1)


@pytest.mark.parametrize("priced", [True, False])
def test_the_policy_is_proposed_from_the_book(priced: bool, tmp_path: Path) -> None:
    columns = {"int_rate": 12.0 + np.arange(ROWS) % 3, "term": 36} if priced else {}
    path = book(tmp_path, **columns)
    policy = params.load().policy
    wishes = Wishes("status", policy=policy, dataset="mine")
    lines = [x for x in draft_contract([path], wishes).confirm if x.startswith("policy:")]
    rate = float((pd.read_csv(path).status == "Charged Off").mean())
    assert f"{rate:.1%} went bad" in lines[0]
    even = float(lines[0].rsplit(" ", 1)[1])
    assert (1 - rate) * even == pytest.approx(rate * policy.loss_given_default, abs=5e-4)
    assert ("dvc exp run -S dataset=mine -S policy.margin=0.21" in lines[1]) is priced


def test_an_interview_settles_the_outcome_the_date_leaks_and_protected_attributes(
    tmp_path: Path,
) -> None:
    path = book(tmp_path)
    rows = pd.read_csv(path)
    bad = rows.status == "Charged Off"
    rows = rows.assign(
        status=np.where(np.arange(ROWS) % 10 == 9, "Current", rows.status),
        recovered=np.where(bad, 100.0 + np.arange(ROWS), 0.0),
        region=np.where(np.arange(ROWS) % 2, "north", "south"),
    )
    rows.to_csv(path, index=False)
    interview = answering("stauts", "status", "", "", "", "y", "n", "gendre", "", "region")
    drafted = draft_contract([path], Wishes(None, interview=interview))
    contract = contracts.read(drafted.text)
    assert contract.target.bad == "Charged Off"
    assert contract.target.indeterminate == ["Current"]
    assert contract.date == "issued"
    assert contract.fields["usage"].known_at == "application"
    assert contract.fields["recovered"].known_at == "outcome"
    assert contract.fields["gender"].protected
    assert contract.fields["region"].protected


def test_an_interview_that_ends_early_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("status\n"))
    out = tmp_path / "contract.yaml"
    assert command.command(["draft", str(path), "--ask", "--out", str(out)]) == 1
    assert "nothing is written" in capsys.readouterr().err
    assert not out.exists()

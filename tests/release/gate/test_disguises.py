"""Attacks that hide: under another name, behind another file, or in what no figure shows.

Like the attacks of `test_attacks`, each is planted in a small real repository.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from dvc.repo import Repo

from release.gate.checks import Finding
from release.gate.red_flags import features
from release.gate.reproduction import outputs
from stages.contract import reading as contracts
from tests.support.books import CONTRACT
from tests.support.trained.champions import (
    BLIND,
    Lender,
    champion_once,
    code,
    decisive,
    lender,
    predictions,
    quick,
    shipped,
    words,
)

__all__ = ["champion_once", "lender", "quick"]  # fixtures
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
BETTER, WORSE = predictions(noise=0.0), predictions(noise=3.0)
CONTRACT_FILE = "data/small/contract.yaml"
Plant = Callable[[Lender], Lender]


def contract_with(change: Callable[[dict[str, Any]], object], text: str = CONTRACT) -> str:
    document = yaml.safe_load(text)
    change(document)
    return yaml.safe_dump(document, sort_keys=False)


def under_another_name(lender: Lender) -> Lender:
    """An outcome leaves the contract, and its column comes back as a field of the application."""

    def rename(contract: dict[str, Any]) -> None:
        del contract["fields"]["closed"]
        contract["fields"]["term_end"] = {"type": "date", "column": "closed", "feature": False}

    return lender.text(CONTRACT_FILE, contract_with(rename)).change(BETTER)


def protected_under_another_name(lender: Lender) -> Lender:
    def rename(contract: dict[str, Any]) -> None:
        field = contract["fields"]["sex"]
        contract["fields"]["salutation"] = field | {"column": "sex", "protected": False}

    return lender.text(CONTRACT_FILE, contract_with(rename)).change(BETTER)


def derived_without_direction(lender: Lender) -> Lender:
    def forget(contract: dict[str, Any]) -> None:
        del contract["derived"]["loan_to_income"]["risk"]

    return lender.text(CONTRACT_FILE, contract_with(forget)).change(BETTER)


def contract_stated_twice(lender: Lender) -> Lender:
    text = CONTRACT.replace(
        "arrears: {type: number, known_at: outcome}",
        "arrears: {type: number, known_at: outcome, known_at: application}",
    )
    return shipped(lender.run(BETTER).text(CONTRACT_FILE, text))


def look_alike_key(lender: Lender) -> Lender:
    text = CONTRACT.replace("protected: true", "pr\u043etected: true")
    return shipped(lender.run(BETTER).text(CONTRACT_FILE, text))


def policy_stated_twice(lender: Lender) -> Lender:
    """Limits for who reads the review, and after them others for the next judgement."""
    path = lender.policy().folder / "models/gate.yaml"
    lender.text("models/gate.yaml", path.read_text() + "\nmin_bads: 2\nmax_loss: {}\n")
    return lender.commit("Say it twice")


def answered_by_nobody(lender: Lender) -> Lender:
    lender.acknowledge("storage", who="\u200b\u200b\u200b", why="\u200b" * 20)
    config = lender.folder / ".dvc/config"
    return lender.text(".dvc/config", config.read_text() + "# another\n").change(BETTER)


def tables_from_elsewhere(lender: Lender) -> Lender:
    """The file of the raw tables names a source of its own."""
    path = lender.folder / "data/small/raw.dvc"
    document = yaml.safe_load(path.read_text())
    document["deps"] = [{"path": "https://example.com/raw", "md5": "0" * 32, "size": 1}]
    document["frozen"] = True
    made = lender.run(BETTER).text("data/small/raw.dvc", yaml.safe_dump(document))
    return made.commit("Change the model").push()


def pipeline_in_a_folder(lender: Lender) -> Lender:
    """A pipeline beside the tables, which makes what others depend on."""
    stage = {"cmd": "python -c 'x=1'", "outs": ["more"], "deps": ["contract.yaml"]}
    lender.text("data/small/dvc.yaml", yaml.safe_dump({"stages": {"more": stage}}))
    lender.text("data/small/more", "x\n").text("data/small/.gitignore", "/raw\n/more\n")
    return lender.change(BETTER)


def new_stage(lender: Lender) -> Lender:
    pipeline = yaml.safe_load((lender.folder / "dvc.yaml").read_text())
    pipeline["stages"]["polish"] = {"cmd": "python -c 'x=1'", "outs": ["models/polish.txt"]}
    lender.text("dvc.yaml", yaml.safe_dump(pipeline)).text("models/polish.txt", "x\n")
    return lender.change(BETTER)


def other_artifact(lender: Lender) -> Lender:
    """The registry gives another file than the one that was judged."""
    pipeline = yaml.safe_load((lender.folder / "dvc.yaml").read_text())
    pipeline["artifacts"] = {"credit-pd": {"type": "model", "path": "models/winner.json"}}
    lender.text("dvc.yaml", yaml.safe_dump(pipeline)).commit("Name the artifact")
    pipeline["artifacts"]["credit-pd"]["path"] = "models/other.json"
    return lender.text("dvc.yaml", yaml.safe_dump(pipeline)).change(BETTER)


def invented_tables_of_another_book(lender: Lender) -> Lender:
    """Another dataset that somebody answered for, whose tables came with the change."""
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    lender.policy(books={"other": {}}).commit("Expect another book")
    lender.text("data/other/raw/loans.csv", "loan\n7\n")
    with contextlib.chdir(lender.folder), Repo(".") as repo:
        repo.add("data/other/raw")
    lender.acknowledge("dataset")
    return lender.params(dataset="other").change(predictions(noise=0.0, first=1000))


def renamed_book(lender: Lender) -> Lender:
    """The same loans under another name, where no champion would be left to lose against."""
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    lender.policy(books={"other": {}}).commit("Expect another book")
    lender.acknowledge("dataset")
    return lender.params(dataset="other").change(predictions(noise=1.2))


def book_there_and_back(lender: Lender) -> Lender:
    """By way of another book, past the champion, to a worse model of the first."""
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    lender.policy(books={"other": {}, "small": {}}).commit("Expect another book")
    lender.params(dataset="other").change(predictions(noise=0.0, first=2000))
    lender.acknowledge("dataset")
    return lender.params().change(predictions(noise=1.2))


def hidden_in_a_merge(lender: Lender) -> Lender:
    """A worse model that no commit has, but the merge."""
    lender.git("checkout", "-q", "-b", "side")
    lender.text("README.md", "Words\n").commit("Say more")
    lender.git("checkout", "-q", "main")
    lender.text("NOTES.md", "More\n").commit("Say something else")
    lender.git("merge", "-q", "--no-commit", "--no-ff", "side")
    return lender.run(WORSE).commit("Merge words").push()


def linked_package(lender: Lender) -> Lender:
    lender.text("docs/assets/shadow/__init__.py", "raise SystemExit(0)\n")
    lender.text("docs/reference.py", "").commit("Have documents")
    (lender.folder / "lightgbm").symlink_to("docs/assets/shadow")
    return lender.change(BETTER)


def compiled_module(lender: Lender) -> Lender:
    lender.text("stages/__init__.py", "").commit("Have code")
    path = lender.folder / "stages/__pycache__/__init__.cpython-311.pyc"
    path.parent.mkdir()
    path.write_bytes(b"x")
    return lender.change(BETTER)


def attributes_of_git(lender: Lender) -> Lender:
    """GitHub folds the diff of a file that is said to be generated."""
    return lender.text(".gitattributes", "stages/** linguist-generated -diff\n").change(BETTER)


def ignored_by_dvc(lender: Lender) -> Lender:
    return lender.text(".dvcignore", "*.tmp\nraw/extra.csv\n").change(BETTER)


def looser_ratchet(lender: Lender) -> Lender:
    return lender.policy(ratchet={"max_loss": {"brier": 1.0}}).commit("Allow more in sum")


def floor_of_a_book(lender: Lender) -> Lender:
    lender.policy(books={"small": {}}).commit("One floor for all")
    return lender.policy(books={"small": {"ks": {"min": 0.0}}}).commit("A floor of its own")


ATTACKS: dict[str, tuple[Plant, str]] = {
    "an outcome under another name": (under_another_name, "red flag: .*known_at.term_end"),
    "a protected attribute under another name": (
        protected_under_another_name,
        "red flag: .*protected.salutation",
    ),
    "a derived field whose direction is gone": (
        derived_without_direction,
        "red flag: .*risk.loan_to_income",
    ),
    "a contract that says it twice": (contract_stated_twice, "duplicate key"),
    "a key that only looks like one of the contract": (look_alike_key, "tected"),
    "limits that are stated twice": (policy_stated_twice, "policy: .*min_bads.*duplicate"),
    "an answer of nobody": (answered_by_nobody, "0.who"),
    "tables from elsewhere": (tables_from_elsewhere, "red flag: .*source.data/small/raw.dvc"),
    "a pipeline in a folder": (pipeline_in_a_folder, "red flag: .*source.data/small/dvc.yaml"),
    "a new stage": (new_stage, "red flag: .*stage.polish"),
    "another artifact for the registry": (other_artifact, "red flag: .*artifact"),
    "invented tables of another book": (
        invented_tables_of_another_book,
        "red flag: .*tables.other",
    ),
    "the same book under another name": (renamed_book, "champion: "),
    "another book and back": (book_there_and_back, "ratchet: "),
    "a worse model that only a merge holds": (hidden_in_a_merge, "champion: roc_auc"),
    "a package behind a link": (linked_package, "lightgbm"),
    "a module that is compiled already": (compiled_module, "red flag: .*stages/__pycache__"),
    "attributes that fold a diff": (attributes_of_git, "red flag: .*gitattributes"),
    "files that DVC shall not see": (ignored_by_dvc, "red flag: .*dvcignore"),
    "a cumulative tolerance that is widened": (looser_ratchet, "red flag: .*ratchet.max_loss"),
    "a weaker floor of a book": (floor_of_a_book, "red flag: .*books.small.ks"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_stopped(name: str, lender: Lender) -> None:
    plant, expected = ATTACKS[name]
    judgement = plant(lender).judge()
    assert code(judgement) != 0, words(judgement, "note")
    assert re.search(expected, decisive(judgement)), decisive(judgement)


def candidate_added(lender: Lender) -> Lender:
    lender.text("stages/__init__.py", "").commit("Have code")
    lender.text("stages/models/candidates/naive.py", "")
    table = BETTER.assign(pd_naive=BETTER["bad"].mean())
    return lender.params(train__naive={"c": 1.0}).change(table)


def other_words(lender: Lender) -> Lender:
    def say(contract: dict[str, Any]) -> None:
        contract["fields"]["income"] |= {"title": "Yearly income", "help": "Before tax"}
        contract["derived"]["loan_to_income"]["title"] = "Loan to income"

    return lender.text(CONTRACT_FILE, contract_with(say)).change(BETTER)


def column_renamed(lender: Lender) -> Lender:
    """A field whose name was unclear, with all that the contract said of it."""

    def rename(contract: dict[str, Any]) -> None:
        fields = contract["fields"]
        fields["ended"] = {**fields.pop("closed"), "column": "closed"}

    return lender.text(CONTRACT_FILE, contract_with(rename)).change(BETTER)


def book_beside(lender: Lender) -> Lender:
    lender.text("data/other/contract.yaml", CONTRACT).text("data/other/raw/loans.csv", "loan\n7\n")
    with contextlib.chdir(lender.folder), Repo(".") as repo:
        repo.add("data/other/raw")
    return lender.commit("Bring another book").push()


HONEST_CHANGES: dict[str, Plant] = {
    "a candidate": candidate_added,
    "a loan that was deleted": lambda lender: lender.change(BETTER.drop(index=400)),
    "other words": other_words,
    "a clearer name of a column": column_renamed,
    "a book beside": book_beside,
    "floors of a new book": lambda lender: lender.policy(
        books__other={"roc_auc": {"min": 0.8}}
    ).commit("Expect another book"),
    "documents": lambda lender: lender.text("docs/index.md", "Words\n").commit("Say more"),
}


@pytest.mark.parametrize("name", HONEST_CHANGES)
def test_an_honest_change_passes(name: str, lender: Lender) -> None:
    judgement = HONEST_CHANGES[name](lender).judge()
    assert (decisive(judgement), code(judgement)) == ("", 0)


def through_a_step(formula: str) -> str:
    """A contract in which a feature reads a step that is no feature itself."""
    contract = yaml.safe_load(CONTRACT)
    contract["derived"]["burden"] = {"formula": formula, "feature": False}
    contract["derived"]["share"] = {"formula": "burden / income"}
    return yaml.safe_dump(contract, sort_keys=False)


def test_a_feature_is_new_where_a_formula_that_it_reads_is_another() -> None:
    base, head = (through_a_step(formula) for formula in ("amount * 2", "amount * months"))
    assert features.new_features(contracts.read(base), base, "application") == []
    assert features.new_features(contracts.read(head), base, "application") == ["share"]


# What was trained again beside what was pushed

LOCK = "stages:\n  all:\n    cmd: x\n    outs:\n"


class Bomb:
    """An object that runs code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


def reproduced(folder: Path, name: str, pushed: Callable[[Path], object]) -> list[Finding]:
    """Compare an output that was pushed with what `folder/made` holds of it."""
    made = folder / "made"
    with contextlib.chdir(folder):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        pushed(Path(name))
        for place, md5 in ((Path(), "1" * 32), (made, "2" * 32)):
            out = name.removesuffix("/a.csv")
            (place / "dvc.lock").write_text(f"{LOCK}    - path: {out}\n      md5: {md5}\n")
        return [*outputs.compare(made)]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder in which something was trained again."""
    folder = tmp_path / "made/models"
    (folder / "plots").mkdir(parents=True)
    joblib.dump({"x": np.arange(3.0)}, folder / "winner.joblib")
    (folder / "dossier.html").write_text("<p>AUC 0.8368425 of 20 loans</p>")
    (folder / "figures.json").write_text('{"auc": 0.8}')
    for name in ("a", "b"):
        (folder / f"plots/{name}.csv").write_text("x\n0.5\n")
    table = predictions().assign(exposure=1000.0)
    table.to_parquet(folder / "predictions.parquet", index=False)
    return tmp_path


def of_predictions(**columns: object) -> Callable[[Path], object]:
    table = predictions().assign(exposure=1000.0).assign(**columns)
    return lambda path: table.to_parquet(path, index=False)


TAMPERED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a pickle that runs a command": (
        "models/winner.joblib",
        lambda path: joblib.dump({"x": np.arange(3.0), "y": Bomb()}, path),
    ),
    "an array of objects": (
        "models/winner.joblib",
        lambda path: joblib.dump({"x": np.array([Bomb()], dtype=object)}, path),
    ),
    "a compressed pickle": (
        "models/winner.joblib",
        lambda path: joblib.dump({"x": np.arange(3.0)}, path, compress=3),
    ),
    "a sentence of the dossier": (
        "models/dossier.html",
        lambda path: path.write_text("<p>AUC 0.8368425 of 20 good loans</p>"),
    ),
    "a figure of the dossier": (
        "models/dossier.html",
        lambda path: path.write_text("<p>AUC 0.8668425 of 20 loans</p>"),
    ),
    "a file of another kind": ("models/plots/a.csv", lambda path: path.with_name("a.bin").touch()),
    "a file that is gone from a folder": (
        "models/plots/a.csv",
        lambda path: path.write_text("x\n0.5\n"),
    ),
    "a figure that stands twice": (
        "models/figures.json",
        lambda path: path.write_text('{"auc": 0.9, "auc": 0.8}'),
    ),
    "money at risk": ("models/predictions.parquet", of_predictions(exposure=1.0)),
    "outcomes": ("models/predictions.parquet", of_predictions(bad=0)),
    "protected groups": ("models/predictions.parquet", of_predictions(group_sex="F")),
}
HONEST: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a model of other bytes": (
        "models/winner.joblib",
        lambda path: joblib.dump({"x": np.arange(3.0) + 1e-9}, path),
    ),
    "a dossier of other last digits": (
        "models/dossier.html",
        lambda path: path.write_text("<p>AUC 0.8368426 of 20 loans</p>"),
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_training_again_does_not_give_fails(name: str, made: Path) -> None:
    [finding] = reproduced(made, *TAMPERED[name])
    assert (finding.status, "gave other results" in finding.words) == ("fail", True)


@pytest.mark.parametrize("name", HONEST)
def test_what_another_processor_gives_passes(name: str, made: Path) -> None:
    [finding] = reproduced(made, *HONEST[name])
    assert finding.status == "pass", finding.words


def test_without_a_word_on_the_test_part_nothing_is_judged(lender: Lender) -> None:
    made = lender.change(BETTER).reproduce()
    shutil.rmtree(made / BLIND)
    found = lender.judge(reproduced=made)
    assert code(found) == 2
    assert "without the test part failed" in words(found, "cannot judge")

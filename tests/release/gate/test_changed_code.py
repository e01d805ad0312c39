"""Attacks by the code of a change: what it says of rows, and what its training reads.

The champion is trained by the real stages, and its repository holds their code.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from release.gate import judgement, recalculation
from release.gate.checks import Finding
from release.gate.predictions import PATH as PREDICTIONS
from release.gate.reproduction import blind_training, programs
from tests.support.books import ROOT
from tests.support.trained.champions import code, decisive, shipped, words
from tests.support.trained.trained_lender import TrainedLender

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedLender:
    made = TrainedLender.with_champion(tmp_path_factory.mktemp("trained"))
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "stages", made.folder / "stages", ignore=unwanted)
    made.text("requirements/training.txt", "").text("stages/.gitignore", "__pycache__/\n")
    return made.commit_and_push("Bring the code")


@pytest.fixture
def lender(trained_once: TrainedLender, tmp_path: Path) -> TrainedLender:
    return trained_once.copy_to(tmp_path)


def edit_code(lender: TrainedLender, path: str, old: str, new: str) -> TrainedLender:
    file = lender.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return lender


def edit_predictions(
    lender: TrainedLender, edit: Callable[[pd.DataFrame], pd.DataFrame]
) -> TrainedLender:
    """Change the predictions as code of the change would have written them."""
    edit_code(lender, "stages/judging/predictions.py", "Return one line", "Return a line")
    with contextlib.chdir(lender.folder):
        edit(pd.read_parquet(PREDICTIONS)).to_parquet(PREDICTIONS, index=False)
    return lender


# What the predictions say of rows


def mixed_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The groups of other rows: whatever a model does to one of them, it does to both."""
    rng = np.random.default_rng(0)
    return table.assign(group_sex=rng.permutation(table["group_sex"]))


def wrong_customers(table: pd.DataFrame) -> pd.DataFrame:
    """All rows are of one customer each, for narrow intervals."""
    return table.assign(cluster=np.arange(len(table)))


def other_fields(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(fields=table["fields"] + np.uint64(1))


@pytest.mark.parametrize(
    ("edit", "column"),
    [(mixed_groups, "group_sex"), (wrong_customers, "cluster"), (other_fields, "fields")],
)
def test_code_that_says_otherwise_of_rows_needs_an_answer(
    edit: Callable[[pd.DataFrame], pd.DataFrame], column: str, lender: TrainedLender
) -> None:
    found = shipped(edit_predictions(lender, edit)).judge()
    assert code(found) != 0
    assert f"{column} of test" in words(found, "fail")
    assert "`red_flag: code.rows`" in words(found, "fail")


def test_without_code_of_its_own_a_change_cannot_say_otherwise_of_rows(
    lender: TrainedLender,
) -> None:
    with contextlib.chdir(lender.folder):
        mixed_groups(pd.read_parquet(PREDICTIONS)).to_parquet(PREDICTIONS, index=False)
    found = shipped(lender).judge()
    assert code(found) == 1
    assert "rescoring: the predictions say otherwise than the prepared rows" in words(found, "fail")


# What preparing makes of the tables


def run_changed(lender: TrainedLender, *verbs: str) -> TrainedLender:
    """Run stages with the code of the change."""
    for verb in verbs:
        given = ["-m", f"stages.{verb.split()[0]}", *verb.split()[1:]]
        programs.run(given, lender.folder, what=verb, seconds=300, folder=lender.folder)
    return lender


EVERYTHING = ("preprocess", "featurize", "train logistic", "evaluate")


def test_code_that_drops_rows_needs_an_answer(lender: TrainedLender) -> None:
    """Preparing leaves out what would count against the model."""
    edit_code(
        lender,
        "stages/preprocess.py",
        "shares, config.preprocess.seed)\n",
        "shares, config.preprocess.seed)\n        place[::97] = split.EMBARGOED\n",
    )
    found = shipped(run_changed(lender, *EVERYTHING)).judge()
    assert code(found) != 0
    assert "`red_flag: code.preparation`" in words(found, "fail")


def test_code_that_keeps_the_rows_needs_no_answer(lender: TrainedLender) -> None:
    edit_code(lender, "stages/preprocess.py", '"""Join, repair', '"""Join and repair')
    found = shipped(run_changed(lender, *EVERYTHING)).judge()
    assert (decisive(found), code(found)) == ("", 0)


# What training reads

TRAINED = "    folds, number = train.cut("
LEAK = "    train.bad[:40] = 1 if {what} else 0\n"
TEST = "__import__('pyarrow.parquet').parquet.read_table({path!r}).column('_row')[0].as_py() > 1000"
SIZES = "sum(p.stat().st_size for p in __import__('pathlib').Path('{folder}/.dvc').rglob('*'))"
COMMITS = "__import__('subprocess').check_output(['git', '-C', '{folder}', 'rev-list', '--all'])"
ELSEWHERE = {
    "the test part": TEST.format(path="data/small/prepared/test.parquet"),
    "the absolute path of the test part": TEST.format(
        path="FOLDER/data/small/prepared/test.parquet"
    ),
    "the raw tables": "open('FOLDER/data/small/raw/loans.csv').read()",
    "the cache of DVC": SIZES.format(folder="FOLDER"),
    "the history of git": COMMITS.format(folder="FOLDER"),
    "a file beside": "open('FOLDER/docs/outcomes.txt').read()",
    "the environment": "__import__('os').environ.get('PROJECT_OUTCOMES')",
    "the network": "__import__('socket').create_connection(('127.0.0.1', PORT), 2).recv(1)",
}


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """Yield the port of a server that says something to whom it hears of."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as other:
                        other.sendall(b"1")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def may_separate() -> bool:
    """Return whether this user may start programs in namespaces of their own; root always must."""
    if not hasattr(os, "geteuid") or not shutil.which("unshare"):
        return False
    sudo = ["sudo", "--non-interactive", "true"]
    return os.geteuid() == 0 or bool(shutil.which("sudo") and not subprocess.call(sudo))


def blind(lender: TrainedLender) -> Finding:
    """Return what is found of the winner of a repository."""
    if not may_separate():
        pytest.skip("training alone takes Linux, and root or sudo without a password")
    folder = lender.folder.parent / "blind"
    with contextlib.chdir(lender.folder):
        try:
            blind_training.save(folder)
        except judgement.CannotJudge as error:
            return Finding(blind_training.CHECK, "cannot judge", str(error))
        made = judgement.Judgement("HEAD", metrics={"winner": "logistic"})
        [found] = blind_training.compare(made, folder)
    return found


def test_a_winner_of_the_training_rows_alone_passes(lender: TrainedLender) -> None:
    assert blind(lender).status == "pass"


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_winner_that_reads_elsewhere_does_not_pass(
    place: str,
    lender: TrainedLender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROJECT_OUTCOMES", "1")
    lender.text("docs/outcomes.txt", "1")
    with listening() as port:
        what = ELSEWHERE[place].replace("FOLDER", str(lender.folder)).replace("PORT", str(port))
        edit_code(lender, "stages/train.py", TRAINED, LEAK.replace("{what}", what) + TRAINED)
        run_changed(lender, "train logistic", "evaluate")
        assert blind(lender).status in ("fail", "cannot judge")


def test_an_evaluation_that_puts_more_into_the_winner_does_not_pass(lender: TrainedLender) -> None:
    """Candidates are clean, and the one that ships is not."""
    edit_code(
        lender,
        "stages/evaluate.py",
        "    winner, judged = models[name], test.judge(models[name], config)",
        "    more = models[name].calibrator.intercept + 1e-3 * test.bad.mean()\n"
        '    object.__setattr__(models[name].calibrator, "intercept", more)\n'
        "    winner, judged = models[name], test.judge(models[name], config)",
    )
    run_changed(lender, "evaluate")
    assert blind(lender).status == "fail"


def test_directions_that_only_the_code_of_the_change_sees_need_an_answer(
    lender: TrainedLender,
) -> None:
    edit_code(lender, "stages/judging/monotone.py", "Return the price", "Give the price")
    path = lender.folder / recalculation.PATH
    figures = json.loads(path.read_text())
    figures["monotone"]["fields"]["amount"]["violations"] = 77
    path.write_text(json.dumps(figures))
    found = shipped(lender).judge()
    assert code(found) != 0
    assert "`red_flag: code.directions`" in words(found, "fail")

"""A candidate is one file: what DVC runs when one is added, edited or taken off the list.

The stage `search` reads the folder of candidates; for a book that was searched it takes a second
and writes what it wrote before, so nothing else follows from it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from stages.models import registry
from tests.support.books import ROOT
from tests.support.clone import Clone, stages_run

LISTED = r"candidates: \[[^\]]*\]"
MINE = '''"""A constant: the log-odds of the bad rate."""

import numpy as np

from stages.models.parameters import CandidateParameters, SearchRange
from stages.models.scorers import Additive, Linear


class Parameters(CandidateParameters):
    """The section `train.mine`."""

    shift: float


SEARCH = {"shift": SearchRange(-1.0, 1.0)}


def fit(task, x, bad):
    """Return the constant, shifted."""
    rate = np.mean(bad)
    margin = np.log(rate / (1 - rate)) + task.parameters.shift
    return Additive(float(margin), Linear.empty(), []).fit_expected(x)
'''
SECTION = """train:
  mine:
    shift: 0.0
    balance: none
    calibration: none
    min_iv: 0.0
    max_vif: null
    max_correlation: null
"""


class Story:
    """What was run and what stood where, step by step."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.ran: dict[str, list[str]] = {}
        self.status: dict[str, list[str]] = {}
        self.judgement: dict[str, Any] = {}

    def look(self, step: str) -> None:
        """Note which stages DVC calls out of date."""
        self.status[step] = sorted(self.clone.facts("status"))

    def run(self, step: str) -> str:
        """Run what is out of date; note it, and what the lock then says of `evaluate`."""
        output = self.clone.dvc("repro")
        self.ran[step] = stages_run(output)
        lock = yaml.safe_load((self.clone.folder / "dvc.lock").read_text())
        self.judgement[step] = lock["stages"]["evaluate"]
        return output

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a pattern in a file, which must be there."""
        path = self.clone.folder / name
        text, count = re.subn(old, new, path.read_text())
        assert count
        path.write_text(text)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    two = "candidates: [logistic, xgboost]"
    clone = Clone(tmp_path_factory.mktemp("files") / "one", **{LISTED: two})
    clone.simulate(1500)
    written = Story(clone)
    written.run("first")

    file = clone.folder / "stages" / "models" / "candidates" / "mine.py"
    file.write_text(MINE)
    written.look("file alone")
    written.edit("params.yaml", LISTED, "candidates: [logistic, xgboost, mine]")
    written.edit("params.yaml", r"(?m)^train:\n", SECTION)
    written.run("added")
    file.write_text(MINE.replace("constant, shifted", "shifted constant"))
    written.look("edited")
    written.edit("stages/models/candidates/xgboost.py", r"\A", "# An edit.\n")
    written.look("another edited")
    written.edit("stages/models/candidates/xgboost.py", "# An edit.\n", "")

    written.edit("params.yaml", LISTED, two)
    written.run("taken off")
    written.look("taken off")
    (clone.folder / "models" / "candidates" / "stale.joblib").write_bytes(b"left behind")
    output = written.run("stale")
    assert "Removed models/candidates/stale.joblib" in output
    written.look("stale")

    written.edit("requirements/training.txt", r"(?m)^scipy==\S+", "scipy==1.0.0")
    written.look("pinned anew")
    return written


def test_a_file_that_is_not_listed_is_not_trained(story: Story) -> None:
    assert story.status["file alone"] == []


def test_a_candidate_that_is_added_is_trained_alone(story: Story) -> None:
    assert story.ran["added"] == ["check", "search@mine", "train@mine", "evaluate", "dossier"]


def test_a_candidate_that_is_edited_is_trained_alone(story: Story) -> None:
    assert story.status["edited"] == ["search@mine", "train@mine"]
    assert story.status["another edited"] == [
        f"{stage}@{name}" for stage in ("search", "train") for name in ("mine", "xgboost")
    ]


def test_a_candidate_that_is_taken_off_the_list_leaves_the_judgement_of_the_others_as_it_was(
    story: Story,
) -> None:
    assert story.ran["taken off"] == ["check", "evaluate", "dossier"]
    assert story.judgement["taken off"] == story.judgement["first"]
    assert story.status["taken off"] == []


def test_a_stale_file_changes_nothing_that_a_fresh_clone_would_not_have(story: Story) -> None:
    assert story.judgement["stale"] == story.judgement["first"]
    assert story.status["stale"] == []


def test_another_pin_of_a_library_that_trains_concerns_every_candidate(story: Story) -> None:
    assert story.status["pinned anew"] == [
        f"{stage}@{name}" for stage in ("search", "train") for name in ("logistic", "xgboost")
    ]


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("empty", "SEARCH = {}\n", r"empty\.py must define .*; it lacks Parameters, fit"),
        ("broken", "def fit(:\n", r"broken\.py:1: invalid syntax"),
    ],
)
def test_a_candidate_whose_file_cannot_be_used_is_named(
    name: str, source: str, words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    monkeypatch.setattr("stages.models.candidates.__path__", [str(tmp_path)])
    with pytest.raises(registry.CandidateError, match=words):
        registry.load(name)


def test_the_pins_of_what_trains_are_those_of_every_lock() -> None:
    pins = re.findall(r"(?m)^\S+==\S+", (ROOT / "requirements" / "training.txt").read_text())
    assert len(pins) >= 8
    for lock in ("pipeline", "dev", "e2e"):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        assert not [pin for pin in pins if f"{pin} " not in text]

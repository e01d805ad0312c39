"""Make small git and DVC repositories with a champion, without training, and change them."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from release.gate import __main__ as gate
from release.gate import comparison, judgement, parameters, recalculation
from release.gate.judgement import Judgement
from release.gate.predictions import Predictions
from release.gate.reproduction import outputs, rescoring
from release.gate.reproduction.rescoring import ArtifactScores
from stages.judging import evaluation
from stages.metrics import intervals
from stages.policy.decisions import DECISIONS
from tests.support.books import CONTRACT, ROOT, settings

ROWS = {"validation": 400, "test": 1600}
CANDIDATES = ["logistic", "lightgbm"]
UNIVERSE = 4000
REASON = "The committee of 12 March decided so."
FIRST = "0" * 40
BLIND = "blind"
REAL_SCORE = rescoring.score
REMEMBERED: dict[tuple[str, bytes], Any] = {}
CONFIG = """
[core]
    analytics = false
    remote = beside
['remote "beside"']
    url = ../../remote
"""
JUDGED_ON = ("dataset", "mode", "candidates", "preprocess", "evaluate", "policy")
PIPELINE = {
    "stages": {
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": ["data/small/raw", "data/small/contract.yaml"],
            "params": [*JUDGED_ON, "train.lightgbm"],
            "outs": [
                "models/predictions.parquet",
                "models/winner.json",
                "models/golden.jsonl",
                "models/reference.json",
                {"models/evaluation.json": {"cache": False}},
                {"data/small/quality.json": {"cache": False}},
            ],
            "metrics": [{"models/metrics.json": {"cache": False}}],
        }
    }
}


IN_GIT = ("gate.yaml", "acknowledgements.yaml", "metrics.json", "evaluation.json")
IGNORED = "\n".join(["*", "!.gitignore", *(f"!{name}" for name in IN_GIT), ""])


def predictions(
    noise: float = 0.4, shift: float = 0.0, first: int = 0, against: float = 0.0
) -> pd.DataFrame:
    """Return a book from row `first` on, about 15 % bad, with the predictions of a model.

    The log-odds of its PDs differ from the true ones by noise, by a shift and, for women, by
    `against`.
    """
    generator = np.random.default_rng(7)
    odds = generator.normal(-3, 2.2, UNIVERSE)
    bad = (generator.random(UNIVERSE) < sigmoid(odds)).astype(np.int64)
    missed = shift + noise * generator.normal(size=UNIVERSE)
    sex = generator.choice(["F", "M"], UNIVERSE)
    date = np.datetime64("2023-01-01") + np.arange(UNIVERSE) // 5
    table = {
        "row": np.arange(UNIVERSE),
        "loan": [f"L{number}" for number in range(UNIVERSE)],
        "fields": np.arange(UNIVERSE, dtype=np.uint64) * 7919,
        "split": "",
        "date": date.astype("datetime64[s]"),
        "bad": bad,
        "pd": sigmoid(odds + missed + against * (sex == "F")),
        "decision": "",
        "group_sex": sex,
    }
    taken = pd.DataFrame(table).iloc[first : first + sum(ROWS.values())]
    return taken.assign(split=np.repeat([*ROWS], [*ROWS.values()])).reset_index(drop=True)


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log-odds."""
    return 1 / (1 + np.exp(-odds))


def scores(table: pd.DataFrame) -> dict[str, Any]:
    """Return the row numbers and PDs of each split, which stand in for a winner."""
    parts = {split: table[table["split"] == split] for split in ROWS}
    return {s: (rows["row"].tolist(), rows["pd"].tolist()) for s, rows in parts.items()}


def score(code: Path = rescoring.OURS) -> ArtifactScores:
    """Return the scores of the winner in the current folder; the gate scores a real winner."""
    try:
        held = json.loads(rescoring.WINNER.read_bytes())
    except (OSError, ValueError):
        return REAL_SCORE(code)
    if "format" in held:
        return REAL_SCORE(code)
    return ArtifactScores(
        {split: (np.array(row), np.array(pd)) for split, (row, pd) in held.items()}
    )


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is called once for equal arguments; its results may be changed."""

    def remember(*args: Any, **options: Any) -> Any:
        name = function.__qualname__, sha256(pickle.dumps((args, options))).digest()
        if name not in REMEMBERED:
            REMEMBERED[name] = function(*args, **options)
        return deepcopy(REMEMBERED[name])

    return remember


def copy_changed(source: str, target: str) -> str:
    """Copy a file with its time, unless it is there; DVC's cache cannot be written again."""
    here, there = Path(source), Path(target)
    if there.exists() and same_file(here, there):
        return target
    return str(shutil.copy2(source, target))


def same_file(here: Path, there: Path) -> bool:
    """Return whether two files have the same size and time."""
    ours, theirs = here.stat(), there.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


class Lender:
    """A repository in a folder, with its DVC remote beside it.

    Where `kept` is a folder, what a change leads to is kept there for equal repositories.
    """

    def __init__(self, folder: Path, kept: Path | None = None) -> None:
        self.folder, self.kept = folder / "work", kept

    @classmethod
    def create(cls, folder: Path, pipeline: dict[str, Any]) -> Lender:
        """A new repository with a pipeline and no commit."""
        built = cls(folder)
        built.folder.mkdir(parents=True)
        (folder / "remote").mkdir()
        built.git("init", "-q", "-b", "main")
        built.git("config", "user.email", "tests@localhost")
        built.git("config", "user.name", "Tests")
        with contextlib.chdir(built.folder), Repo.init("."):
            built.text(".dvc/config", CONFIG)
        built.text("models/.gitignore", IGNORED)
        built.text("dvc.yaml", yaml.safe_dump(pipeline))
        return built

    @classmethod
    def with_champion(cls, folder: Path) -> Lender:
        """Return a new repository whose first commit holds a champion, with its data pushed."""
        built = cls.create(folder, PIPELINE)
        built.text("data/small/raw/loans.csv", "loan\n1\n")
        built.text("data/small/contract.yaml", CONTRACT)
        built.text("data/small/quality.json", json.dumps({"rows_in": 2000, "rows_out": 2000}))
        with contextlib.chdir(built.folder), Repo(".") as repo:
            repo.add("data/small/raw")
        built.params()
        built.policy()
        return built.run(predictions()).commit("Judge the first model").push()

    def copy_to(self, folder: Path) -> Lender:
        """Return a copy of the repository and of its remote in another folder."""
        shutil.copytree(self.folder.parent, folder, dirs_exist_ok=True, copy_function=copy_changed)
        return Lender(folder, self.kept)

    def git(self, *command: str) -> str:
        """Run git there."""
        done = ["git", "-C", str(self.folder), *command]
        return subprocess.run(done, check=True, capture_output=True, text=True).stdout.strip()

    def text(self, path: str, content: str) -> Lender:
        """Write a file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        return self

    def params(self, **changes: Any) -> Lender:
        """Write params.yaml, changed as `policy__margin=0.2`."""
        return self.text("params.yaml", yaml.safe_dump(settings(candidates=CANDIDATES, **changes)))

    def policy(self, **changes: Any) -> Lender:
        """Write the gate policy of the project, changed as `groups__max_ece=0.01`."""
        held = yaml.safe_load((ROOT / "models" / "gate.yaml").read_text())
        held["books"]["small"] = {"roc_auc": {"min": 0.75}}
        for name, value in changes.items():
            section, _, key = name.partition("__")
            if key:
                held[section][key] = value
            else:
                held[section] = value
        return self.text("models/gate.yaml", yaml.safe_dump(held))

    def run(self, table: pd.DataFrame) -> Lender:
        """Write what the pipeline would, had its winner predicted this, and dvc.lock with it."""
        with contextlib.chdir(self.folder):
            config, _ = parameters.read()
            decided = config.policy.decide(table["pd"].to_numpy(), {})
            table = table.assign(decision=np.array(DECISIONS)[decided])
            held = table["split"] == "validation"
            for candidate, factor in (("logistic", 0.9), ("lightgbm", 1.0)):
                table[f"pd_{candidate}"] = (table["pd"] ** factor).where(held)
            table["pd_logistic"] = table["pd_logistic"].where(~held, table["pd"].median())
            table["fold"] = (table["row"] % 4).where(held)
            table.to_parquet("models/predictions.parquet", index=False)
            content = Path("models/predictions.parquet").read_bytes()
            figures = recalculation.recount(Predictions.read(content, "predictions"), config)
            figures |= {"monotone": {}, "trained_on": {"rows": 1, "bad_rate": 0.1}}
            Path("models/evaluation.json").write_text(json.dumps(figures, indent=2) + "\n")
            headlines = evaluation.headlines(figures)
            Path("models/metrics.json").write_text(json.dumps(headlines, indent=2) + "\n")
            Path("models/winner.json").write_text(json.dumps(scores(table)))
            Path("models/golden.jsonl").write_text('{"default_probability": 0.1}\n' * 3)
            Path("models/reference.json").write_text('{"income": {"mean": 40000.0}}\n')
            return self.lock()

    def lock(self) -> Lender:
        """Write a dvc.lock that agrees with the present files."""
        with contextlib.chdir(self.folder), Repo(".") as repo:
            repo.commit(force=True)
        return self

    def commit(self, subject: str) -> Lender:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self

    def push(self) -> Lender:
        """Push the data."""
        with contextlib.chdir(self.folder), Repo(".") as repo:
            repo.push()
        return self

    def acknowledge(self, *names: str, who: str = "Ada Lovelace", why: str = REASON) -> Lender:
        """Answer for red flags in the file that the gate reads."""
        entries = [{"red_flag": name, "who": who, "why": why} for name in names]
        return self.text("models/acknowledgements.yaml", yaml.safe_dump(entries))

    def reproduce(self) -> Path:
        """What a job that trains the head again would hand to the judge."""
        folder = self.folder.parent / "reproduced"
        with contextlib.chdir(self.folder):
            outputs.collect(folder)
        winner = json.loads((self.folder / recalculation.PATH).read_text())["winner"]
        (folder / BLIND).mkdir(exist_ok=True)
        shutil.copyfile(self.folder / rescoring.WINNER, folder / BLIND / f"{winner}.json")
        return folder

    def change(self, table: pd.DataFrame) -> Lender:
        """Change the model so that it gives these predictions, and commit and push the change."""
        changed = self.kept and self.kept / self.state(table)
        if changed and changed.exists():
            Lender(changed).copy_to(self.folder.parent)
            return self
        self.run(table).commit("Change the model").push()
        if changed:
            self.copy_to(changed)
        return self

    def state(self, table: pd.DataFrame) -> str:
        """Return a name for a table and all files beside it, which copies of them share."""
        folder, name = self.folder.parent, sha256(table.to_parquet(index=False))
        for path in sorted(folder.rglob("*")):
            stat = path.lstat()
            about = (stat.st_size, stat.st_mtime_ns) if path.is_file() else ()
            name.update(repr((str(path.relative_to(folder)), about)).encode())
        return name.hexdigest()

    def judge(
        self, base: str = "HEAD^", *, remote: bool = True, reproduced: Path | None = None
    ) -> Judgement:
        """Return the judgement of the gate."""
        with contextlib.chdir(self.folder):
            blind = reproduced / BLIND if reproduced else None
            return gate.judge(base, remote=remote, reproduced=reproduced, blind=blind)

    def gate(self, *command: str) -> int:
        """Run the command of the gate, and return its exit code."""
        with contextlib.chdir(self.folder):
            return gate.main([*command])


@pytest.fixture(scope="module")
def champion_once(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    """Return a repository with a champion, which is made once per module."""
    champion = Lender.with_champion(tmp_path_factory.mktemp("champion_once"))
    champion.kept = tmp_path_factory.mktemp("changed")
    return champion


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the gate quick: few resamples, winners that are stored as their scores, no work twice.

    All tests begin with the same champion, and most go on to the same challenger.
    """
    monkeypatch.setattr(comparison, "RESAMPLES", 200)
    monkeypatch.setattr(intervals, "bootstrap", remembered(intervals.bootstrap))
    monkeypatch.setattr(recalculation, "recount", remembered(recalculation.recount))
    monkeypatch.setattr(rescoring, "score", score)


@pytest.fixture
def lender(champion_once: Lender, tmp_path: Path) -> Lender:
    """Return a repository with a champion in its only commit."""
    return champion_once.copy_to(tmp_path)


def failed_checks(verdict: Judgement) -> list[str]:
    """Return the checks that failed, in order, each once."""
    return list(dict.fromkeys(f.check for f in verdict.findings if f.status == "fail"))


def shipped(lender: Lender) -> Lender:
    """Bring dvc.lock up to date with what was tampered with, commit and push."""
    return lender.lock().commit("Change the model").push()


def words(verdict: Judgement, status: str) -> str:
    """Return all findings of a status as one text."""
    return "\n".join(f"{f.check}: {f.words}" for f in verdict.findings if f.status == status)


def decisive(verdict: Judgement) -> str:
    """Return all findings that stop a change as one text."""
    return "\n".join(filter(None, (words(verdict, "fail"), words(verdict, "cannot judge"))))


def code(verdict: Judgement) -> int:
    """Return the exit code of a judgement."""
    return judgement.EXIT[verdict.verdict]

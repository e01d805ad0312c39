"""A small git and DVC repository whose champion the real stages trained."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from tests.support.books import CONTRACT, Project, Tables, book
from tests.support.trained.champions import Lender

ROWS = 3000
FEW = {"max_unexcluded_loss": {}}  # 600 test rows exclude no small loss
VERBS = ("preprocess", "featurize", "logistic", "evaluate")
PIPELINE = {
    "stages": {
        "all": {
            "cmd": "python -m stages.evaluate",
            "deps": ["data/small/raw", "data/small/contract.yaml"],
            "params": [
                "dataset",
                "mode",
                "candidates",
                "preprocess",
                "train",
                "evaluate",
                "refit",
                "policy",
            ],
            "outs": [
                "data/small/prepared",
                {"data/small/quality.json": {"cache": False}},
                "models/candidates",
                "models/predictions.parquet",
                "models/winner.json",
                "models/judged.json",
                "models/golden.jsonl",
                "models/reference.json",
                {"models/evaluation.json": {"cache": False}},
            ],
            "metrics": [{"models/metrics.json": {"cache": False}}],
        }
    }
}


class TrainedLender(Lender):
    """A lender whose changes are trained by the real stages, with one quick candidate."""

    @classmethod
    def with_champion(cls, folder: Path) -> TrainedLender:
        """A new repository whose first commit holds a champion, pushed."""
        lender = cls(folder)
        Lender.create(folder, PIPELINE)
        lender.text("data/small/.gitignore", "/raw\n/prepared\n/features\n")
        lender.policy(books={"small": {"roc_auc": {"min": 0.6}, "ks": {"min": 0.1}}}, **FEW)
        return lender.train().commit_and_push("Train the first model")

    def copy_to(self, folder: Path) -> TrainedLender:
        """The same repository in another folder, with the same remote's content."""
        shutil.copytree(self.folder.parent, folder, dirs_exist_ok=True)
        return TrainedLender(folder)

    def train(
        self, contract: str = CONTRACT, tables: Tables | None = None, **changes: Any
    ) -> TrainedLender:
        """Run all stages on tables under a contract, and bring dvc.lock up to date."""
        changes = {"candidates": ["logistic"], **changes}
        project = Project(self.folder, contract, **changes)
        project.write(book(ROWS) if tables is None else tables)
        with contextlib.chdir(self.folder), Repo(".") as repo:
            repo.add("data/small/raw")
        project.run(*VERBS)
        self.lock()
        return self

    def commit_and_push(self, subject: str) -> TrainedLender:
        """Commit everything and push the data."""
        self.commit(subject).push()
        return self

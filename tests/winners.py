"""A small book with a winner, as the service finds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from service.engine import GOLDEN, WINNER
from stages import model
from tests.books import CONTRACT, Project

WORDED = (
    CONTRACT.replace("  amount:\n", "  amount:\n    actionable: decrease\n    reason: It is much\n")
    .replace("income: {type: number,", "income: {type: number, actionable: increase, reason: Low,")
    .replace("purpose:\n", "purpose:\n    reason: Such purposes often fail\n")
    .replace("stated_as: stated,", "stated_as: stated, reason: Much for the income,")
)


def crown(project: Project, candidate: str, folder: Path, **changes: object) -> Path:
    """Make a fitted candidate the winner in `folder`; golden records are 20 rows of test."""
    own = Project(folder, (project.data / "contract.yaml").read_text(), **changes)
    shutil.copytree(project.data, own.data, dirs_exist_ok=True)
    (folder / "models").mkdir()
    shutil.copy(project.artifact(candidate), folder / WINNER)
    winner, rows = model.load(folder / WINNER), own.columns("test")
    encoded = winner.features.encode(rows)[:20]
    applications = [winner.features.application(row) for row in encoded]
    records = [
        {"application": each, "default_probability": winner.predict_one(each)}
        for each in applications
    ]
    (folder / GOLDEN).write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder

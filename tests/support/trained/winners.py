"""Make a small book with a winner, as the service reads it."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from service.decision.applications import Applications, InvalidApplication
from service.decision.engine import Engine
from service.decision.hashes import GOLDEN, REFERENCE, WINNER
from stages import simulate
from stages.contract.fields.field import Field
from stages.judging import blending, predictions, reference
from stages.models import artifact, model_file
from stages.simulation import population
from tests.support.books import CONTRACT, ROOT, Project

WORDED = (
    CONTRACT.replace(
        "  amount:\n",
        "  amount:\n    actionable: decrease\n    reason: {high: It is much, quote: true}\n",
    )
    .replace("income: {type: number,", "income: {type: number, actionable: increase, reason: LOW,")
    .replace("LOW", "{low: Low income, missing: No income is stated}")
    .replace("purpose:\n", "purpose:\n    reason: {categories: {car: Cars often fail}}\n")
    .replace("stated_as: stated,", "stated_as: stated, reason: {high: Much for the income},")
)


def crown(project: Project, candidate: str, folder: Path, **changes: object) -> Path:
    """Make a fitted candidate the winner in `folder`; golden records are 20 rows of test."""
    copy = Project(folder, (project.data / "contract.yaml").read_text(), **changes)
    shutil.copytree(project.data, copy.data, dirs_exist_ok=True)
    (folder / "models").mkdir()
    winner, rows = artifact.load(project.artifact(candidate)), copy.columns("test")
    model_file.write(winner, folder / WINNER)
    encoded = winner.features.encode(rows)[:20]
    applications = [winner.features.application(row) for row in encoded]
    records = [
        {"application": each, "default_probability": winner.predict_one(each)}
        for each in applications
    ]
    (folder / GOLDEN).write_text("".join(json.dumps(record) + "\n" for record in records))
    x, policy = winner.features(copy.columns("train")), copy.config.policy
    usual = reference.describe_approved(winner, policy.of(winner.contract, winner.mode), x)
    (folder / REFERENCE).write_text(json.dumps({"approved": usual}))
    return folder


def with_and_without(
    rule: dict[str, str], project: Project, candidate: str, folder: Path
) -> tuple[Engine, Engine]:
    """Return engines of a candidate under a policy with one hard rule, and under one without."""
    ruled = crown(project, candidate, folder / "ruled", policy__rules=[rule])
    return Engine.load(ruled), Engine.load(crown(project, candidate, folder / "plain"))


def save_blend(project: Project) -> Project:
    """Write the blend of a project's fitted candidates beside them, as one more candidate."""
    folder, names = (
        project.artifact("blend").parent,
        ["logistic", "scorecard", "xgboost", "lightgbm"],
    )
    models = {name: artifact.load(project.artifact(name)) for name in names}
    held = predictions.read_out_of_fold(folder, names)
    artifact.save(blending.blend_models(models, held, names)[0], project.artifact("blend"))
    return project


def draw(requests: Applications, count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return random valid applications, with every category, all bounds and missing values."""
    rng = np.random.default_rng(seed)
    applications: list[dict[str, Any]] = []
    while len(applications) < count:
        with suppress(InvalidApplication):
            applications.append(requests.check(draw_one(requests, rng)))
    return applications


def draw_one(requests: Applications, rng: np.random.Generator) -> dict[str, Any]:
    """Return one random application, whose fields may contradict each other."""
    values = {name: value_of(field, rng) for name, field in requests.fields.items()}
    return {n: v for n, v in values.items() if n in requests.required or rng.random() < 0.8}


def value_of(field: Field, rng: np.random.Generator) -> Any:
    """Return a random value of a field."""
    if field.codes:
        return list(field.codes)[rng.integers(len(field.codes))]
    low, high = field.constraints.minimum or 0.0, field.constraints.maximum or 1e6
    near = low + (high - low) * 10 ** -rng.uniform(0, 5)
    value = rng.choice([low, high, float(near), float(np.round(near))])
    return round(value) if field.type == "integer" else float(value)


def loan_book(folder: Path, candidate: str, rows: int = 4000) -> Path:
    """Return a folder with a small simulated book of the shipped contract, and a winner."""
    contract = (ROOT / "data/loan_book/contract.yaml").read_text()
    tables = simulate.book(population.draw(rows, 3), 3)
    fitted = Project(folder / "fitted", contract).write(tables)
    fitted.run("preprocess", "featurize", candidate)
    return crown(fitted, candidate, folder / "crowned")

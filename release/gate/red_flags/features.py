"""Find new features that give the outcome or a protected attribute away."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from release import revisions
from release.gate.judgement import Judgement, RedFlag
from release.gate.limits import Suspicious
from release.revisions import CannotJudge
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.contract.derived import Derived
from stages.contract.schema import Contract, ContractError, Mode
from stages.features.information_value import category_cells, information_value_of, number_cells
from stages.features.matrix import Features
from stages.judging import evaluation

BINS = 20
DEFINITION = (
    *("type", "table", "column", "known_at", "missing_values", "repair"),
    *("formula", "when_empty", "of", "take", "field", "within", "where"),
)


def find_red_flags(judgement: Judgement, limits: Suspicious) -> Iterator[RedFlag]:
    """Yield the new features whose training rows tell too much."""
    config = judgement.params
    if config is None or judgement.base is None:
        return
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    path = config.data / "contract.yaml"
    base = revisions.content(judgement.base, str(path))
    names = new_features(contract, base, config.mode)
    if not names:
        return
    rows = config.data / "prepared" / "train.parquet"
    if not rows.is_file():
        raise CannotJudge(f"{rows} is missing, and {names[0]} is a new feature: run `dvc pull`")
    table = prepared.read(rows)
    x, bad = features(prepared.columns(table, features.inputs)), prepared.outcome(table)
    groups = _groups(contract, table)
    for name in names:
        place = features.names.index(name)
        of_levels = place in features.categories
        cell = category_cells(x[:, place]) if of_levels else number_cells(x[:, place], BINS)
        value = information_value_of(cell, bad)
        if value > limits.max_information_value:
            words = f"the new feature {name} has an information value of {value:.2f}; "
            words += f"above {limits.max_information_value:g} it may leak the outcome"
            yield RedFlag(f"information_value.{name}", words)
        for attribute, codes in groups.items():
            strength = cramers_v(cell, codes)
            if strength > limits.max_association:
                words = f"the new feature {name} predicts {attribute}: Cramér's V is "
                words += f"{strength:.2f}; above {limits.max_association:g} it is a proxy for it"
                yield RedFlag(f"proxy.{name}.{attribute}", words)


def new_features(contract: Contract, base: str | None, mode: Mode) -> list[str]:
    """Return the features that the base's contract does not have, or has by another definition."""
    features = Features(contract, mode)
    if base is None:
        return list(features.names)
    try:
        known = contracts.read(base, "contract.yaml of the base")
    except ContractError as error:
        raise CannotJudge(f"contract.yaml of the base cannot be read: {error}") from error
    defined = {part.name: _definition(known, part) for part in Features(known, mode).parts}
    return [
        part.name
        for part in features.parts
        if defined.get(part.name) != _definition(contract, part)
    ]


def _definition(contract: Contract, part: object) -> list[str]:
    """Return all that makes a feature, with the aggregates and formulas that it reads."""
    steps = [part]
    if isinstance(part, Derived):
        sources = [contract.columns[name] for name in contract.sources_of(part)]
        steps = [*sources, *contract.steps_of([part])]
    return [str(getattr(step, key, None)) for step in steps for key in DEFINITION]


def _groups(contract: Contract, table: pa.Table) -> dict[str, NDArray[np.intp]]:
    return {
        field.name: np.unique(
            evaluation.name_groups(field, prepared.column(table, field)), return_inverse=True
        )[1]
        for field in contract.protected_fields
    }


def cramers_v(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return Cramér's V of two codings of the same rows, corrected for bias (Bergsma 2013)."""
    one, other = (np.unique(codes, return_inverse=True)[1] for codes in (one, other))
    counts = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(counts, (one, other), 1)
    rows, (r, k) = counts.sum(), counts.shape
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / rows
    phi = float(((counts - expected) ** 2 / expected).sum() / rows)
    phi = max(0.0, phi - (r - 1) * (k - 1) / (rows - 1))
    smaller = min(r - (r - 1) ** 2 / (rows - 1), k - (k - 1) ** 2 / (rows - 1)) - 1
    return sqrt(phi / smaller) if smaller > 0 else 0.0

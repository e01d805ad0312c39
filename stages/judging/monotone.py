"""What the contract's directions of risk cost the winner, and whether its PD keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from stages.contract import prepared
from stages.features.encoding import decode
from stages.features.matrix import Floats
from stages.judging import monotone_lines, monotone_proof
from stages.judging.monotone_lines import Fall, Line
from stages.metrics import metrics
from stages.models import tree_compiler
from stages.models.artifact import Model
from stages.models.fitting import found_parameters
from stages.models.fitting.job import Job
from stages.models.scorers import Scorer, WeightedSum
from stages.params import Params

MOST_ROWS = 10_000  # that are followed where nothing is proved: about 0.3 ms per row and field


def judge_directions(winner: Model, config: Params, test: pa.Table) -> dict[str, Any]:
    """Return the price of the winner's constraints, and whether each direction of risk is kept.

    `test` are the prepared test rows. With constraints, the same model without them says what they
    prevent: `violations_when_free`.
    """
    free = fit_without_directions(winner, config)
    encoded = winner.features.encode(prepared.columns(test, winner.features.inputs))
    numbers = test.column("_row").to_numpy()
    fields = check_directions(winner, encoded, numbers)
    if free is None:
        return {"rows": rows_followed(len(encoded)), "fields": fields}
    freed = check_directions(replace(winner, scorer=free), encoded, numbers)
    for name, figures in freed.items():
        fields[name]["violations_when_free"] = figures["violations"]
    price = price_directions(winner, free, config)
    return {**price, "rows": rows_followed(len(encoded)), "fields": fields}


def fit_without_directions(winner: Model, config: Params) -> Scorer | None:
    """Return the winner's scorer as it is without constraints; None where it has none."""
    if not isinstance(winner.scorer, WeightedSum):
        return fit_free(winner.candidate, winner, config)
    free = [fit_free(name, winner, config) for name in winner.scorer.names]
    if not any(free):
        return None
    parts = [new or old for new, old in zip(free, winner.scorer.scorers, strict=True)]
    return replace(winner.scorer, scorers=parts)


def fit_free(candidate: str, winner: Model, config: Params) -> Scorer | None:
    """Return a candidate's scorer without constraints; None where it has none."""
    section, features = found_parameters.section(config, candidate), winner.features
    if not getattr(section, "monotone", False) or not features.directions.any():
        return None
    free = section.model_copy(update={"monotone": False})
    with np.load(config.data / "features" / "train.npz") as train:
        job = Job.of(candidate, free, features, config)
        return job.fit(train["x"], train["bad"])


def price_directions(winner: Model, free: Scorer, config: Params) -> dict[str, Any]:
    """Return the validation AUC with the directions kept, with them free, and their price."""
    features = winner.features
    with np.load(config.data / "features" / "validation.npz") as held:
        auc = {
            name: metrics.roc_auc(held["bad"], expit(scorer.margin(held["x"])))
            for name, scorer in (("kept", winner.scorer), ("free", free))
        }
    names = [n for n, d in zip(features.names, features.directions, strict=True) if d]
    return {"features": names, "roc_auc": auc, "price": auc["free"] - auc["kept"]}


def check_directions(
    model: Model, encoded: Floats, numbers: NDArray[np.int64]
) -> dict[str, dict[str, Any]]:
    """Return for each field with a direction of risk whether the PD keeps it.

    Where the form of the model proves it, for every application that there could be. Else for the
    rows encoded (n, inputs), each through all values that the field may have: how many have a PD
    that goes against the direction, and the worst of them as a counterexample. Where formulas of
    another form than a ratio read the field, `sampled_for` names them: no violation is then no
    proof, since their values are sampled.
    """
    model = replace(model, scorer=tree_compiler.compile_trees(model.scorer) or model.scorer)
    some = np.linspace(0, len(encoded) - 1, rows_followed(len(encoded))).astype(np.int64)
    report: dict[str, dict[str, Any]] = {}
    for j, field in enumerate(model.features.inputs):
        if field.risk is None:
            continue
        proved = monotone_proof.is_proved(model, field)
        report[field.name] = {"risk": field.risk, "proved": proved, "violations": 0}
        if proved:
            continue
        wrong, worst = monotone_lines.falls_along(model, encoded[some], j)
        report[field.name]["violations"] = int(wrong.sum())
        if sampled := Line(model, j).formulas:
            report[field.name]["sampled_for"] = list(sampled.values())
        if worst:
            row = int(some[worst.row])
            shown = counterexample(model, encoded[row], j, worst)
            report[field.name]["counterexample"] = {"row": int(numbers[row]), **shown}
    return report


def rows_followed(rows: int) -> int:
    """Return how many of the rows are followed: all, or as many as are spread over them evenly."""
    return min(rows, MOST_ROWS)


def counterexample(model: Model, row: Floats, j: int, fall: Fall) -> dict[str, Any]:
    """Return the values of field j between which the PD of a row (inputs,) goes the wrong way."""
    line = Line(model, j)
    start, end = (readable(line, row, value) for value in (fall.start, fall.end))
    changed = np.repeat(row[None], 2, axis=0)
    changed[:, j] = start, end
    before, after = model.predict_matrix(model.features.matrix(changed)).tolist()
    raw = [decode(line.field, value) for value in (start, end)]
    return {"from": raw[0], "to": raw[1], "pd_from": before, "pd_to": after}


def readable(line: Line, row: Floats, value: float) -> float:
    """Return a value with as few digits as possible at which the row (inputs,) has the same PD."""
    if line.field.codes:
        return float(value)
    margin = line.margins(row[None], np.array([[value]]))
    low, high = line.bounds()
    for near in values_near(value):
        values = np.array([[near]])
        if (
            low <= near <= high
            and line.are_allowed(row[None], values).all()
            and np.array_equal(line.margins(row[None], values), margin)
        ):
            return near
    return float(value)


def values_near(value: float) -> Iterator[float]:
    """Yield values near one that is given, from few digits to many."""
    for digits in range(-9, 10):
        step = 10.0**-digits
        for near in (np.round(value / step), np.floor(value / step), np.ceil(value / step)):
            yield float(np.round(near * step, max(0, digits)))

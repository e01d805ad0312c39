"""Compute every figure of evaluation.json that the predictions can prove again from them."""

from __future__ import annotations

import json
import math
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from dvc.utils.flatten import flatten
from numpy.typing import NDArray

from release import revisions
from release.gate import predictions
from release.gate.parameters import JudgedParameters
from release.gate.predictions import GROUP, Predictions
from release.revisions import CannotJudge
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.judging import blending, evaluation
from stages.judging.backtest import origins
from stages.judging.evaluation import Judged
from stages.params import Evaluate

PATH = "models/evaluation.json"
HEADLINES = "models/metrics.json"
# These need the training rows or the other models; `dvc status` vouches for them.
UNPROVEN = ("monotone", "price_of_glass", "shipped", "stability", "trained_on")
# These follow from params.yaml, whatever code a change brings.
BY_PARAMETERS = ("dataset", "mode", "cut_offs")
CLOSE = 2e-6  # figures are published with six digits


def read_published(text: str, name: str = PATH) -> dict[str, Any]:
    """Return the content of an evaluation report; CannotJudge where it is none."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CannotJudge(f"{name} is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("test"), dict):
        raise CannotJudge(f"{name} must be an object with a section `test`")
    return document


def published_at(revision: str) -> dict[str, Any] | None:
    """Return the evaluation report of a revision, None where it has no model.

    A revision that has headline figures and no report cannot pass as one without a model: its
    metrics.json is read in the place of the report, as older revisions wrote it.
    """
    for path in (PATH, HEADLINES):
        text = revisions.content(revision, path)
        if text is not None:
            return read_published(text, f"{path} at the base")
    return None


def wrong_headlines(text: str, stated: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with metrics.json beside the evaluation report, by its name."""
    try:
        same = json.loads(text) == evaluation.headlines(stated)
    except (ValueError, KeyError, TypeError):
        same = False
    return {} if same else {HEADLINES: f"{HEADLINES} does not repeat the figures of {PATH}"}


def figures_without_value(figures: dict[str, Any], required: tuple[str, ...]) -> list[str]:
    """Return the required test figures that have no finite value or interval."""
    test = figures["test"]
    return [name for name in required if not all(map(_finite, _parts(test.get(name))))]


def _parts(figure: object) -> list[object]:
    held = figure if isinstance(figure, dict) else {}
    return [held.get(part) for part in ("value", "low", "high")]


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def recount(table: Predictions, config: JudgedParameters) -> dict[str, Any]:
    """Compute the provable part of evaluation.json, as `stages.evaluate` writes it."""
    validation, test = table.split("validation"), table.split("test")
    policy, minimum = config.policy, config.evaluate.min_group
    names = [*config.candidates, *({blending.NAME} & {*table.candidates})]
    compared: dict[str, dict[str, float]] = {
        name: evaluation.summary(_rows_of(validation, name, config), policy) for name in names
    }
    rows = predictions.judge_rows(test)
    chosen_by = config.evaluate.choose_by
    choice = cross_validate(table.table, names, config.evaluate)
    dated = test["date"].notna().all()
    quarters = evaluation.name_vintages(test["date"].to_numpy("datetime64[D]")) if dated else None
    return evaluation.round_figures(
        {
            "dataset": config.dataset,
            "mode": config.mode,
            "winner": evaluation.choose(choice, chosen_by, config.evaluate.prefer),
            "chosen_by": chosen_by,
            "prefer": config.evaluate.prefer,
            "choice": choice,
            "cut_offs": policy.cut_offs,
            "test": evaluation.figures_with_intervals(rows, policy, config.evaluate),
            "test_new_customers": evaluation.figures_of_new_customers(
                rows, is_new(test), policy, minimum
            ),
            "validation": compared,
            "by_vintage": {}
            if quarters is None
            else evaluation.figures_by_group(rows, quarters, policy, minimum),
            "by_group": {
                name: evaluation.figures_by_group(
                    rows, test[f"{GROUP}{name}"].to_numpy(str), policy, minimum
                )
                for name in table.attributes
            },
        }
        | backtest(table.table, names, config)
    )


def backtest(table: pd.DataFrame, names: list[str], config: JudgedParameters) -> dict[str, Any]:
    """Return the figures of every candidate by origin, where the winner is chosen by origins."""
    if not config.evaluate.origins:
        return {}
    return {"backtest": origins.judge(table, names)}


def cross_validate(table: pd.DataFrame, names: list[str], config: Evaluate) -> dict[str, Any]:
    """Return each candidate's figure over the folds that the winner was chosen by."""
    wanted = ["fold", *(f"pd_{name}" for name in names)]
    if absent := [column for column in wanted if column not in table]:
        raise CannotJudge(f"{predictions.PATH} lacks the columns {absent}")
    rows = table[table["fold"].notna()]
    bad, fold = rows["bad"].to_numpy(np.int64), rows["fold"].to_numpy(np.int64)
    chosen = config.choose_by, config.choose_over
    return {
        name: evaluation.cross_validate(bad, rows[f"pd_{name}"].to_numpy(float), fold, *chosen)
        for name in names
    }


def is_new(rows: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Return whether each row's customer was not trained on (n,), None where unknown."""
    if "new_customer" not in rows or rows["new_customer"].isna().any():
        return None
    return rows["new_customer"].to_numpy(bool)


def _rows_of(rows: pd.DataFrame, candidate: str, config: JudgedParameters) -> Judged:
    """Return the rows of a split as a candidate and the policy see them."""
    if f"pd_{candidate}" not in rows:
        raise CannotJudge(f"{predictions.PATH} lacks the column pd_{candidate}")
    bad, pd_ = rows["bad"].to_numpy(np.int64), rows[f"pd_{candidate}"].to_numpy(np.float64)
    return Judged(bad, pd_, _decide(rows, pd_, config), predictions.exposure(rows))


def _decide(
    rows: pd.DataFrame, pd_: NDArray[np.float64], config: JudgedParameters
) -> NDArray[np.int64]:
    """Return what the policy decides of rows (n,) of one split, given their PDs (n,)."""
    if not config.policy.rules:
        return config.policy.decide(pd_, {})
    path = config.data / "prepared" / f"{rows['split'].iloc[0]}.parquet"
    if not path.is_file():
        raise CannotJudge(f"{path} is missing, and policy.rules need it: run `dvc pull`")
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    columns = prepared.columns(prepared.read(path), contract.inputs(config.mode))
    policy = config.policy.of(contract, config.mode)
    return policy.decide(pd_, evaluation.columns_by_name(features, features(columns)))


def count_misdecided(table: Predictions, config: JudgedParameters) -> int:
    """Count the decisions that differ from what the policy says of their PD."""
    wrong = 0
    for name in ("validation", "test"):
        rows = table.split(name)
        held = predictions.judge_rows(rows)
        decided = _decide(rows, held.pd, config)
        wrong += int(np.sum(decided != held.decision))
    return wrong


def cut_off(figures: dict[str, Any]) -> float:
    """Return the cut-off under which figures were published; CannotJudge without one."""
    held = figures.get("cut_offs")
    value = held.get("cut_off") if isinstance(held, dict) else None
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    raise CannotJudge(f"{PATH} at the base must have a PD as cut_offs.cut_off; got {value}")


def differences(stated: dict[str, Any], proven: dict[str, Any]) -> dict[str, str]:
    """Return in words each figure that was published otherwise than the predictions prove."""
    held = flatten({k: v for k, v in stated.items() if k not in UNPROVEN})
    recounted = flatten(proven)
    return {
        name: f"{name}: published {held.get(name)}, predictions give {recounted.get(name)}"
        for name in {**held, **recounted}
        if not _same(held.get(name), recounted.get(name))
    }


def follows_from_code(name: str) -> bool:
    """Return whether a figure is made by code, which a change may bring, and not by parameters."""
    return not f"{name}.".startswith(tuple(f"{each}." for each in BY_PARAMETERS))


def _same(stated: object, proven: object) -> bool:
    if _finite(stated) and _finite(proven):
        return bool(abs(stated - proven) <= CLOSE)
    return bool(stated == proven)

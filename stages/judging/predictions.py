"""The PDs by which the winner is chosen, and the predictions file, by which the gate judges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.contract import prepared
from stages.contract.raw.files import read_file
from stages.contract.schema import Contract
from stages.features.matrix import Floats
from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.judging.rows import Rows
from stages.models.artifact import Model
from stages.models.fitting.folds import PAST
from stages.policy.decisions import DECISIONS, Policy


def read_out_of_fold(folder: Path, names: list[str], *, past: bool = False) -> pd.DataFrame:
    """Return the PDs by which the winner is chosen: those of every candidate out of fold.

    They are read from the `folder` of the candidates. The columns are `row`, `split`, `fold`, which
    a row of no fold lacks, `bad`, and a `pd_<candidate>` and a `margin_<candidate>` for each
    candidate. With `past` they are the rows that each origin was calibrated on; there are none
    where the folds are no origins.
    """
    tables = {name: pd.read_parquet(folder / f"{name}.folds.parquet") for name in names}
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if not np.array_equal(table["_row"], first["_row"]):
            raise ValueError(f"{name} was judged on other rows than {names[0]}: run `dvc repro`")
    rows = first[["_row", "split", "fold", "bad"]].rename(columns={"_row": "row"})
    for column in ("pd", "margin"):
        rows = rows.assign(**{f"{column}_{name}": table[column] for name, table in tables.items()})
    return rows[(rows["split"] == PAST) == past].reset_index(drop=True)


def select_validation(held: pd.DataFrame, rows: Rows) -> dict[str, Floats]:
    """Return the PDs (n,) of the validation rows in `read_out_of_fold`, by candidate."""
    here = held[held["split"] == rows.name].set_index("row")
    here = here.loc[rows.table.column("_row").to_numpy()]
    return {c.removeprefix("pd_"): here[c].to_numpy() for c in here if c.startswith("pd_")}


def cross_validate(
    rows: pd.DataFrame, names: list[str], metric: str, over: str = "mean"
) -> dict[str, Any]:
    """Return the mean (or the worst) over folds of each candidate's metric, with its error."""
    rows = rows[rows["fold"].notna()]
    bad, fold = rows["bad"].to_numpy(np.int64), rows["fold"].to_numpy(np.int64)
    return {
        name: evaluation.cross_validate(bad, rows[f"pd_{name}"].to_numpy(), fold, metric, over)
        for name in names
    }


def make_predictions(rows: Rows, judged: Judged, keys: pd.Series[str] | None) -> pd.DataFrame:
    """Return one line per row: the winner's PD and decision, and what the gate judges them by.

    `keys` are the loans' keys by the number of the row, as `read_keys` returns them.
    """
    numbers = rows.table.column("_row").to_numpy()
    dates = prepared.dates(rows.table, rows.contract)
    facts: dict[str, Any] = {
        "row": numbers,
        "loan": None if keys is None else keys.to_numpy()[numbers],
        "fields": prepared.fingerprints(rows.table, rows.contract),
        "split": rows.name,
        "date": None if dates is None else dates.astype("datetime64[s]"),
        "bad": judged.bad,
        "pd": judged.pd,
        "decision": np.array(DECISIONS)[judged.decision],
    }
    if judged.exposure is not None:
        facts["exposure"] = judged.exposure
    if judged.cluster is not None:
        facts["cluster"] = judged.cluster
    return pd.DataFrame(facts | {f"group_{name}": group for name, group in rows.groups().items()})


def make_predictions_out_of_fold(
    rows: Rows,
    held: pd.DataFrame,
    winner: Model,
    x: Floats,
    policy: Policy,
    keys: pd.Series[str] | None,
) -> pd.DataFrame:
    """Return the winner's predictions for the training rows x (n, F) that a fold judged."""
    held = held[held["split"] == "train"]
    place = pd.Index(rows.table.column("_row").to_numpy()).get_indexer(pd.Index(held["row"]))
    said = held[f"pd_{winner.candidate}"].to_numpy()
    decided = policy.decide(said, evaluation.columns_by_name(winner.features, x[place]))
    probabilities = np.full(len(x), rows.bad.mean())  # of rows that no fold judged, which are cut
    probabilities[place] = said
    cluster = rows.cluster(probabilities)
    judged = Judged(rows.bad, probabilities, 0 * rows.bad, rows.exposure, cluster)
    chosen: pd.DataFrame = make_predictions(rows, judged, keys).iloc[place]
    return chosen.assign(decision=np.array(DECISIONS)[decided])


def read_keys(contract: Contract, raw: Path) -> pd.Series[str] | None:
    """Return the key of each loan in the base file of `raw`, or None without a key."""
    base = contract.tables[contract.base_table]
    if not base.keys:
        return None
    frame = read_file(raw / base.path, base.keys, base)
    first, *others = (frame[name].astype(str) for name in base.keys)
    for other in others:
        first = first.str.cat(other, sep="/")
    return first

"""Choose the winner in cross-validation, judge it once on the test rows, and write its files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from stages import errors, files, params, project
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.contract.schema import Contract
from stages.features.matrix import Floats
from stages.judging import evaluation, golden, monotone, plots, points, proof, reference
from stages.judging.evaluation import Judged
from stages.metrics import clusters
from stages.models import artifact
from stages.models.artifact import Model
from stages.params import Params
from stages.policy import DECISIONS, Policy

MODELS = Path("models")


class Rows:
    """The rows of one split, as evaluation reads them."""

    def __init__(self, config: Params, contract: Contract, name: str) -> None:
        self.name, self.contract, self.raw = name, contract, config.data / "raw"
        self.table: pa.Table = prepared.read(config.data / "prepared" / f"{name}.parquet")
        self.bad = prepared.outcome(self.table)
        self.columns = prepared.columns(self.table, self.contract.inputs(config.mode))

    def judge(self, candidate: Model, config: Params) -> Judged:
        """Return the PDs of a candidate and the decisions of the policy on these rows."""
        judged = evaluation.score_and_decide(
            candidate, config.policy, self.columns, self.bad, self.exposure
        )
        return replace(judged, cluster=self.cluster(judged))

    def cluster(self, judged: Judged) -> NDArray[np.int64] | None:
        """Return the customer of each row (n,), or its copies where their outcomes agree."""
        if "_entity" in self.table.column_names:
            return np.asarray(self.table.column("_entity").to_numpy())
        copy = np.asarray(self.table.column("_copy").to_numpy())
        return copy if clusters.outcomes_agree(judged.bad, judged.pd, copy) else None

    @property
    def exposure(self) -> Floats | None:
        """The money at risk of each row (n,), 0 where missing; None where no field says it."""
        if self.contract.exposure is None:
            return None
        money = prepared.column(self.table, self.contract.fields[self.contract.exposure])
        return np.nan_to_num(np.asarray(money, dtype=np.float64))

    def has_customer_outside(self, other: Rows) -> NDArray[np.bool_] | None:
        """Return whether each customer (n,) has no row in another split; None without an entity."""
        if "_entity" not in self.table.column_names:
            return None
        here, there = (rows.table.column("_entity").to_numpy() for rows in (self, other))
        return np.isin(here, there, invert=True)

    def groups(self) -> dict[str, NDArray[np.str_]]:
        """Return the group of each row (n,) for each protected attribute by name."""
        return {
            field.name: evaluation.name_groups(field, prepared.column(self.table, field))
            for field in self.contract.protected
        }

    def vintages(self) -> NDArray[np.str_] | None:
        """Return the quarter of each row (n,), or None where the loans have no dates."""
        dates = prepared.dates(self.table, self.contract)
        return None if dates is None else evaluation.name_vintages(dates)


def predictions(rows: Rows, judged: Judged) -> pd.DataFrame:
    """Return one line per row: the winner's PD and decision, and what the gate judges them by."""
    dates = prepared.dates(rows.table, rows.contract)
    facts: dict[str, Any] = {
        "row": rows.table.column("_row").to_numpy(),
        "loan": prepared.loan_keys(rows.table, rows.contract, rows.raw),
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


def out_of_fold(names: list[str]) -> pd.DataFrame:
    """Return the PDs by which the winner is chosen: those of every candidate out of fold.

    The columns are `row`, `split`, `fold`, `bad` and a `pd_<candidate>` for each candidate.
    """
    tables = {
        name: pd.read_parquet(MODELS / "candidates" / f"{name}.folds.parquet") for name in names
    }
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if not np.array_equal(table["_row"], first["_row"]):
            raise ValueError(f"{name} was judged on other rows than {names[0]}: run `dvc repro`")
    rows = first[["_row", "split", "fold", "bad"]].rename(columns={"_row": "row"})
    return rows.assign(**{f"pd_{name}": table["pd"] for name, table in tables.items()})


def cross_validate(rows: pd.DataFrame, names: list[str], metric: str) -> dict[str, Any]:
    """Return the mean over folds of each candidate's metric, with its standard error."""
    bad, fold = rows["bad"].to_numpy(np.int64), rows["fold"].to_numpy(np.int64)
    return {
        name: evaluation.cross_validate(bad, rows[f"pd_{name}"].to_numpy(), fold, metric)
        for name in names
    }


def predictions_out_of_fold(
    rows: Rows, held: pd.DataFrame, winner: Model, x: Floats, policy: Policy
) -> pd.DataFrame:
    """Return the winner's predictions for the training rows x (n, F) that a fold judged."""
    held = held[held["split"] == "train"]
    place = pd.Index(rows.table.column("_row").to_numpy()).get_indexer(pd.Index(held["row"]))
    said = held[f"pd_{winner.candidate}"].to_numpy()
    decided = policy.decide(said, evaluation.columns_by_name(winner.features, x[place]))
    everything = predictions(rows, Judged(rows.bad, np.zeros(len(x)), 0 * rows.bad, rows.exposure))
    chosen: pd.DataFrame = everything.iloc[place]
    return chosen.assign(pd=said, decision=np.array(DECISIONS)[decided])


def build_report(
    config: Params,
    winner: Model,
    test: Rows,
    judged: Judged,
    validation: dict[str, Any],
    choice: dict[str, Any],
    is_new: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Return the content of `models/evaluation.json`."""
    policy, minimum = config.policy, config.evaluate.min_group

    def by_group(groups: Any) -> dict[str, Any]:
        return evaluation.figures_by_group(judged, groups, policy, minimum)

    quarters = test.vintages()
    return {
        "dataset": config.dataset,
        "mode": config.mode,
        "winner": winner.candidate,
        "chosen_by": config.evaluate.choose_by,
        "prefer": config.evaluate.prefer,
        "choice": choice,
        "cut_offs": policy.cut_offs,
        "test": evaluation.figures_with_intervals(judged, policy, config.evaluate),
        "test_new_customers": evaluation.figures_of_new_customers(judged, is_new, policy, minimum),
        "validation": validation,
        "by_vintage": {} if quarters is None else by_group(quarters),
        "by_group": {name: by_group(groups) for name, groups in test.groups().items()},
        "monotone": monotone.judge_directions(winner, config, test.table),
        "trained_on": winner.trained_on,
    }


def remove_unlisted(folder: Path, listed: list[str]) -> None:
    """Remove the files of candidates that params.yaml does not list.

    This stage depends on the folder: a file left there by an earlier list would give it another
    hash here than in a fresh clone.
    """
    for path in sorted(folder.iterdir()):
        name = path.name.partition(".")[0]
        if name not in listed:
            path.unlink()
            print(f"Removed {path}: `candidates` in params.yaml does not list {name}")


def describe_choice(splits: list[Rows], choice: dict[str, Any], winner: str, metric: str) -> str:
    """Return one line that says how many rows were judged, and which candidate won by how much."""
    rows = ", ".join(f"{len(split.bad):,} {split.name}" for split in splits)
    figures = ", ".join(f"{name} {own['value']:.4f}" for name, own in choice.items())
    return f"evaluate: {rows} rows; {metric} over folds: {figures}; the winner is {winner}"


def main() -> None:
    """Write the winner, its metrics, predictions, plots, drift reference and golden records."""
    config = params.load()
    contract = contracts.load(config.dataset)
    config = config.model_copy(update={"policy": config.policy.of(contract, config.mode)})
    remove_unlisted(MODELS / "candidates", config.candidates)
    names = ("train", "validation", "test")
    train, validation, test = (Rows(config, contract, name) for name in names)
    models: dict[str, Model] = {
        n: artifact.load(MODELS / "candidates" / f"{n}.joblib") for n in config.candidates
    }
    seen = {name: validation.judge(model, config) for name, model in models.items()}
    compared = {name: evaluation.summary(rows, config.policy) for name, rows in seen.items()}
    held = out_of_fold(config.candidates)
    choice = cross_validate(held, config.candidates, config.evaluate.choose_by)
    name = evaluation.choose(choice, config.evaluate.choose_by, config.evaluate.prefer)
    winner, judged = models[name], test.judge(models[name], config)
    print(describe_choice([train, validation, test], choice, name, config.evaluate.choose_by))

    is_new = test.has_customer_outside(train)
    facts = build_report(config, winner, test, judged, compared, choice, is_new)
    trained, tested = (winner.features(rows.columns) for rows in (train, test))
    parts = [
        predictions_out_of_fold(train, held, winner, trained, config.policy),
        predictions(validation, seen[name]),
        predictions(test, judged).assign(new_customer=is_new),
    ]
    table = pd.concat(parts).merge(
        held.drop(columns=["split", "bad"]), on="row", how="left", validate="1:1"
    )
    judged_rows = validation.bad, seen[name].pd
    drift = reference.make_reference(winner.contract, winner.features, trained, *judged_rows)
    drift["approved"] = reference.describe_approved(winner, config.policy, trained)
    with files.whole_folder(MODELS / "plots") as folder:
        quarters, cut_off = facts["by_vintage"], config.policy.pd_cut_off
        plots.write_all(folder, winner, tested, judged, seen, compared, quarters, cut_off)
    with files.whole_file(MODELS / "predictions.parquet") as path:
        table.to_parquet(path, index=False)
    with files.whole_file(MODELS / "winner.joblib") as path:
        shutil.copyfile(MODELS / "candidates" / f"{name}.joblib", path)
    records = golden.pick_records(winner, test.columns, judged.pd, config.evaluate.golden)
    proof.write_model_file(winner, test.columns, judged.pd, records, MODELS / "winner.json")
    files.write_text(MODELS / "golden.jsonl", records)
    files.write_json(MODELS / "reference.json", drift, indent=1)
    cards = [points.points_table(m, config.policy, trained, train.bad) for m in models.values()]
    files.write_text(
        MODELS / "scorecard.csv", points.as_csv([row for card in cards for row in card])
    )
    report = evaluation.rounded(facts)
    files.write_json(MODELS / "evaluation.json", report)
    files.write_json(MODELS / "metrics.json", evaluation.headlines(report))


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

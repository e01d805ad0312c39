"""Join, repair, validate and split the raw tables of a loan book."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from stages import errors, files, params, project
from stages.contract import reading as contracts
from stages.contract.expressions.operations import as_days
from stages.contract.raw import history, quality, tables
from stages.contract.raw.cleaning import encode_column
from stages.contract.raw.columns import dates_of
from stages.contract.schema import Contract, ContractError
from stages.features import assignment, split
from stages.features.aggregates import compute
from stages.features.lines import lines_of_rows

LOANS_ALONE = ("indeterminate", "unripe", "late_defaults", "embargoed")


def with_aggregates(
    contract: Contract, rows: pd.DataFrame, folder: Path, most: float
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict[str, Any]]:
    """Return the rows (n,) with the aggregates of their histories; the lines; what was dropped.

    The lines have `_row`, the place of their row in the base file, and are those that count.
    """
    values: dict[str, NDArray[np.float64]] = {}
    lines, facts = {}, {}
    decided = as_days(rows["_date"].to_numpy()) if contract.history else np.empty(0)
    for name, described in contract.history.items():
        report = quality.Report()
        counted, valid = history.lines_of_loans(contract, name, folder, rows, report)
        report.check(valid, most)
        columns = {n: encode_column(f, counted[n]) for n, f in described.readable.items()}
        owner = counted["_row"].to_numpy(np.intp)
        read = lines_of_rows(described, owner, columns, len(rows))
        values |= compute(contract.aggregates_of(name), read, decided)
        lines[name] = counted.assign(_row=rows.index.to_numpy()[owner])
        facts[name] = report.summary(valid) | {"lines_before_decisions": len(counted)}
        facts[name] = {k: v for k, v in facts[name].items() if k not in LOANS_ALONE}
    return (
        rows.drop(columns=[f"_key_{name}" for name in contract.history]).assign(**values),
        lines,
        facts,
    )


def warn_of_embargo(section: params.Preprocess, rows: int, embargoed: int, trained: int) -> None:
    """Say on stderr where an embargo leaves less than half of the training rows."""
    wanted = round(rows * (1 - section.test_share - section.validation_share))
    if embargoed and trained < wanted / 2:
        print(
            f"warning: the embargo leaves {trained:,} of {rows:,} loans to train on, where the "
            f"shares alone would leave {wanted:,}: {embargoed:,} loans had no known outcome "
            "when the next part began. Shorten `outcome.months`, lower preprocess.test_share or "
            "validation_share, or bring older loans",
            file=sys.stderr,
        )


def describe(rows: pd.DataFrame, train: pd.DataFrame) -> dict[str, Any]:
    """Return the size, bad rate and dates of one split, and what it shares with training rows."""
    dates = rows["_date"].dt.date if "_date" in rows else pd.Series(dtype=object)
    facts = {
        "rows": len(rows),
        "bad_rate": round(float(rows["_bad"].mean()), 6),
        "from": str(dates.min()) if len(dates) else None,
        "to": str(dates.max()) if len(dates) else None,
    }
    if rows is train:
        return facts
    facts["copies_of_training_rows"] = int(rows["_copy"].isin(train["_copy"]).sum())
    if "_entity" in rows:
        seen = rows["_entity"].isin(train["_entity"])
        facts["entities"] = int(rows["_entity"].nunique())
        facts["entities_trained_on"] = int(rows["_entity"][seen].nunique())
        facts["rows_of_entities_trained_on"] = int(seen.sum())
    return facts


def count_dropped(
    contract: Contract, report: quality.Report, parts: dict[str, pd.DataFrame]
) -> dict[str, int]:
    """Return how many of the dropped rows fall, by their date, into the time of each split."""
    if not report.date:
        return {}
    days = [dates_of(contract, report.date, raw.to_frame()) for raw in report.dropped_dates]
    dates = pd.concat(days or [pd.Series(dtype=object)])
    first = np.array([part["_date"].min().to_datetime64() for part in parts.values()][1:])
    place = np.searchsorted(first, pd.to_datetime(dates.dropna()).to_numpy(), side="right")
    return dict(zip(parts, np.bincount(place, minlength=len(parts)).tolist(), strict=True))


def main() -> None:
    """Write `prepared/{train,validation,test}.parquet` and `quality.json`."""
    # Text that is freed makes room for numbers only where both come from one allocator.
    pa.set_memory_pool(pa.system_memory_pool())
    config = params.load()
    contract = contracts.load(config.dataset)
    # A rule that cannot be read ends the run at once.
    config.policy.with_rules(contract, config.mode)
    if not (contract.feature_fields(config.mode) or contract.derived_features(config.mode)):
        raise ContractError(
            f"{config.data / 'contract.yaml'}: no field may be a feature in mode {config.mode}: "
            "all are protected, known later, or marked `feature: false`"
        )
    report = quality.Report()
    most = config.preprocess.max_invalid
    rows = tables.read_valid(contract, config.data / "raw", report, most)
    report.check(len(rows), most)
    rows, lines, dropped_lines = with_aggregates(contract, rows, config.data / "raw", most)
    rows = assignment.with_copies(contract, rows)
    shares = config.preprocess.validation_share, config.preprocess.test_share
    place = assignment.assign(contract, rows, shares, config.preprocess.seed)
    report.embargoed = int(np.sum(place == split.EMBARGOED))
    described = rows[[c for c in ("_bad", "_date", "_entity", "_copy") if c in rows]]
    parts = {name: described[place == i] for i, name in enumerate(split.SPLITS)}
    warn_of_embargo(config.preprocess, len(rows), report.embargoed, len(parts["train"]))
    facts = report.summary(sum(map(len, parts.values())))
    facts |= {"history": dropped_lines} if dropped_lines else {}
    lost = count_dropped(contract, report, parts)
    facts["split"] = {
        name: describe(part, parts["train"]) | ({"dropped": lost[name]} if lost else {})
        for name, part in parts.items()
    }
    with files.whole_folder(config.data / "prepared") as folder:
        for i, name in enumerate(parts):
            written = rows[place == i].rename_axis("_row").reset_index()
            written.to_parquet(folder / f"{name}.parquet", index=False)
            del written
            for history_name, table in lines.items():
                some = table[table["_row"].isin(rows.index[place == i])]
                (folder / "history" / history_name).mkdir(parents=True, exist_ok=True)
                some.to_parquet(folder / "history" / history_name / f"{name}.parquet", index=False)
    files.write_text(
        config.data / "quality.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    )
    for name, part in parts.items():
        print(f"preprocess {name}: {len(part):,} rows, {part['_bad'].mean():.2%} bad")


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

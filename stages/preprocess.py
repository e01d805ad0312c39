"""Join, repair, validate and split the raw tables of a loan book."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from stages import errors, files, params, project
from stages.compute import engine as compute
from stages.contract import reading as contracts
from stages.contract.raw import quality
from stages.contract.raw.columns import dates_of
from stages.contract.schema import Contract, ContractError
from stages.features import assignment, split
from stages.preparation import histories, loans, splits
from stages.preparation.book import BookSource, Preparation


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


def account(
    contract: Contract, report: quality.Report, parts: dict[str, pd.DataFrame], embargoed: int
) -> dict[str, Any]:
    """Return the content of `quality.json`, but for what was dropped of histories."""
    report.embargoed = embargoed
    facts = report.summary(sum(map(len, parts.values())))
    lost = count_dropped(contract, report, parts)
    facts["split"] = {
        name: describe(part, parts["train"]) | ({"dropped": lost[name]} if lost else {})
        for name, part in parts.items()
    }
    return facts


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
    with compute.start(config.compute, config.threads, config.data) as engine:
        work = Preparation(BookSource(contract, engine.scratch), engine, config.data / "raw")
        valid = loans.read_valid(work, report, most)
        dropped_lines = {
            name: histories.aggregate(work, valid, name, most) for name in contract.history
        }
        copy = loans.number_copies(work, valid)
        rows = assignment.connect_copies(contract, valid.described, copy)
        shares = config.preprocess.validation_share, config.preprocess.test_share
        place = assignment.assign(contract, rows, shares, config.preprocess.seed)
        parts = {name: rows[place == i] for i, name in enumerate(split.SPLITS)}
        facts = account(contract, report, parts, int(np.sum(place == split.EMBARGOED)))
        facts |= {"history": dropped_lines} if dropped_lines else {}
        warn_of_embargo(config.preprocess, len(rows), report.embargoed, len(parts["train"]))
        with files.whole_folder(config.data / "prepared") as folder:
            splits.write(work, valid, rows, place, folder)
    files.write_text(
        config.data / "quality.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    )
    for name, part in parts.items():
        print(f"preprocess {name}: {len(part):,} rows, {part['_bad'].mean():.2%} bad")


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

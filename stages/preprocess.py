"""Join, repair, validate and split the raw tables of a loan book."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages import files, params
from stages.contract import quality, tables
from stages.contract import reading as contracts
from stages.contract.schema import Contract, ContractError
from stages.features import split


def assign(contract: Contract, rows: pd.DataFrame, section: params.Preprocess) -> NDArray[np.int64]:
    """Each valid row's place in `split.SPLITS`, -1 for a copy that would straddle the split."""
    known = [f.name for f in contract.fields.values() if f.known_at != "outcome"]
    group = np.asarray(rows.groupby(known, sort=False, dropna=False).ngroup(), dtype=np.int64)
    shares = section.validation_share, section.test_share
    if contract.date:
        return split.by_time(rows["_date"].to_numpy(), group, *shares)
    return split.stratified(rows["_bad"].to_numpy(np.int64), group, *shares, section.seed)


def describe(rows: pd.DataFrame) -> dict[str, object]:
    """What one split holds."""
    dates = rows["_date"].dt.date if "_date" in rows else pd.Series(dtype=object)
    return {
        "rows": len(rows),
        "bad_rate": round(float(rows["_bad"].mean()), 6),
        "from": str(dates.min()) if len(dates) else None,
        "to": str(dates.max()) if len(dates) else None,
    }


def main() -> None:
    """Write `prepared/{train,validation,test}.parquet` and `quality.json`."""
    config = params.load()
    contract = contracts.load(config.dataset)
    if not (contract.feature_fields(config.mode) or contract.feature_ratios(config.mode)):
        raise ContractError(
            f"{config.data / 'contract.yaml'}: no field may be a feature in mode {config.mode}: "
            "all are protected, known later, or marked `feature: false`"
        )
    report = quality.Report()
    most = config.preprocess.max_invalid
    rows = tables.valid(contract, config.data / "raw", report, most)
    report.check(len(rows), most)
    place = assign(contract, rows, config.preprocess)
    rows = report.drop(rows, place < 0, "copy of an earlier application", rows.columns[0])
    place = place[place >= 0]
    parts = {name: rows[place == i] for i, name in enumerate(split.SPLITS)}
    for name, part in parts.items():
        if part["_bad"].nunique() < 2:
            raise ContractError(
                f"{name}: needs good and bad loans; got {len(part)} rows with outcomes "
                f"{part['_bad'].unique().tolist()}"
            )
    facts = report.summary(len(rows)) | {"split": {n: describe(p) for n, p in parts.items()}}
    with files.whole_folder(config.data / "prepared") as folder:
        for name, part in parts.items():
            part.rename_axis("_row").reset_index().to_parquet(
                folder / f"{name}.parquet", index=False
            )
    files.write_text(
        config.data / "quality.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    )


if __name__ == "__main__":
    main()

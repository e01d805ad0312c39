"""Fit, calibrate and write one candidate: `python -m stages.train CANDIDATE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from stages import candidates, model, params, prepared
from stages import contract as contracts
from stages.association import Fitted, select
from stages.contract import Contract
from stages.features import Features
from stages.params import Params
from stages.scorers import Selected


def trained_on(contract: Contract, config: Params) -> dict[str, Any]:
    """What the training rows were."""
    rows = prepared.read(config.data / "prepared" / "train.parquet")
    dates = prepared.dates(rows, contract)
    first, last = (None, None) if dates is None else (str(dates.min()), str(dates.max()))
    bad_rate = float(prepared.outcome(rows).mean())
    return {"rows": rows.num_rows, "bad_rate": bad_rate, "from": first, "to": last}


def main(name: str) -> None:
    """Write `models/candidates/<name>.joblib`."""
    config = params.load()
    section = config.candidate(name)
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    fitted = Fitted.from_json((config.data / "features" / "fitted.json").read_text())
    with np.load(config.data / "features" / "train.npz") as rows:
        x, bad = rows["x"], rows["bad"]
    kept = select(fitted, section)
    shape = candidates.Shape(fitted, features.categories, features.directions, kept)
    how = (section, config.train.seed, config.threads)
    scorer = candidates.fit(name, shape, x[:, kept], bad, *how)
    calibrator = candidates.calibrate(name, shape, x[:, kept], bad, config.train.folds, *how)
    artifact = model.Model(
        candidate=name,
        dataset=config.dataset,
        mode=config.mode,
        contract_text=(config.data / "contract.yaml").read_text(),
        scorer=scorer if len(kept) == x.shape[1] else Selected(scorer, np.array(kept)),
        calibrator=calibrator,
        trained_on=trained_on(contract, config),
    )
    model.save(artifact, Path("models") / "candidates" / f"{name}.joblib")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Fit, calibrate and write one candidate: `python -m stages.train CANDIDATE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from stages import errors, params
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.contract.schema import Contract
from stages.features.matrix import Features
from stages.models import artifact
from stages.models.job import Job
from stages.models.parameters import CandidateParameters
from stages.params import Params


def trained_on(contract: Contract, config: Params, section: CandidateParameters) -> dict[str, Any]:
    """Describe the training rows, and whether the candidate saw them resampled."""
    wanted = ["_bad", "_date"] if contract.date else ["_bad"]
    rows = prepared.read(config.data / "prepared" / "train.parquet", wanted)
    dates = prepared.dates(rows, contract)
    first, last = (None, None) if dates is None else (str(dates.min()), str(dates.max()))
    bad_rate = float(prepared.outcome(rows).mean())
    return {
        "rows": rows.num_rows,
        "bad_rate": bad_rate,
        "from": first,
        "to": last,
        "balance": section.balance,
        "overstates_pd": overstates_pd(section),
    }


def overstates_pd(section: CandidateParameters) -> bool:
    """Whether a candidate takes the bad rate of resampled rows for that of the book."""
    return section.balance != "none" and section.calibration == "none"


def main(name: str) -> None:
    """Write `models/candidates/<name>.joblib`."""
    config = params.load()
    section = config.candidate(name)
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    if overstates_pd(section):
        print(
            f"warning: train.{name}: balance: {section.balance} without calibration overstates PD, "
            "because resampled rows have more bad loans than the book; set calibration: sigmoid",
            file=sys.stderr,
        )
    job = Job.of(name, section, features, config)
    with np.load(config.data / "features" / "train.npz") as rows:
        x, bad = rows["x"], rows["bad"]
    model = artifact.Model(
        candidate=name,
        dataset=config.dataset,
        mode=config.mode,
        contract_text=(config.data / "contract.yaml").read_text(),
        scorer=job.fit(x, bad),
        calibrator=job.calibrate(x, bad, config.train.folds),
        trained_on=trained_on(contract, config, section),
    )
    artifact.save(model, Path("models") / "candidates" / f"{name}.joblib")


if __name__ == "__main__":
    with errors.one_message():
        main(*sys.argv[1:])

"""What resampling the training rows does to PDs, for the dossier of the book in params.yaml.

    python -m benches.judging.resampling [BOOK]

Fits the same LightGBM on the training rows as they are, with weights, undersampled, and with SMOTE
and SMOTETomek, without any calibration after it, and judges each on the test rows. Writes
models/resampling/BOOK.json, which git holds and the stage `dossier` shows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from stages import files, params, project
from stages.contract import reading as contracts
from stages.features.matrix import Features, Floats, Outcomes
from stages.features.statistics import Fitted
from stages.metrics import metrics
from stages.models.fitting.resampling import Balance, CannotResample, resample
from stages.models.fitting.training_rows import TrainingRows

TARGET = Path("models/resampling")
CANDIDATE = "lightgbm"
ROUNDS = 200
SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "verbosity": -1,
    "deterministic": True,
    "num_threads": 1,
    "seed": 7,
}
WAYS: dict[str, Balance] = {
    "none": "none",
    "weights": "none",
    "undersample": "undersample",
    "SMOTE": "smote",
    "SMOTETomek": "smote_tomek",
}


def fit_and_judge(
    train: tuple[Floats, Outcomes], test: TrainingRows, categories: list[int], weights: bool
) -> dict[str, Any]:
    """Return the figures of a booster on the test rows; `weights` make both classes weigh alike."""
    x, bad = train
    weight = np.where(bad == 1, np.mean(bad == 0) / np.mean(bad), 1.0) if weights else None
    rows = lightgbm.Dataset(x, bad, weight=weight, categorical_feature=categories)
    booster = lightgbm.train(SETTINGS, rows, ROUNDS)
    figures = metrics.summary(test.bad, np.asarray(booster.predict(test.x)), 1.0)
    return {"rows": len(bad)} | {
        name: round(float(figures[name]), 6) for name in ("roc_auc", "ece", "mean_pd")
    }


def compare(dataset: str) -> dict[str, Any]:
    """Return the figures of each way on the test rows of a book."""
    config = params.load().model_copy(update={"dataset": dataset})
    contract = contracts.load(dataset)
    features = Features(contract, config.mode)
    fitted = Fitted.from_json((config.data / "features" / "fitted.json").read_text())
    train, test = (TrainingRows.read(s, contract, features, config) for s in ("train", "test"))
    categories, fill = [*features.categories], np.array(fitted.fill)
    ways: dict[str, Any] = {}
    for way, balance in WAYS.items():
        try:
            rows = resample(train.x, train.bad, balance, categories, fill, config.train.seed)
        except CannotResample as error:
            print(f"{way}: {error}", file=sys.stderr)
            continue
        ways[way] = fit_and_judge(rows, test, categories, way == "weights")
        print(f"{way:12}", ways[way])
    return {
        "dataset": dataset,
        "mode": config.mode,
        "candidate": CANDIDATE,
        "rows": len(test.bad),
        "bad_rate": round(float(np.mean(test.bad)), 6),
        "ways": ways,
    }


def main() -> None:
    """Write the comparison of one book."""
    dataset = sys.argv[1] if len(sys.argv) > 1 else params.load().dataset
    files.write_json(TARGET / f"{dataset}.json", compare(dataset))


if __name__ == "__main__":
    project.enter()
    main()

"""Scoring by the artifact against the usual ways, on the fitted candidates at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from benches.serving.clock import in_turn
from service.decision.engine import Engine
from stages import params
from stages.contract import prepared
from stages.models import artifact, model_file
from stages.models.artifact import Model
from stages.models.candidates.lightgbm import Parameters

ARTIFACT = Path("models") / "candidates" / "lightgbm.joblib"


def raw(model: Model, split: str) -> dict[str, Any]:
    """Return the raw columns of a split by name, as a model takes them."""
    rows = prepared.read(params.load().data / "prepared" / f"{split}.parquet")
    return prepared.columns(rows, model.features.inputs)


def batch(seconds: float) -> dict[str, float]:
    """Return the seconds to score all training rows.

    `artifact` and `shipped` do it from raw columns, `booster` from features.
    """
    model = artifact.load(ARTIFACT)
    served = as_shipped(model)
    columns = raw(model, "train")
    x = model.features(columns)
    scorer: object = model.scorer
    booster = lightgbm.Booster(model_str=scorer.text)
    return in_turn(
        {
            "artifact": lambda: model.predict(columns),
            "shipped": lambda: served.predict(columns),
            "booster": lambda: booster.predict(x),
        },
        seconds,
    )


def as_shipped(model: Model) -> Model:
    """Return the model as the service reads it."""
    return model_file.parse(model_file.text(model).encode(), "shipped")


def single(seconds: float) -> dict[str, float]:
    """Return the seconds to score one application by `artifact`, `served` and `pipeline`."""
    model, config = artifact.load(ARTIFACT), params.load()
    engine = Engine(as_shipped(model), config.policy, {})
    columns = raw(model, "train")
    frame = pd.DataFrame(columns)
    bad = prepared.outcome(prepared.read(config.data / "prepared" / "train.parquet"))
    usual = pipeline(frame, config.train.lightgbm, model).fit(frame, bad)
    application = model.features.application(model.features.encode(columns)[0])
    return in_turn(
        {
            "artifact": lambda: model.predict_one(application),
            "served": lambda: engine.predict(engine.matrix(application)),
            "pipeline": lambda: usual.predict_proba(pd.DataFrame([application])),
        },
        seconds,
    )


def pipeline(frame: pd.DataFrame, config: Parameters, model: Model) -> Pipeline:
    """Return the usual pipeline of scikit-learn: add ratios, impute, scale, encode and boost."""
    ratios = {d.name: d.ratio for d in model.contract.derived_features(model.mode) if d.ratio}

    def with_ratios(rows: pd.DataFrame) -> pd.DataFrame:
        parts = ((name, rows[r.numerator], rows[r.denominator]) for name, r in ratios.items())
        return rows.assign(**{name: over / under.clip(lower=1) for name, over, under in parts})

    words = [f.name for f in model.features.inputs if f.is_category]
    numbers = [name for name in [*frame.columns, *ratios] if name not in words]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    booster = lightgbm.LGBMClassifier(
        n_estimators=config.trees,
        learning_rate=config.learning_rate,
        num_leaves=config.num_leaves,
        n_jobs=1,
        verbose=-1,
    )
    return make_pipeline(FunctionTransformer(with_ratios), prepare, booster)


def main() -> None:
    """Score every prepared row by the winner, as one batch: `python -m benches.serving.scoring`."""
    model = model_file.read(Path("models") / "winner.json")
    for split in ("train", "validation", "test"):
        print(f"{split}: mean PD {np.mean(model.predict(raw(model, split))):.4f}")


if __name__ == "__main__":
    main()

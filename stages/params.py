"""`params.yaml`, checked: an unknown or impossible parameter ends the stage with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Key

from stages.contract.schema import Mode
from stages.judging.policy import Policy

Share = Annotated[float, Key(ge=0, lt=1)]
Part = Annotated[float, Key(gt=0, le=1)]
Positive = Annotated[float, Key(gt=0)]
Whole = Annotated[int, Key(ge=1)]
Seed = Annotated[int, Key(ge=0)]


class ParamsError(ValueError):
    """A parameter is unknown or cannot be; the message names it, what is allowed and what came."""


class Section(BaseModel):
    """A section of params.yaml: no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Simulate(Section):
    """The simulated loan book."""

    rows: Whole
    seed: Seed


class Preprocess(Section):
    """Split and tolerance."""

    seed: Seed
    test_share: Annotated[float, Key(gt=0, lt=1)]
    validation_share: Annotated[float, Key(gt=0, lt=1)]
    max_invalid: Share

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Preprocess:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share and validation_share leave no training rows")
        return self


class Featurize(Section):
    """What is fitted about features."""

    bins: Annotated[int, Key(ge=2)]
    clip: Annotated[float, Key(ge=0, lt=0.5)]


class Candidate(Section):
    """What every candidate has."""

    balance: Literal["none", "undersample", "smote", "smote_tomek"]
    calibration: Literal["none", "sigmoid", "isotonic"]
    min_iv: Annotated[float, Key(ge=0)]
    max_vif: Annotated[float, Key(ge=1)] | None
    max_correlation: Part | None


class Logistic(Candidate):
    """L2-penalised logistic regression on standardised features."""

    c: Positive


class Scorecard(Candidate):
    """Logistic regression on the WoE of optimal bins."""

    c: Positive
    max_bins: Annotated[int, Key(ge=2)]
    min_bin_share: Annotated[float, Key(gt=0, lt=0.5)]
    monotone: bool


class RandomForest(Candidate):
    """A random forest of XGBoost's trees."""

    trees: Whole
    max_depth: Whole
    min_leaf: Positive
    features_per_split: Part
    monotone: bool


class Boosted(Candidate):
    """What both kinds of gradient boosting have."""

    trees: Whole
    learning_rate: Positive
    feature_fraction: Part
    l2: Annotated[float, Key(ge=0)]
    monotone: bool


class XGBoost(Boosted):
    """Gradient boosting by XGBoost."""

    max_depth: Whole
    min_child_weight: Annotated[float, Key(ge=0)]
    subsample: Part


class LightGBM(Boosted):
    """Gradient boosting by LightGBM."""

    num_leaves: Annotated[int, Key(ge=2)]
    max_depth: int
    min_leaf: Whole
    max_bin: Annotated[int, Key(ge=2)]
    bagging_fraction: Part


class Train(Section):
    """The candidates."""

    seed: Seed
    folds: Annotated[int, Key(ge=2)]
    logistic: Logistic
    scorecard: Scorecard
    random_forest: RandomForest
    xgboost: XGBoost
    lightgbm: LightGBM


class Evaluate(Section):
    """How candidates are judged."""

    choose_by: Literal["roc_auc", "pr_auc", "brier", "log_loss", "ks"]
    seed: Seed
    resamples: Annotated[int, Key(ge=100)]
    min_group: Whole
    golden: Whole


class Monitor(Section):
    """How live decisions are watched; no stage reads it."""

    every: Whole
    windows: Annotated[list[Annotated[int, Key(ge=100)]], Key(min_length=1)]
    min_group: Whole
    lowest_approval_ratio: Part
    maturity_days: Whole


Name = Literal["logistic", "scorecard", "random_forest", "xgboost", "lightgbm"]


class Params(Section):
    """All of params.yaml."""

    dataset: str
    mode: Mode
    threads: Whole
    candidates: Annotated[list[Name], Key(min_length=1)]
    simulate: Simulate
    preprocess: Preprocess
    featurize: Featurize
    train: Train
    evaluate: Evaluate
    policy: Policy
    monitor: Monitor

    @property
    def data(self) -> Path:
        """The folder of the chosen dataset."""
        return Path("data") / self.dataset

    def candidate(self, name: str) -> Candidate:
        """The parameters of a candidate; ParamsError for one that is not known."""
        known = [n for n in Train.model_fields if n not in ("seed", "folds")]
        if name not in known:
            raise ParamsError(f"candidate must be one of {known}; got {name!r}")
        section: Candidate = getattr(self.train, name)
        return section


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; raises ParamsError naming the parameter."""
    try:
        document = yaml.load(path.read_text(), yaml.CSafeLoader)
        if not isinstance(document, dict):
            raise ParamsError(f"{path}: must be a mapping of sections; got {document!r}")
        return Params.model_validate(document)
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise ParamsError("\n".join(explain(path, e) for e in error.errors())) from error


def explain(path: Path, error: Any) -> str:
    """One error in words: `params.yaml: train.lightgbm.trees: ...`."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        section: Any = Params
        for key in error["loc"][:-1]:
            of_list = isinstance(key, int)
            section = get_args(section)[0] if of_list else section.model_fields[key].annotation
        return f"{path}: {place}: unknown parameter; known are {', '.join(section.model_fields)}"
    got = "" if error["type"] == "missing" else f"; got {error['input']!r}"
    return f"{path}: {place}: {error['msg']}{got}"

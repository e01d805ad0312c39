"""The parameters that candidates share, as models that check a section of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

Share = Annotated[float, Key(ge=0, lt=1)]
Part = Annotated[float, Key(gt=0, le=1)]
Positive = Annotated[float, Key(gt=0)]
NotNegative = Annotated[float, Key(ge=0)]
Whole = Annotated[int, Key(ge=1)]
Seed = Annotated[int, Key(ge=0)]


class Section(BaseModel):
    """A section of params.yaml; a key that it does not define is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CandidateParameters(Section):
    """The parameters that every candidate has."""

    balance: Literal["none", "undersample", "smote", "smote_tomek"]
    calibration: Literal["none", "sigmoid", "isotonic"]
    min_iv: NotNegative
    max_vif: Annotated[float, Key(ge=1)] | None
    max_correlation: Part | None


class BoostingParameters(CandidateParameters):
    """The parameters that both libraries of gradient boosting have."""

    trees: Whole
    learning_rate: Positive
    feature_fraction: Part
    l2: NotNegative
    monotone: bool


class Range(NamedTuple):
    """The bounds, both included, within which a parameter is searched.

    Two whole numbers make a range of whole numbers; `log` searches on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

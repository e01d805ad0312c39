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

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class CandidateParameters(Section):
    """The parameters that every candidate has."""

    balance: Literal["none", "undersample", "smote", "smote_tomek"]
    """Resampling of the training rows; without calibration it overstates PD."""
    calibration: Literal["none", "sigmoid", "isotonic"]
    """What maps cross-validated log-odds to PD."""
    min_iv: NotNegative
    """Features of a lower information value are dropped."""
    max_vif: Annotated[float, Key(ge=1)] | None
    """Features of a higher variance inflation factor are dropped; null keeps all."""
    max_correlation: Part | None
    """Features more correlated than this with a stronger one are dropped; null keeps all."""


class BoostingParameters(CandidateParameters):
    """The parameters that both libraries of gradient boosting have."""

    trees: Whole
    """Number of trees."""
    learning_rate: Positive
    """Factor by which each tree's step is shortened."""
    feature_fraction: Part
    """Share of the features that each tree may use."""
    l2: NotNegative
    """L2 penalty on the values of leaves."""
    monotone: bool
    """Whether PD follows the directions of risk in the contract."""


class SearchRange(NamedTuple):
    """The bounds, both included, within which a parameter is searched.

    Two whole numbers make a range of whole numbers; `log` searches on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

"""The sections of params.yaml that commands and the service read, and no stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Key

from stages.models.parameters import Part, Positive, Section, Whole


class LossSegment(Section):
    """Applications whose losses differ from the others'."""

    rule: str
    """Rule over features, such as `loan_type == Secured`; the first segment that holds counts."""
    loss_given_default: Part
    """Lost on a bad loan, per unit exposed at default."""
    exposure_share: Positive = 1.0
    """Exposed at default, per unit lent."""


class ExpectedLoss(Section):
    """Loss given default and exposure at default of replays; no stage reads it."""

    loss_given_default: Part | None = None
    """Lost on a bad loan, per unit exposed at default; null takes that of the policy."""
    exposure_share: Positive = 1.0
    """Exposed at default, per unit lent."""
    segments: list[LossSegment] = Key(default_factory=list)
    """Segments of other losses."""


class Fairness(Section):
    """What a less discriminatory model may cost; no stage reads it."""

    auc_tolerance: Annotated[float, Key(ge=0, le=1)] = 0.005
    """An alternative to the winner is preferred where it loses at most so much ROC-AUC."""
    profit_tolerance: Annotated[float, Key(ge=0)] = 0.002
    """... and at most so much profit per unit applied for."""


class Monitor(Section):
    """How live decisions are watched; no stage reads it."""

    every: Whole
    """Number of new decisions before a window is judged again."""
    windows: Annotated[list[Annotated[int, Key(ge=100)]], Key(min_length=1)]
    """Numbers of decisions in a window: small ones are quick, large ones see small shifts."""
    min_group: Whole
    """Smaller groups of a protected attribute are not judged."""
    lowest_approval_ratio: Part
    """Lowest approval rate of a group, as a share of the highest (the four-fifths rule)."""
    maturity_days: Whole
    """Days after which a loan without a default counts as good."""

"""The lender's policy, which turns a PD into a decision, a score and a rating.

The model says how likely a default is, and the policy says what to do about it: by cut-offs from
expected profit, and by hard rules. It is read from `params.yaml: policy`; nothing here is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Key

from stages.contract.expressions.general import parse_rule
from stages.contract.schema import Contract, Mode
from stages.features.matrix import Floats, Outcomes
from stages.policy.rules import HardRule, OverrideLimit, applies

DECISIONS = ("approve", "refer", "decline")
Decision = Literal["approve", "refer", "decline"]
Score = TypeVar("Score", float, Floats)
Probability = Annotated[float, Key(gt=0, le=1)]


class Policy(BaseModel):
    """The lender's policy.

    Expected profit per unit lent is `(1 - PD) * margin - PD * loss_given_default`; it is 0 at the
    break-even PD `margin / (margin + loss_given_default)`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    margin: Annotated[float, Key(gt=0)]
    """Earned on a good loan, per unit lent."""
    loss_given_default: Probability
    """Lost on a bad loan, per unit lent."""
    cut_off: Literal["profit"] | Probability
    """PD from which a loan is predicted bad: `profit`, where expected profit is 0, or a number."""
    refer_band: Annotated[float, Key(ge=0, lt=1)]
    """Applications within this share of the cut-off, to either side, are referred."""
    rules: list[HardRule]
    """Hard rules, which make a decision stricter whatever the PD."""
    pdo: Annotated[float, Key(gt=0)]
    """Points that double the odds."""
    base_score: float
    """Points at the base odds."""
    base_odds: Annotated[float, Key(gt=0)]
    """Odds, good : bad, at the base score."""
    ratings: dict[str, Probability]
    """Bound of the PD below which each rating stands, rising to 1."""
    override_limit: OverrideLimit | None = None
    """Above it an officer's decision counts once a second officer has approved it."""

    @model_validator(mode="after")
    def _readable(self) -> Policy:
        bounds = list(self.ratings.values())
        if not bounds or bounds != sorted(set(bounds)) or bounds[-1] != 1:
            raise ValueError(f"the PDs in `ratings` must rise, and end at 1.0; got {self.ratings}")
        for rule in self.rules:
            parse_rule(rule.rule)
        return self

    def of(self, contract: Contract, mode: Mode) -> Policy:
        """Return the policy for a contract: with encoded rules, and a limit that can be applied.

        Raises ContractError for what the rules or the limit on overrides may not read.
        """
        if self.override_limit:
            self.override_limit.check(contract, mode)
        return self.with_rules(contract, mode)

    def with_rules(self, contract: Contract, mode: Mode) -> Policy:
        """Return the policy with its hard rules for the features of a contract.

        Raises ContractError for a rule on what a model of this mode does not read, such as a
        protected field, or on a value that its field does not have.
        """
        return self.model_copy(update={"rules": [r.encode(contract, mode) for r in self.rules]})

    @property
    def break_even(self) -> float:
        """The PD at which expected profit is 0."""
        return self.margin / (self.margin + self.loss_given_default)

    @property
    def pd_cut_off(self) -> float:
        """The PD from which a loan is predicted to default."""
        return self.break_even if self.cut_off == "profit" else self.cut_off

    @property
    def approve_below(self) -> float:
        """The PD below which an application is approved."""
        return self.pd_cut_off * (1 - self.refer_band)

    @property
    def decline_from(self) -> float:
        """The PD from which an application is declined."""
        return min(self.pd_cut_off * (1 + self.refer_band), 1.0)

    @property
    def cut_offs(self) -> dict[str, float]:
        """The three PDs above, as `evaluation.json` holds them."""
        return {
            "cut_off": self.pd_cut_off,
            "approve_below": self.approve_below,
            "decline_from": self.decline_from,
        }

    @property
    def in_full(self) -> dict[str, Any]:
        """Everything that the policy says, with its cut-offs as PDs, as the ledger keeps it."""
        cut_offs = ("pd_cut_off", "approve_below", "decline_from")
        return self.model_dump(exclude_none=True) | {name: getattr(self, name) for name in cut_offs}

    def decide(self, pd: Floats, columns: Mapping[str, Floats]) -> NDArray[np.int64]:
        """Return the places in DECISIONS (n,) for PDs (n,) and features (n,) by name.

        Hard rules only make a decision stricter.
        """
        places = self.decide_by_pd(pd)
        for rule in self.rules:
            strict = DECISIONS.index(rule.decision)
            places = np.where(applies(rule, columns), np.maximum(places, strict), places)
        return places

    def decide_by_pd(self, pd: Floats) -> NDArray[np.int64]:
        """Return the places in DECISIONS (n,) that PDs (n,) alone ask for, whatever the rules."""
        return (pd >= self.approve_below).astype(np.int64) + (pd >= self.decline_from)

    def broken_rules(self, columns: Mapping[str, Floats]) -> list[HardRule]:
        """Return the hard rules that apply to one application: columns of one value."""
        return [rule for rule in self.rules if applies(rule, columns)[0]]

    def score(self, pd: Score) -> Score:
        """Return the points of PDs: `base_score + pdo / ln 2 * (ln odds - ln base_odds)`.

        The odds are good : bad; twice the odds are `pdo` points more (Siddiqi 2006). The points of
        a float are a float, and those of an array (n,) are an array (n,).
        """
        log_ratio = np.log1p(-pd) - np.log(pd) - math.log(self.base_odds)
        points: Score = self.base_score + self.pdo / math.log(2) * log_ratio
        return points

    def rating(self, pd: float) -> str:
        """Return the first rating whose bound lies above the PD, and the last one for a PD of 1."""
        return [*self.ratings][int(self.rating_places(np.array([pd]))[0])]

    def rating_places(self, pd: Floats) -> NDArray[np.intp]:
        """Return the places in `ratings` (n,) for PDs (n,)."""
        return np.searchsorted([*self.ratings.values()][:-1], pd, side="right")

    @classmethod
    def from_record(cls, content: Mapping[str, Any]) -> Self:
        """Return the policy that a ledger recorded, among other facts of the time."""
        return cls.model_validate({k: v for k, v in content.items() if k in cls.model_fields})

    def profits(
        self, bad: Outcomes | NDArray[np.bool_], approved: NDArray[np.bool_] | Floats
    ) -> Floats:
        """Return the realised profit (n,) of loans per unit applied for, 0 if not approved.

        `approved` may be an amount: then so is the profit.
        """
        gained: Floats = np.where(bad, -self.loss_given_default, self.margin)
        return gained * np.asarray(approved, dtype=np.float64)

    def expected_profits(self, pd: Floats) -> Floats:
        """Return the expected profit (n,) per unit lent at PDs (n,)."""
        return (1 - pd) * self.margin - pd * self.loss_given_default

    def profit(self, bad: Outcomes, approved: NDArray[np.bool_]) -> float:
        """Return the mean realised profit per unit applied for."""
        return float(np.mean(self.profits(bad, approved)))

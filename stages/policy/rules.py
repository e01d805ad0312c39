"""The lender's rules: those that make a decision stricter, and those that need a second officer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PrivateAttr
from pydantic import Field as Key

from stages.contract.expressions.general import Condition, parse_rule
from stages.contract.expressions.simple import Rule
from stages.contract.fields.field import Field
from stages.contract.schema import AVAILABLE, Contract, ContractError, Mode
from stages.features.matrix import Floats


class HardRule(BaseModel):
    """A rule that refers or declines an application whatever its PD."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rule: str
    """Rule over features, such as `credit_utilization_ratio >= 98`."""
    decision: Literal["refer", "decline"]
    """What becomes of an application for which the rule holds, unless its PD is stricter."""
    reason: Annotated[str, Key(pattern=r"\S")]
    """What the applicant is told; not blank."""

    _encoded: Rule | Condition | None = PrivateAttr(default=None)

    @property
    def parsed(self) -> Rule | Condition:
        """The parsed rule; after `encode` it compares categories by their codes."""
        return self._encoded or parse_rule(self.rule)

    def encode(self, contract: Contract, mode: Mode) -> HardRule:
        """Return the rule for the features of a contract.

        Raises ContractError where the rule reads what a model of this mode does not.
        """
        try:
            rule = parse_rule(self.rule).encode(rule_inputs(contract, mode))
        except ValueError as error:
            raise ContractError(f"params.yaml: policy.rules: {self.rule!r}: {error}") from error
        copy = self.model_copy()
        copy._encoded = rule
        return copy


class OverrideLimit(BaseModel):
    """The applications about which one officer alone may not decide."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    field: str
    """Numeric field of an application, such as `loan_amount`."""
    above: Annotated[float, Key(allow_inf_nan=False)]
    """An officer's decision about an application with more than this needs a second officer."""

    def is_exceeded(self, application: Mapping[str, Any]) -> bool:
        """Tell whether an application is above the limit; one without the value counts as such."""
        value = application.get(self.field)
        return not isinstance(value, int | float) or value > self.above

    def check(self, contract: Contract, mode: Mode) -> None:
        """Raise ContractError unless applications have the field, and it is a number."""
        allowed = [
            f.name
            for f in contract.fields.values()
            if f.known_at in AVAILABLE[mode] and not f.protected and f.type in ("integer", "number")
        ]
        if self.field not in allowed:
            raise ContractError(
                f"params.yaml: policy.override_limit.field must be one of {', '.join(allowed)}; "
                f"got {self.field!r}"
            )


def rule_inputs(contract: Contract, mode: Mode) -> dict[str, Field | None]:
    """Return by name what a rule may read: the field, or None for a derived one."""
    derived: dict[str, Field | None] = {d.name: None for d in contract.derived_features(mode)}
    return {f.name: f for f in contract.feature_fields(mode)} | derived


def applies(rule: HardRule, columns: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Return whether a hard rule applies (n,); it does not where its field is missing."""
    try:
        return np.asarray(rule.parsed.has_values(columns) & rule.parsed.holds(columns))
    except KeyError as error:
        raise ValueError(
            f"policy.rules: {rule.rule!r} names {error}; known are {', '.join(columns)}"
        ) from error

"""The two small languages of the contract: ratios of fields, and rules between fields."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NAME = r"[A-Za-z_]\w*"
NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
RATIO = re.compile(rf"(?:({NUMBER})\s*\*\s*)?({NAME})\s*/\s*({NAME})")
RULE = re.compile(
    rf"({NAME})\s*(<=|>=|==|!=|<|>)\s*"
    rf"(?:(?:({NUMBER})\s*\*\s*)?({NAME})\s*(?:([+-])\s*({NUMBER}))?|({NUMBER}))"
)
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Ratio:
    """`scale * numerator / denominator`."""

    scale: float
    numerator: str
    denominator: str

    @classmethod
    def parse(cls, formula: str) -> Ratio:
        """Read `[NUMBER *] FIELD / FIELD`; raises ValueError on anything else."""
        match = RATIO.fullmatch(formula.strip())
        if match is None:
            raise ValueError(f"a formula is '[NUMBER *] FIELD / FIELD'; got {formula!r}")
        scale, numerator, denominator = match.groups()
        return cls(float(scale or 1), numerator, denominator)

    @property
    def fields(self) -> tuple[str, str]:
        """The names of the fields it reads."""
        return self.numerator, self.denominator


@dataclass(frozen=True)
class Rule:
    """`left OP factor * right + offset`, or `left OP offset` where there is no right field."""

    left: str
    compare: str
    factor: float
    right: str | None
    offset: float

    @classmethod
    def parse(cls, rule: str) -> Rule:
        """Read `FIELD OP [NUMBER *] FIELD [+|- NUMBER]` or `FIELD OP NUMBER`, else ValueError."""
        match = RULE.fullmatch(rule.strip())
        if match is None:
            raise ValueError(
                "a rule is 'FIELD OP NUMBER' or 'FIELD OP [NUMBER *] FIELD [+|- NUMBER]', "
                f"OP one of {', '.join(COMPARE)}; got {rule!r}"
            )
        left, compare, factor, right, sign, offset, number = match.groups()
        value = float(number or offset or 0) * (-1 if sign == "-" else 1)
        return cls(left, compare, float(factor or 1), right, value)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields it reads."""
        return (self.left,) if self.right is None else (self.left, self.right)

    def holds(self, columns: Mapping[str, Any]) -> Any:
        """Whether the rule holds, element by element; where a side is NaN only `!=` does.

        `columns` maps field names to float64 arrays (n,) or to floats.
        """
        bound = self.offset
        if self.right is not None:
            bound = self.factor * columns[self.right] + bound
        return COMPARE[self.compare](columns[self.left], bound)

    def known(self, columns: Mapping[str, Any]) -> Any:
        """Whether no side of the rule is NaN, element by element."""
        known = ~np.isnan(columns[self.left])
        return known if self.right is None else known & ~np.isnan(columns[self.right])

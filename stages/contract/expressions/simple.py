"""The two simple forms: ratios of two fields, and rules that compare two sides.

The points where they change direction are known, so proofs about a model remain valid.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BOOLEANS
from stages.contract.fields.written_values import text as written

NAME = r"[A-Za-z_]\w*"
NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
RATIO = re.compile(rf"(?:({NUMBER})\s*\*\s*)?({NAME})\s*/\s*({NAME})")
RULE = re.compile(
    rf"({NAME})\s*(<=|>=|==|!=|<|>)\s*"
    rf"(?:(?:({NUMBER})\s*\*\s*)?({NAME})\s*(?:([+-])\s*({NUMBER}))?|({NUMBER})"
    r"|'([^']*)'|\"([^\"]*)\")"
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
    """The ratio `scale * numerator / denominator` of two fields."""

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

    def values(self, columns: Mapping[str, Any]) -> Any:
        """Return the ratio, element by element; NaN where a side is missing or divides by 0."""
        under = np.asarray(columns[self.denominator], dtype=np.float64)
        with np.errstate(over="ignore"):
            return columns[self.numerator] * self.scale / np.where(under == 0, np.nan, under)

    @property
    def fields(self) -> tuple[str, str]:
        """The names of the fields that the ratio reads."""
        return self.numerator, self.denominator


@dataclass(frozen=True)
class Rule:
    """The rule `left OP factor * right + offset`, or `left OP offset`, or `left OP text`.

    A rule that names a category holds only for codes: `encode` returns the rule for them.
    """

    left: str
    compare: str
    factor: float
    right: str | None
    offset: float
    text: str | None = None

    @classmethod
    def parse(cls, rule: str) -> Rule:
        """Read `FIELD OP NUMBER`, `FIELD OP 'TEXT'` or `FIELD OP [NUMBER *] FIELD [+|- NUMBER]`.

        A word without quotes is read as a field. Raises ValueError on anything else.
        """
        match = RULE.fullmatch(rule.strip())
        if match is None:
            raise ValueError(
                "a rule is 'FIELD OP NUMBER' or 'FIELD OP [NUMBER *] FIELD [+|- NUMBER]', or "
                "FIELD OP 'CATEGORY', "
                f"OP one of {', '.join(COMPARE)}; got {rule!r}"
            )
        left, compare, factor, right, sign, offset, number, single, double = match.groups()
        value = float(number or offset or 0) * (-1 if sign == "-" else 1)
        word = double if single is None else single
        return cls(left, compare, float(factor or 1), right, value, word)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that the rule reads."""
        return (self.left,) if self.right is None else (self.left, self.right)

    def encode(self, fields: Mapping[str, Field | None]) -> Rule:
        """Return the rule for columns of features, in which a category is its code.

        `fields` has every name that the rule may read, with None for a number that is no field
        itself, such as a ratio. `home == rent` compares with the category `rent` where `home` is a
        category and nothing else is called `rent`; `<` and the like need an `ordered` category.
        Raises ValueError naming what may not be read and what is no category.
        """
        self._may_read(self.left, fields)
        left, value = fields[self.left], self.text
        plain = (self.factor, self.offset) == (1, 0)
        if left and left.codes and plain and self.right is not None and self.right not in fields:
            value = self.right
        elif self.right is not None:
            self._may_read(self.right, fields)
            right = fields[self.right]
            if (left and left.is_category) or (right and right.is_category):
                raise ValueError(f"{self.left} and {self.right} must be numbers to be compared")
            return self
        if left is None or not left.codes:
            if value is not None:
                raise ValueError(f"{self.left} must be compared with a number; got {value!r}")
            if left and self.offset in left.missing_codes:
                raise ValueError(
                    f"{self.left}: {written(self.offset)} stands for a missing value, which no "
                    "rule compares"
                )
            return self
        return self._by_code(left, written(self.offset) if value is None else value)

    def _by_code(self, field: Field, word: str) -> Rule:
        """Return the comparison of a category or boolean with the code of one of its values."""
        if field.is_category and not field.ordered and self.compare not in ("==", "!="):
            raise ValueError(
                f"{self.left} has no order: compare it by == or !=, not {self.compare}"
            )
        codes = {written(raw): code for raw, code in field.codes.items()}
        if field.is_boolean:
            codes = {name: float(truth) for name, truth in BOOLEANS.items()} | codes
        if word not in codes:
            raise ValueError(f"{self.left} must be one of {', '.join(codes)}; got {word!r}")
        return Rule(self.left, self.compare, 1, None, codes[word])

    def _may_read(self, name: str, fields: Mapping[str, Field | None]) -> None:
        """Raise ValueError for a name that the rule may not read."""
        if name not in fields:
            raise ValueError(
                f"{name} is not a field that a rule may read; these are {', '.join(fields)}"
            )

    def holds(self, columns: Mapping[str, Any]) -> Any:
        """Return where the rule holds, element by element; where a side is NaN, only `!=` holds.

        `columns` maps field names to float64 arrays (n,) or to floats.
        """
        bound = self.offset
        if self.right is not None:
            bound = self.factor * columns[self.right] + bound
        return COMPARE[self.compare](columns[self.left], bound)

    def has_values(self, columns: Mapping[str, Any]) -> Any:
        """Return where no side of the rule is NaN, element by element."""
        left = ~np.isnan(columns[self.left])
        return left if self.right is None else left & ~np.isnan(columns[self.right])

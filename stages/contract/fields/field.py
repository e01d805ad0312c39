"""One field of a contract: the type, the limits and the uses of a raw column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

from pydantic import Field as Key

from stages.contract.fields.parts import (
    CategoryCodes,
    Constraints,
    ContractPart,
    ReasonWords,
    Risk,
    Scalar,
)
from stages.contract.fields.written_values import pattern_problem, plain_date, plain_number, text

T = TypeVar("T")
CATEGORIES = {"string": (str,), "integer": (int,), "number": (int, float)}
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


def as_list(value: T | list[T] | None) -> list[T]:
    """Return one value, several or none as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def missing_column(field: str) -> str:
    """Return the name of the column that says which meaning a missing value of a field has."""
    return f"{field}__missing"


class Field(ContractPart):
    """One column of the raw tables, and one field of an application."""

    name: str = ""
    table: str = ""
    """The table that has the column; the first where none is named."""
    column: str = ""
    """The name of the column in the file, where it is not the field's name."""
    type: Literal["integer", "number", "boolean", "string", "date"]
    """The type of the values."""
    format: str = ""
    """How a file writes dates, by `strptime`: `%d/%m/%Y`, `%b-%Y`; ISO 8601 where none is given."""
    decimal_char: str = Key(default=".", alias="decimalChar", min_length=1, max_length=1)
    """What a file writes before the fraction of a number."""
    group_char: str = Key(default="", alias="groupChar", max_length=1)
    """What a file writes between the thousands of a number."""
    bare_number: bool = Key(default=True, alias="bareNumber")
    """Whether a file writes numbers alone; false where words and signs stand around them."""
    title: str = ""
    """What people call the field."""
    help: str = ""
    """A sentence that explains the field to who fills in the form."""
    unit: str = ""
    """The unit of a number."""
    constraints: Constraints = Constraints()
    """The limits of the values."""
    missing_values: list[Scalar] | dict[Scalar, str] = Key(default=[], alias="missingValues")
    """Codes for a missing value: a list, or a mapping from each code to its meaning."""
    true_values: list[Scalar] = Key(default=[], alias="trueValues")
    """What else a file writes for true."""
    false_values: list[Scalar] = Key(default=[], alias="falseValues")
    """What else a file writes for false."""
    repair: dict[Scalar, Scalar] = Key(default={})
    """Wrong raw values, each with what it is replaced by."""
    known_at: Literal["application", "pricing", "outcome"] = "application"
    """When the value is known; a model reads what is known by its mode."""
    protected: bool = False
    """Whether it is recorded for fairness only, and never read by a model."""
    feature: bool = True
    """Whether a model may read the field itself."""
    ordered: bool = False
    """Whether the order of the categories means something."""
    other: str | None = None
    """The category that stands for every text that is not listed: rare values, and new ones."""
    risk: Risk | None = None
    """Whether the risk rises or falls with the value."""
    actionable: Literal["increase", "decrease", "any"] | None = None
    """How an applicant can change the value, for advice."""
    step: float | None = Key(default=None, gt=0)
    """Advice names multiples of this number: 1000 for a yearly income, 1 for a percentage."""
    reason: ReasonWords = ReasonWords()
    """What an applicant is told where the value counted against the application."""
    example: Scalar | None = None
    """A plausible value, for documents and the form."""
    required_with_table: bool = False
    """Added on reading: whether a value must be there where the optional table has a row."""

    @property
    def source(self) -> str:
        """The name of the column in the file."""
        return self.column or self.name

    @property
    def plain_text(self) -> Callable[[str], str] | None:
        """What turns a file's text of a number or date into plain text; None if it is plain."""
        if self.format:
            return partial(plain_date, pattern=self.format)
        if (self.decimal_char, self.group_char, self.bare_number) == (".", "", True):
            return None
        form = partial(plain_number, decimal=self.decimal_char, group=self.group_char)
        return partial(form, bare=self.bare_number)

    @property
    def missing_meanings(self) -> dict[Scalar, str]:
        """The meaning of each missing code that has one, in the contract's order.

        `missingValues: {-7: no account, -9: no record}` gives meanings, a plain list gives none. A
        code is then not a value, but it is information: prepared data keeps its meaning.
        """
        codes = self.missing_values
        return {c: m for c, m in codes.items() if m} if isinstance(codes, dict) else {}

    @cached_property
    def missing_codes(self) -> dict[Any, int]:
        """The place of the meaning of each code that an application may have instead of a value.

        Places count from 1 in `missing_meanings`; 0 is a code without a meaning, which a required
        field may not have. The code of a number may stand in the contract as a text.
        """
        places = {code: place for place, code in enumerate(self.missing_meanings, start=1)}
        codes: dict[Any, int] = {}
        for code in self.missing_values:
            if code not in self.codes and (code in places or not self.constraints.required):
                codes[code] = places.get(code, 0)
                if self.is_numeric and isinstance(code, str) and NUMBER.fullmatch(code):
                    codes[float(code)] = codes[code]
        return codes

    @property
    def is_category(self) -> bool:
        """Whether a value is encoded by its place in `constraints.enum`."""
        return self.constraints.enum is not None

    @property
    def is_feature(self) -> bool:
        """Whether a model may use the field itself in some mode."""
        encodable = self.is_category or self.type in ("integer", "number", "boolean")
        return encodable and self.feature and not self.protected and self.known_at != "outcome"

    @property
    def is_boolean(self) -> bool:
        """Whether a value is encoded as 0 or 1."""
        return self.type == "boolean" and not self.is_category

    @property
    def is_numeric(self) -> bool:
        """Whether a value is a quantity and is encoded as itself."""
        return self.type in ("integer", "number") and not self.is_category

    @cached_property
    def codes(self) -> dict[Scalar, float]:
        """The code of each accepted value of a category or boolean; empty for numbers."""
        if self.is_category:
            return CategoryCodes(self.constraints.enum or [], self.other)
        if self.type == "boolean":
            words = dict.fromkeys(self.false_values, 0.0) | dict.fromkeys(self.true_values, 1.0)
            return {False: 0.0, True: 1.0} | words
        return {}

    def problems(self) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the field: the keys of its place, and the problem."""
        yield from self._wrong_values()
        yield from self._wrong_texts()
        yield from self._wrong_uses()
        yield from self.reason.problems(self.codes, self.missing_meanings, self.risk)

    def _wrong_values(self) -> Iterator[tuple[list[str], str]]:
        """Yield what is wrong about the values that the field may have."""
        if self.constraints.enum is not None:
            yield from self._wrong_categories(self.constraints.enum)
        elif "enum" in self.constraints.model_fields_set:
            yield ["constraints", "enum"], "a list of categories needs at least one; got none"
        if self.type == "string" and self.constraints.enum is None and self.feature:
            yield [], "a string needs `constraints: {enum: [...]}`, or `feature: false`"
        for word in set(map(text, self.true_values)) & set(map(text, self.false_values)):
            yield ["falseValues"], f"{word!r} is also one of `trueValues`"
        low, high = self.constraints.minimum, self.constraints.maximum
        if (low, high) != (None, None) and not self.is_numeric:
            yield ["constraints"], "only numbers have a minimum and a maximum"
        if low is not None and high is not None and low > high:
            yield ["constraints"], f"minimum {low} is above maximum {high}"
        if len(set(map(text, self.missing_values))) < len(self.missing_values):
            yield ["missingValues"], f"duplicate code in {list(self.missing_values)}"
        for code in self.missing_meanings:
            if code in self.codes:
                yield ["missingValues"], f"{code!r} is also a value of the field"
        for right in self.repair.values():
            if self.is_category and right not in self.codes:
                yield ["repair"], f"{right!r} is none of the categories {self.constraints.enum}"

    def _wrong_texts(self) -> Iterator[tuple[list[str], str]]:
        """Yield what is wrong about how a file writes the values."""
        if self.format and self.type != "date":
            yield ["format"], f"is for dates; the type is {self.type}"
        elif self.format and (problem := pattern_problem(self.format)):
            yield ["format"], f"{problem}; got {self.format!r}"
        for key in ("decimal_char", "group_char", "bare_number"):
            if key in self.model_fields_set and not self.is_numeric:
                yield [str(Field.model_fields[key].alias)], "is allowed only for numbers"
        for key, sign in (("decimalChar", self.decimal_char), ("groupChar", self.group_char)):
            if sign.isdigit() or sign in ("+", "-"):
                yield [key], f"must not be a digit or a sign; got {sign!r}"
        if self.decimal_char == self.group_char:
            yield ["groupChar"], f"must differ from `decimalChar`; both are {self.group_char!r}"

    def _wrong_uses(self) -> Iterator[tuple[list[str], str]]:
        """Yield what is wrong about the order, the direction and the use of the field."""
        if self.other is not None and self.type != "string":
            yield ["other"], f"is allowed only for strings; the type is {self.type}"
        elif self.other is not None and self.other not in (self.constraints.enum or []):
            yield ["other"], f"must be one of the categories {self.constraints.enum}"
        if self.ordered and not self.is_category:
            yield ["ordered"], "only categories (`constraints: {enum: [...]}`) can be ordered"
        if self.risk and self.is_category and not self.ordered:
            yield ["risk"], "needs `ordered: true`: unordered categories have no direction"
        if self.protected and self.actionable:
            yield ["actionable"], "a protected attribute is never actionable"
        if self.step is not None:
            yield from self._wrong_step(self.step)

    def _wrong_step(self, step: float) -> Iterator[tuple[list[str], str]]:
        """Yield why advice cannot name multiples of the step."""
        low, high = self.constraints.minimum, self.constraints.maximum
        if not self.is_numeric:
            yield ["step"], "only numbers have a step"
        elif self.type == "integer" and step % 1:
            yield ["step"], f"the step of an integer must be a whole number; got {step}"
        elif low is not None and high is not None and step > high - low:
            yield ["step"], f"must not exceed maximum - minimum, here {high - low:g}; got {step:g}"

    def _wrong_categories(self, enum: list[Scalar]) -> Iterator[tuple[list[str], str]]:
        """Yield the categories that do not have the type of the field or are listed twice."""
        types = CATEGORIES.get(self.type)
        for value in enum:
            if types and (isinstance(value, bool) or not isinstance(value, types)):
                quotes = "; write it in quotes" if self.type == "string" else ""
                problem = f"{value!r} must be a {self.type}, as `type` says{quotes}"
                yield ["constraints", "enum"], problem
        words = [text(value) for value in enum]
        for word in sorted({w for w in words if words.count(w) > 1}):
            yield ["constraints", "enum"], f"{word!r} is written twice"

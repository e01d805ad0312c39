"""The base of all parts of a contract, and the small parts that fields and ratios have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Key
from pydantic_core import PydanticCustomError

Scalar = bool | int | float | str
Risk = Literal["increasing", "decreasing"]


class ContractPart(BaseModel):
    """A part of the contract: it cannot be changed, and it refuses keys that it does not define."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class CategoryCodes(dict[Scalar, float]):
    """The code of each category; a text that is none of them has the code of `other`, if any."""

    def __init__(self, categories: Iterable[Scalar], other: Scalar | None) -> None:
        super().__init__({value: float(place) for place, value in enumerate(categories)})
        self.other = other

    def __missing__(self, value: Scalar) -> float:
        if self.other is None or not isinstance(value, str):
            raise KeyError(value)
        return self[self.other]


class Constraints(ContractPart):
    """The limits of a field's values."""

    minimum: float | None = None
    """The lowest number that is valid."""
    maximum: float | None = None
    """The highest number that is valid."""
    enum: list[Scalar] | None = Key(default=None, min_length=1)
    """The categories, from the lowest where they are `ordered`."""
    required: bool = False
    """Whether a value, or a missing code with a meaning, must be there."""


class ReasonWords(ContractPart):
    """What an applicant is told where the value counted against the application.

    The value chooses the sentence. A number is high or low where it lies outside the range of the
    middle half of the approved applicants in the training rows. `high` or `low` alone says that
    the other side is the favourable one, on which no sentence claims a direction.
    """

    high: str = ""
    """The sentence for a number above the usual range of approved applicants."""
    low: str = ""
    """The sentence for a number below the usual range of approved applicants."""
    missing: str | dict[Scalar, str] = ""
    """The sentence for a missing value, or one for each missing code that has a meaning."""
    categories: dict[Scalar, str] = Key(default={})
    """The sentence for each value of a category or boolean that needs one."""
    quote: bool = False
    """Whether a sentence quotes the number, and what is usual for approved applicants."""
    group: str = ""
    """The title of the fact that fields and ratios of this group tell of: it is one reason."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_one_sentence(cls, value: object) -> object:
        if isinstance(value, str):
            allowed = "{high: ..., low: ..., missing: ..., categories: {VALUE: ...}}"
            raise PydanticCustomError(
                "one_sentence", f"must say {allowed}: no sentence is true of every value"
            )
        return value

    def problems(
        self, values: Collection[object], meanings: Collection[object], risk: Risk | None
    ) -> Iterator[tuple[list[str], str]]:
        """Yield each sentence that can never be said: the keys of its place, and the problem.

        `values` are those of a category or boolean, none for a number; `meanings` are the missing
        codes that have one.
        """
        harmless = {"increasing": "low", "decreasing": "high"}.get(risk or "")
        for side in ("high", "low", "quote"):
            if getattr(self, side) and values:
                yield ["reason", side], "is for numbers; a category or boolean has `categories`"
            elif getattr(self, side) and harmless == side:
                yield ["reason", side], f"is never a reason where `risk` is {risk}: leave it out"
        for value in self.categories:
            if value not in values:
                allowed = f"must be one of {list(values)}" if values else "is for categories alone"
                yield ["reason", "categories"], f"{allowed}; got {value!r}"
        for code in self.missing if isinstance(self.missing, dict) else ():
            if code not in meanings:
                allowed = f"must be one of the codes with a meaning, {list(meanings)}"
                yield ["reason", "missing"], f"{allowed}; got {code!r}"

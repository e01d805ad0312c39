"""Parts that several JSON objects have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

Verdict = Literal["approve", "refer", "decline"]
Probability = Annotated[float, Key(ge=0, le=1)]


class Shape(BaseModel):
    """A JSON object that has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """A problem of a field ("" for the whole request), the allowed values and the given one.

    `code` is one word for programs.
    """

    field: str
    message: str
    allowed: str | None
    got: object
    code: str


class Errors(Shape):
    """The problem details (RFC 9457) of a refused request. A refused application gets no score."""

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[list[Error], Key(min_length=1)]


class Reason(Shape):
    """A principal reason: a field or ratio, and a sentence that is true of its value."""

    field: str
    text: str


class Identity(Shape):
    """The model, policy, data, image and git commit that decided; null if unknown."""

    model: str | None
    policy: str | None
    data: str | None
    image: str | None
    git_commit: str | None

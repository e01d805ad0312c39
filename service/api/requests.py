"""What handlers take and return: a request, an answer with its status, or a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from service.decision.applications import InvalidApplication
from service.decision.json_bodies import NotJSON
from service.decision.problems import Problem, as_text, quote
from service.ledger import LedgerUnavailable

VISIBLE = "a text that is not blank and has no NUL character"

Answer = tuple[int, bytes]
"""The status and the body of an answer."""


class Refused(Exception):
    """A request that is not answered, but refused with this status and these problems."""

    def __init__(
        self, status: int, *problems: Problem, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problems[0].message)
        self.status, self.problems, self.headers = status, problems, headers or {}


def refusal(
    status: int,
    message: str,
    field: str = "",
    allowed: str = "",
    got: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Refused:
    """Return a refusal for one reason."""
    return Refused(status, Problem(field, message, allowed, got), headers=headers)


class Request(NamedTuple):
    """What a handler needs of a request: the `{id}` of its path, its query and its body."""

    id: str
    query: Mapping[str, str]
    body: bytes


Handler = Callable[[Request], Awaitable[Answer]]
Model = TypeVar("Model", bound=BaseModel)


async def respond(handler: Handler, request: Request) -> Answer:
    """Return what the handler answers; what it refuses becomes a status and `errors`."""
    try:
        return await handler(request)
    except InvalidApplication as error:
        return refused_answer(422, error.problems)
    except NotJSON as error:
        return refused_answer(400, [Problem("", str(error), "JSON", None)])
    except Refused as error:
        return refused_answer(error.status, error.problems)
    except LedgerUnavailable as error:
        problem = Problem("", f"decisions cannot be recorded: {error}", "", None)
        return refused_answer(503, [problem])


def refused_answer(status: int, problems: Iterable[Problem]) -> Answer:
    """Return a status with the body that says why."""
    return status, to_json({"errors": as_dicts(problems)})


def as_dicts(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as they are written in JSON."""
    return [problem._asdict() for problem in problems]


def parse(model: type[Model], value: Any) -> Model:
    """Return a JSON value as a model; refuses it with one problem per field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise Refused(422, *(_problem(e) for e in errors)) from None


def _problem(error: Any) -> Problem:
    field, got = ".".join(map(str, error["loc"])), quote(error["input"])
    allowed = VISIBLE if error["type"] == "string_pattern_mismatch" else error["msg"]
    return Problem(field, f"{field}: {allowed}; got {as_text(got)}", allowed, got)


def search_text(query: Mapping[str, str], name: str, words: int, length: int) -> str | None:
    """Return a text to search for, None where it is not given; refuses what no database takes."""
    text = query.get(name)
    if text is not None and ("\0" in text or len(text) > length or len(text.split()) > words):
        limit, got = f"at most {words} words and {length} characters without NUL", quote(text)
        raise refusal(422, f"{name} must be {limit}; got {got}", name, limit, got)
    return text


def whole_number(query: Mapping[str, str], name: str, most: int) -> int | None:
    """Return a whole number from 1 to `most` of a query, None where it is not given."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= most):
        limit, got = f"a whole number from 1 to {most}", quote(text)
        raise refusal(422, f"{name} must be {limit}; got {got}", name, limit, got)
    return int(text)

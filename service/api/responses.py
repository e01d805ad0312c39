"""What handlers get and give: requests, answers with a status, and refusals with their words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from service.decision.applications import InvalidApplication, NotJSON
from service.decision.problems import Problem, as_text, quote
from service.ledger import LedgerUnavailable

Reply = tuple[int, bytes]
Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """A request that gets no answer but this status and these problems."""

    def __init__(self, status: int, *problems: Problem, headers: Headers | None = None) -> None:
        super().__init__(problems[0].message)
        self.status, self.problems, self.headers = status, problems, headers or []


def refusal(
    status: int,
    message: str,
    field: str = "",
    allowed: str = "",
    got: Any = None,
    headers: Headers | None = None,
) -> Refused:
    """A refusal for one reason."""
    return Refused(status, Problem(field, message, allowed, got), headers=headers)


class Request(NamedTuple):
    """What a handler needs of a request: the last part of the path, the query, the body."""

    part: str
    query: Mapping[str, str]
    body: bytes


Handler = Callable[[Request], Awaitable[Reply]]
Model = TypeVar("Model", bound=BaseModel)


async def reply(handler: Handler, request: Request) -> Reply:
    """What the handler answers; what it refuses, as a status and `errors`."""
    try:
        return await handler(request)
    except InvalidApplication as error:
        return refuse(422, error.problems)
    except NotJSON as error:
        return refuse(400, [Problem("", str(error), "JSON", None)])
    except Refused as error:
        return refuse(error.status, error.problems)
    except LedgerUnavailable as error:
        return refuse(503, [Problem("", f"decisions cannot be recorded: {error}", "", None)])


def refuse(status: int, problems: Any) -> Reply:
    """A status and the body that says why."""
    return status, to_json({"errors": told(problems)})


def told(problems: Any) -> list[dict[str, Any]]:
    """Problems as they are written in JSON."""
    return [problem._asdict() for problem in problems]


def checked(model: type[Model], value: Any) -> Model:
    """A JSON value as a model; refuses with a problem a field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise Refused(422, *(_problem(e) for e in found)) from None


def _problem(error: Any) -> Problem:
    field, got = ".".join(map(str, error["loc"])), quote(error["input"])
    return Problem(field, f"{field}: {error['msg']}; got {as_text(got)}", error["msg"], got)


def whole_number(query: Mapping[str, str], name: str, default: int | None, most: int) -> int | None:
    """A whole number from 1 to `most` of a query; refuses anything else."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= most):
        limit = f"a whole number from 1 to {most}"
        raise refusal(422, f"{name} must be {limit}; got {quote(text)}", name, limit, quote(text))
    return int(text)

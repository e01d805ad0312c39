"""The requests that handlers take, and the responses and refusals that they give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from service.decision.applications import InvalidApplication
from service.decision.json_bodies import NotJSON
from service.decision.problems import Problem, as_text, quote
from service.ledger import LedgerUnavailable
from service.sources.fetched import SourceError
from service.users.callers import Caller

VISIBLE = "a text that is not blank and has no NUL character"

MAX_DETAILS = 3  # messages that the detail of a refusal repeats
CODES = {
    400: "malformed",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    503: "unavailable",
}
"""The code of a problem that has none of its own, by the status of the answer."""

Response = tuple[int, bytes]
"""A status and a body in JSON or HTML."""


class Refused(Exception):
    """A request is refused with this status and these problems."""

    def __init__(
        self, status: int, *problems: Problem, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problems[0].message)
        self.status, self.problems, self.headers = status, problems, headers or {}


class Replayed(Exception):
    """A request was answered before; the body is that of the first answer."""

    def __init__(self, body: bytes) -> None:
        super().__init__("this request was answered before")
        self.body = body


def refusal(
    status: int,
    message: str,
    field: str = "",
    allowed: str = "",
    got: object = None,
    headers: Mapping[str, str] | None = None,
) -> Refused:
    """Return a refusal that states one problem."""
    return Refused(status, Problem(field, message, allowed, got), headers=headers)


class Request(NamedTuple):
    """The parts of a request that a handler reads: the `{id}` of its path, its query, its body.

    `caller` is None where no users are configured.
    """

    id: str
    query: Mapping[str, str]
    body: bytes
    caller: Caller | None = None
    idempotency_key: str | None = None
    charge: Callable[[int], None] | None = None
    """Counts further applications against the caller's rate."""

    @property
    def recorded_caller(self) -> dict[str, Any] | None:
        """The caller as entries name it; None where no users are configured."""
        return self.caller.as_recorded() if self.caller else None


Handler = Callable[[Request], Awaitable[Response]]
Routes = dict[str, dict[str, Handler]]
"""The handler of each method of each path."""
Model = TypeVar("Model", bound=BaseModel)


async def respond(handler: Handler, request: Request) -> Response:
    """Return the handler's response; a refusal becomes a response with its status and `errors`."""
    try:
        return await handler(request)
    except InvalidApplication as error:
        return error_response(422, error.problems)
    except NotJSON as error:
        return error_response(400, [Problem("", str(error), "JSON", None)])
    except Refused as error:
        return error_response(error.status, error.problems)
    except SourceError as error:
        return error_response(503, [Problem(error.field, str(error), "", None, error.code)])
    except LedgerUnavailable as error:
        problem = Problem("", f"decisions cannot be recorded: {error}", "", None)
        return error_response(503, [problem])


def error_response(status: int, problems: Iterable[Problem]) -> Response:
    """Return a response whose body lists the problems, as RFC 9457 describes problem details."""
    errors = as_dicts(problems)
    for error in errors:
        error["code"] = error["code"] or CODES.get(status, "invalid")
    details = {
        "type": "about:blank",  # the status and the codes say what kind of problem it is
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(error["message"] for error in errors[:MAX_DETAILS]),
        "errors": errors,
    }
    return status, to_json(details)


def as_dicts(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as JSON objects."""
    return [problem._asdict() for problem in problems]


def validate(model: type[Model], value: object) -> Model:
    """Return a JSON value as an instance of a model; refuses it with one problem per field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise Refused(422, *(_problem(e) for e in errors)) from None


def _problem(error: ErrorDetails) -> Problem:
    field, got = ".".join(map(str, error["loc"])), quote(error["input"])
    allowed = VISIBLE if error["type"] == "string_pattern_mismatch" else error["msg"]
    return Problem(field, f"{field}: {allowed}; got {as_text(got)}", allowed, got, error["type"])


def check_names(query: Mapping[str, str], *allowed: str) -> None:
    """Refuse a parameter that the operation does not have, as a misspelt one would be ignored."""
    for name in query:
        if name not in allowed:
            limit = f"one of {', '.join(allowed)}"
            message = f"the query has no parameter {as_text(quote(name))}; it must be {limit}"
            raise refusal(422, message, "query", limit, quote(name))


def read_search(query: Mapping[str, str], name: str, words: int, length: int) -> str | None:
    """Return the text to search for, None when it is absent.

    Refuses a text with more than `words` words or `length` characters, or with NUL.
    """
    text = query.get(name)
    if text is not None and ("\0" in text or len(text) > length or len(text.split()) > words):
        limit, got = f"at most {words} words and {length} characters without NUL", quote(text)
        raise refusal(422, f"{name} must be {limit}; got {got}", name, limit, got)
    return text


def read_whole_number(query: Mapping[str, str], name: str, largest: int) -> int | None:
    """Return a parameter of the query as a whole number, None when it is absent.

    Refuses any other value than a whole number from 1 to `largest`.
    """
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= largest):
        limit, got = f"a whole number from 1 to {largest}", quote(text)
        raise refusal(422, f"{name} must be {limit}; got {got}", name, limit, got)
    return int(text)

"""The settings of the service: this module reads and checks every environment variable.

    from service import settings
    settings.load().max_batch

`python -m service.settings` prints them as the table that the documentation shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

MEBIBYTE = 1 << 20
DIGEST = 64  # hexadecimal digits of a SHA-256


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message names both and what is allowed."""


def digests(text: str) -> tuple[bytes, ...]:
    """Return the SHA-256 digests that a text lists in hexadecimal digits, separated by commas.

    The error does not repeat an entry, which may be a key that was given instead of its digest.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    for number, entry in enumerate(entries, 1):
        if len(entry) != DIGEST or set(entry.lower()) - set("0123456789abcdef"):
            raise PydanticCustomError(
                "digest",
                "entry {number} must be the SHA-256 of a key, 64 hexadecimal digits "
                "(`printf %s KEY | sha256sum`); got {length} characters",
                {"number": number, "length": len(entry)},
            )
    return tuple(map(bytes.fromhex, entries))


def names(text: str) -> tuple[str, ...]:
    """Return the names that a text lists, separated by commas, in lower case."""
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def require_digits(text: object) -> object:
    """Return the value; raises ValueError for a text such as "1_000" that pydantic would accept."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError
    return text


Count = Annotated[int, BeforeValidator(require_digits), Field(ge=1)]
Port = Annotated[int, BeforeValidator(require_digits), Field(ge=1, le=65535)]
Names = Annotated[tuple[str, ...], BeforeValidator(names)]
Digests = Annotated[tuple[bytes, ...], BeforeValidator(digests)]


def variable(name: str, default: Any, description: str, allowed: str) -> Any:
    """Declare a setting: its environment variable, and what the documentation says about it."""
    return Field(
        default, alias=name, description=description, json_schema_extra={"allowed": allowed}
    )


class Settings(BaseModel):
    """The settings of one process."""

    model_config = ConfigDict(frozen=True)

    database_url: str = variable(
        "DATABASE_URL",
        "sqlite:///ledger/decisions.sqlite",
        "The database that holds the ledger of decisions.",
        "sqlite:///PATH or postgresql://...",
    )
    ledger_checkpoints: str = variable(
        "LEDGER_CHECKPOINTS",
        "",
        "The folder of the checkpoint (length and last hash of the ledger), best on another disk; "
        "the default is the folder of a SQLite ledger, and `ledger` for PostgreSQL.",
        "a path",
    )
    api_keys: Digests = variable(
        "CREDIT_PD_API_KEYS",
        (),
        "The SHA-256 digests of the API keys, separated by commas. When there is at least one, "
        "every request needs a key in the header `x-api-key`.",
        "SHA-256 digests of 64 hexadecimal digits",
    )
    api_key: str = variable(
        "CREDIT_PD_API_KEY", "", "The API key that `python -m service.traffic` sends.", "a text"
    )
    hosts: Names = variable(
        "CREDIT_PD_HOSTS",
        (),
        "The host names, separated by commas, under which a service without API keys may be "
        "reached, besides IP addresses and names without a dot.",
        "host names",
    )
    docs: Literal["key", "open"] = variable(
        "CREDIT_PD_DOCS",
        "key",
        "Who may read `/docs` and `/docs.json` of a service with API keys: holders of a key "
        "(`key`) or everybody (`open`).",
        "key or open",
    )
    max_body: Count = variable(
        "CREDIT_PD_MAX_BODY",
        MEBIBYTE,
        "The largest size of a request body, in bytes.",
        "a whole number from 1",
    )
    max_batch: Count = variable(
        "CREDIT_PD_MAX_BATCH",
        1000,
        "The largest number of applications or outcomes in one request.",
        "a whole number from 1",
    )
    max_requests: Count = variable(
        "CREDIT_PD_MAX_REQUESTS",
        512,
        "The requests that a worker answers at the same time; further ones get a 503 at once.",
        "a whole number from 1",
    )
    monitor: Literal["on", "off"] = variable(
        "CREDIT_PD_MONITOR",
        "on",
        "Whether the service starts the process that monitors its decisions for drift.",
        "on or off",
    )
    image: str | None = variable(
        "CREDIT_PD_IMAGE",
        None,
        "The container image of the service, which every decision records.",
        "a text",
    )
    git_commit: str | None = variable(
        "CREDIT_PD_GIT_COMMIT",
        None,
        "The git commit of the code, which every decision records; by default the checkout's.",
        "a text",
    )
    dashboard_port: Port = variable(
        "DASHBOARD_PORT",
        8501,
        "The port of the dashboard on the loopback interface.",
        "a whole number from 1 to 65535",
    )
    alert_webhook: str = variable(
        "ALERT_WEBHOOK",
        "",
        "The address to which incidents are posted as Slack's incoming webhooks expect them.",
        "an address that begins with http:// or https://",
    )
    alert_smtp: str = variable(
        "ALERT_SMTP", "", "The mail server that sends incidents to `ALERT_MAIL`.", "HOST:PORT"
    )
    alert_mail: str = variable(
        "ALERT_MAIL", "", "The address to which incidents are sent.", "an e-mail address"
    )
    alert_from: str = variable(
        "ALERT_FROM",
        "credit-pd@localhost",
        "The sender of the mails about incidents.",
        "an e-mail address",
    )
    alert_smtp_user: str = variable(
        "ALERT_SMTP_USER", "", "The account at the mail server, if it requires one.", "a text"
    )
    alert_smtp_password_file: str = variable(
        "ALERT_SMTP_PASSWORD_FILE", "", "The file with that account's password.", "a path"
    )
    retrain_repository: str = variable(
        "RETRAIN_REPOSITORY",
        "",
        "The GitHub repository whose workflow `retrain` is started when applications drift.",
        "OWNER/NAME",
    )
    retrain_token_file: str = variable(
        "RETRAIN_TOKEN_FILE",
        "",
        "The file with a token that has write access to the contents of that repository.",
        "a path",
    )
    github_api_url: str = variable(
        "GITHUB_API_URL",
        "https://api.github.com",
        "The address of GitHub's API, for GitHub Enterprise.",
        "an address that begins with http:// or https://",
    )


class Variable(NamedTuple):
    """The documentation of one environment variable."""

    name: str
    default: str
    allowed: str
    description: str


def load() -> Settings:
    """Return the settings of the present environment; raises SettingsError.

    A variable with an empty text counts as not set. The same environment is checked only once.
    """
    values = {v.name: os.environ[v.name] for v in variables() if v.name in os.environ}
    return _validate(tuple(values.items()))


@lru_cache(maxsize=8)
def _validate(values: tuple[tuple[str, str], ...]) -> Settings:
    numbers = {f.alias for f in Settings.model_fields.values() if f.annotation is int}
    try:
        return Settings.model_validate({n: v for n, v in values if v or n in numbers})
    except ValidationError as error:
        first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "digest":
        raise SettingsError(f"{name}: {first['msg']}")
    allowed = {v.name: v.allowed for v in variables()}[name]
    raise SettingsError(f"{name} must be {allowed}; got {first['input']!r}")


def variables() -> Iterator[Variable]:
    """Yield the documentation of every environment variable, in the order of the model."""
    for field in Settings.model_fields.values():
        extra: Any = field.json_schema_extra
        default = "" if field.default is None or field.default == () else str(field.default)
        yield Variable(str(field.alias), default, extra["allowed"], str(field.description))


def table() -> str:
    """Return the documentation of all settings as a Markdown table."""
    lines = ["| setting | default | allowed | description |", "|---|---|---|---|"]
    for name, default, allowed, description in variables():
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | {shown} | {allowed} | {description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

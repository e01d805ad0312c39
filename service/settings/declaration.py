"""Declare a setting: its environment variable, its type, and what the documentation says of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

DIGEST = 64  # hexadecimal digits of a SHA-256


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
Days = Annotated[int, BeforeValidator(require_digits), Field(ge=0)]
Port = Annotated[int, BeforeValidator(require_digits), Field(ge=1, le=65535)]
Names = Annotated[tuple[str, ...], BeforeValidator(names)]
Digests = Annotated[tuple[bytes, ...], BeforeValidator(digests)]


def variable(name: str, default: object, description: str, allowed: str) -> Any:
    """Declare a setting: its environment variable, and what the documentation says about it."""
    return Field(
        default, alias=name, description=description, json_schema_extra={"allowed": allowed}
    )


class SettingsSection(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True)

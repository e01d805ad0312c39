"""Read and check the environment variables of the service, and document them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from service.settings.access import AccessSettings
from service.settings.alerts import AlertSettings
from service.settings.identity import IdentitySettings
from service.settings.ledger import FeatureSettings, LedgerSettings
from service.settings.letters import LetterSettings
from service.settings.limits import LimitSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.page import PageSettings
from service.settings.shadow import ShadowSettings
from service.settings.users import UserSettings


class Settings(
    LetterSettings,
    AlertSettings,
    PageSettings,
    ShadowSettings,
    MonitoringSettings,
    IdentitySettings,
    LimitSettings,
    UserSettings,
    AccessSettings,
    FeatureSettings,
    LedgerSettings,
):
    """The settings of one process. Pydantic takes the fields of the last class first."""


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message names both and what is allowed."""


class Variable(NamedTuple):
    """The documentation of one environment variable."""

    name: str
    default: str
    allowed: str
    description: str


def read_secret(variable: str) -> str:
    """Return what a variable holds that a command's option names; ValueError where it is empty."""
    if secret := os.environ.get(variable, ""):
        return secret
    raise ValueError(f"the environment variable {variable} must hold the secret; it is not set")


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
    if first["type"] in ("digest", "secret"):
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

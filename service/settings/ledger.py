"""The databases: where the ledger of decisions is kept, and where features are fetched."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from service.settings.declaration import Count, Days, SettingsSection, variable

READABLE = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")


def require_readable(url: str) -> str:
    """Return the URL of a database; the error does not repeat it, as it may hold a password."""
    if url and not any(url.startswith(start) and len(url) > len(start) for start in READABLE):
        raise PydanticCustomError("secret", "must be sqlite:///PATH or postgresql://...")
    return url


class LedgerSettings(SettingsSection):
    """The settings of the ledger."""

    database_url: str = variable(
        "DATABASE_URL",
        "sqlite:///ledger/decisions.sqlite",
        "The database that holds the ledger of decisions.",
        "sqlite:///PATH or postgresql://...",
    )
    erase_after_days: Days = variable(
        "ERASE_AFTER_DAYS",
        0,
        "Days after which `python -m service.ledger erase --expired` removes the personal parts "
        "of a decision; 0 means never.",
        "a whole number from 0",
    )
    ledger_checkpoints: str = variable(
        "LEDGER_CHECKPOINTS",
        "",
        "The folder of the checkpoint (length and last hash of the ledger), best on another disk; "
        "the default is the folder of a SQLite ledger, and `ledger` for PostgreSQL.",
        "a path",
    )


def require_web(url: str) -> str:
    """Return the URL of a server; the error does not repeat it, as it may hold a password."""
    if url and not re.fullmatch(r"https?://[^/\s]+\S*", url):
        raise PydanticCustomError("secret", "must be http://... or https://...")
    return url


class FeatureSettings(SettingsSection):
    """The settings of the database from which lines of histories are fetched."""

    features_url: Annotated[str, AfterValidator(require_readable)] = variable(
        "CREDIT_PD_FEATURES_URL",
        "",
        "The database of features (`source` in a contract), of an account that may only read; "
        "without it, requests must state all lines.",
        "sqlite:///PATH or postgresql://...",
    )
    feast_url: Annotated[str, AfterValidator(require_web)] = variable(
        "CREDIT_PD_FEAST_URL",
        "",
        "The feature server of Feast that answers where a contract says `kind: feast`.",
        "http://... or https://...",
    )
    features_timeout: Count = variable(
        "CREDIT_PD_FEATURES_TIMEOUT",
        500,
        "The milliseconds that a query of the database of features, or a request to the feature "
        "server, may take.",
        "a whole number from 1",
    )

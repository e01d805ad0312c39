"""The caller of a request, and the roles that a caller can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

ROLES = {
    "decide": "sends applications and gets decisions and explanations",
    "read": "reads decisions, their history and drift reports",
    "review": "decides about referred cases (overrides)",
    "approve": "approves what another person has decided (a second pair of eyes)",
    "outcomes": "reports which loans went bad",
    "audit": "reads decisions, their receipts and metrics, and changes nothing",
    "admin": "operates the service: reads metrics and drift reports",
}


class Caller(NamedTuple):
    """Who sends a request: a person with a token, or a service with an API key."""

    name: str
    type: Literal["person", "service"]
    roles: frozenset[str]
    subject: str | None = None
    """The identifier of a person at the identity provider, which never changes."""

    def as_recorded(self) -> dict[str, Any]:
        """Return what an entry of the ledger states about the caller."""
        recorded = {"name": self.name, "type": self.type}
        return recorded if self.subject is None else {**recorded, "subject": self.subject}


class NotAdmitted(Exception):
    """Credentials are not accepted; the message says why, and `reason` is one of few words."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProviderUnavailable(Exception):
    """The identity provider cannot be asked, or answers what it must not."""


def known_roles(names: Iterable[str]) -> frozenset[str]:
    """Return these roles as a set; raises ValueError when one of them does not exist."""
    roles = frozenset(names)
    unknown = sorted(roles - ROLES.keys())
    if unknown or not roles:
        got = ", ".join(unknown) or "none"
        raise ValueError(f"roles must be one or more of {', '.join(ROLES)}; got {got}")
    return roles

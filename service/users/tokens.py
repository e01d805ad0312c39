"""Check the tokens of people, which an OpenID Connect provider signs."""

from __future__ import annotations

from typing import Any, NamedTuple

import jwt

from service.users.callers import ROLES, Caller, NotAdmitted
from service.users.provider import Provider

# Signatures by a private key only: with HS256 whoever knows the public key could sign, and with
# "none" everybody.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
TOKEN_TYPES = ("", "jwt", "at+jwt", "application/at+jwt")  # no logout tokens
REQUIRED = ("exp", "iss", "aud", "sub")
LEEWAY = 30  # seconds by which the clocks of the provider and of this machine may differ
MAX_NAME = 200  # characters
MAX_SUBJECT = 255  # characters, as OpenID Connect Core says


class Claims(NamedTuple):
    """The claims of a token that name the person and list the roles."""

    name: str
    roles: str


class TokenChecker:
    """Turns a valid token into its caller."""

    def __init__(self, provider: Provider, claims: Claims) -> None:
        self.provider, self._claims = provider, claims

    async def find(self, token: str, audience: str, nonce: str | None = None) -> Caller:
        """Return the person to whom a token for this audience was given; raises NotAdmitted.

        A log-in states the `nonce` that it sent. Raises ProviderUnavailable when the provider's
        keys are needed and cannot be read.
        """
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ") or "").lower() not in TOKEN_TYPES:
                raise NotAdmitted("invalid_token", "this type of token is not accepted")
            key = await self.provider.find_key(header.get("kid"))
            payload = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=audience,
                issuer=self.provider.issuer,
                leeway=LEEWAY,
                options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise NotAdmitted("expired_token", "the token has expired; log in again") from None
        except (jwt.PyJWTError, ValueError) as error:
            raise NotAdmitted("invalid_token", f"the token is not valid: {error}") from None
        if nonce is not None and payload.get("nonce") != nonce:
            raise NotAdmitted("invalid_token", "the token belongs to another log-in")
        return self._caller(payload)

    def _caller(self, payload: dict[str, Any]) -> Caller:
        subject = payload["sub"]
        if not is_visible(subject) or len(subject) > MAX_SUBJECT:
            limit = f"a printable text of 1 to {MAX_SUBJECT} characters"
            raise NotAdmitted("invalid_token", f"the subject of a token must be {limit}")
        name = payload.get(self._claims.name)
        if not isinstance(name, str) or not is_visible(name):
            name = subject
        return Caller(name[:MAX_NAME], "person", roles_in(payload, self._claims.roles), subject)


def is_visible(text: str) -> bool:
    """Tell whether a text can be recorded, and read by people."""
    return text.isprintable() and bool(text.strip())


def roles_in(payload: dict[str, Any], claim: str) -> frozenset[str]:
    """Return the roles that a claim lists; names that are no role of this service do not count.

    The claim may be a list or a text with spaces, and may stand inside of others, such as
    `realm_access.roles`.
    """
    value: object = payload.get(claim)
    if value is None:
        value = payload
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) & ROLES.keys()

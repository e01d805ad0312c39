"""Read who may call the service, as the settings say; what is wrong there ends the start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from service.settings import Settings, SettingsError
from service.users.api_keys import KeyRing
from service.users.callers import ProviderUnavailable
from stages import files

if TYPE_CHECKING:
    from service.users.tokens import TokenChecker


class RegisteredClient(NamedTuple):
    """This service at the provider: its identifier, its secret if it has one, and its address."""

    id: str
    secret: str
    url: str


class Users(NamedTuple):
    """How callers prove who they are; without `keys` no users are configured."""

    keys: KeyRing | None
    tokens: TokenChecker | None
    client: RegisteredClient | None


def read_users(configured: Settings) -> Users:
    """Return what the settings say about users; raises SettingsError."""
    file, issuer = configured.users_file, configured.oidc_issuer
    try:
        keys = KeyRing(configured.api_keys, Path(file) if file else None)
    except ValueError as error:
        raise SettingsError(f"CREDIT_PD_USERS: {error}") from error
    if not issuer:
        return Users(keys if configured.api_keys or file else None, None, None)
    if not (configured.oidc_audience or configured.oidc_client):
        raise SettingsError(
            "CREDIT_PD_OIDC_ISSUER needs CREDIT_PD_OIDC_AUDIENCE, for tokens that are sent, or "
            "CREDIT_PD_OIDC_CLIENT, for the log-in of the page"
        )
    client = _read_client(configured) if configured.oidc_client else None
    return Users(keys, _checker(configured), client)


def _checker(configured: Settings) -> TokenChecker:
    # Without a provider, a worker starts sooner than with the libraries that ask one.
    from service.users.provider import Provider  # noqa: PLC0415
    from service.users.tokens import Claims, TokenChecker  # noqa: PLC0415

    claims = Claims(configured.oidc_name_claim, configured.oidc_roles_claim)
    try:
        return TokenChecker(Provider(configured.oidc_issuer), claims)
    except ProviderUnavailable as error:
        raise SettingsError(f"CREDIT_PD_OIDC_ISSUER: {error}") from error


def _read_client(configured: Settings) -> RegisteredClient:
    if not configured.url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise SettingsError(
            "CREDIT_PD_OIDC_CLIENT needs CREDIT_PD_URL, the address of the page, which begins "
            f"with https:// (http:// on this machine); got {configured.url!r}"
        )
    file = configured.oidc_secret_file
    try:
        secret = files.read_text(Path(file)).strip() if file else ""
    except ValueError as error:
        raise SettingsError(f"CREDIT_PD_OIDC_SECRET_FILE: {error}") from error
    return RegisteredClient(configured.oidc_client, secret, configured.url)

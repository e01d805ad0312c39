"""Find the caller of a request from its API key, its token or the cookie of a log-in."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.types import Scope

from service.api.access import permissions
from service.api.access.login import LogIn
from service.api.access.security_log import report_refused
from service.api.guards import refuse_other_machines, refuse_other_origin, refuse_other_sites
from service.api.requests import Refused, refusal
from service.settings import Settings
from service.users.api_keys import KeyRing
from service.users.callers import Caller, NotAdmitted, ProviderUnavailable
from service.users.configured import Users

if TYPE_CHECKING:
    from service.users.tokens import TokenChecker

MAX_CREDENTIAL = 8192  # bytes


class Access:
    """Decides who may send a request; without `keys` no users are configured."""

    def __init__(
        self,
        keys: KeyRing | None,
        hosts: Collection[str] = (),
        has_open_docs: bool = False,
        tokens: TokenChecker | None = None,
        audience: str = "",
        login: LogIn | None = None,
        is_guarded: bool = False,
    ) -> None:
        self._is_guarded = is_guarded  # something else decides who reaches a service without users
        self._keys, self._hosts, self._has_open_docs = keys, hosts, has_open_docs
        self._tokens, self._audience, self.login = tokens, audience, login
        challenge = 'ApiKey, Bearer realm="log-in"' if login else "ApiKey, Bearer"
        self._challenge = {"www-authenticate": challenge if tokens else "ApiKey"}

    @property
    def has_users(self) -> bool:
        """Whether requests need a key or a token."""
        return self._keys is not None

    async def find_caller(self, scope: Scope) -> Caller | None:
        """Return the caller; None where none is needed. Refuses a request with 401, 403 or 503."""
        try:
            if self._keys is None:
                refuse_other_sites(scope, self._hosts)
                is_open = permissions.is_open(scope["path"], self._has_open_docs)
                if not self._is_guarded and not is_open:
                    refuse_other_machines(scope)
                return None
            if permissions.is_open(scope["path"], self._has_open_docs):
                return None
            return await self._authenticate(self._keys, scope)
        except NotAdmitted as error:
            report_refused(scope, error.reason)
            raise refusal(401, str(error), headers=self._challenge) from None
        except ProviderUnavailable as error:
            report_refused(scope, "provider_unavailable")
            raise refusal(503, f"nobody can log in: {error}") from None
        except Refused:
            report_refused(scope, "other_site")
            raise

    async def _authenticate(self, keys: KeyRing, scope: Scope) -> Caller:
        given = credential(scope)
        if given is None:
            # The browser adds the cookie by itself, also where another page sends the request.
            person = await self.login.find_caller(scope) if self.login else None
            if person is None:
                raise NotAdmitted("no_credentials", "an API key is needed, in the header x-api-key")
            refuse_other_origin(scope)
            return person
        if self._tokens and self._audience and given.count(b".") == 2 and given[:3] == b"eyJ":
            return await self._tokens.find(given.decode("latin-1"), self._audience)
        return keys.find(given)


def require_role(scope: Scope, endpoint: str) -> None:
    """Refuse a request whose caller has none of the roles of an endpoint."""
    caller = scope.get("caller")
    try:
        permissions.require_role(caller, endpoint)
    except Refused:
        report_refused(scope, "missing_role", caller)
        raise


def credential(scope: Scope) -> bytes | None:
    """Return the only key or token of a request's headers, None without one.

    Raises NotAdmitted when there are several, of which a proxy may have checked another.
    """
    given = []
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            given.append(value)
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            given.append(value[7:].strip())
    if len(given) > 1:
        raise NotAdmitted("many_credentials", "send one API key or token, not several")
    if not given or not given[0]:
        return None
    if len(given[0]) > MAX_CREDENTIAL:
        raise NotAdmitted("invalid_key", "the API key is not valid")
    return bytes(given[0])


def create_access(configured: Settings, users: Users) -> Access:
    """Return who may send a request, by the settings and the users that they name."""
    login = LogIn(users.tokens, users.client) if users.tokens and users.client else None
    return Access(
        users.keys,
        configured.hosts,
        configured.docs == "open",
        users.tokens,
        configured.oidc_audience,
        login,
        is_guarded=configured.without_users == "guarded",
    )

"""The log-in of people in a browser: OpenID Connect's authorization code with PKCE (RFC 7636).

The browser keeps the provider's ID token in a cookie that scripts cannot read (`HttpOnly`) and that
other sites cannot send (`SameSite=Strict`). The service keeps no sessions, so every worker and
every restart knows who has logged in; a log-in ends when its token expires.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from service.api.access.security_log import report_refused
from service.users.callers import Caller, NotAdmitted, ProviderUnavailable
from service.users.configured import RegisteredClient

if TYPE_CHECKING:
    from service.users.tokens import TokenChecker

STARTED = 600  # seconds in which a log-in must be finished
MAX_COOKIE = 4000  # bytes; browsers drop larger ones
FAILED = "#/log-in-failed"  # where the page says that a log-in has failed


class LogIn:
    """The paths `/login`, `/callback` and `/logout`, and the cookie that they set."""

    def __init__(self, checker: TokenChecker, client: RegisteredClient) -> None:
        self._checker, self._client = checker, client
        self._url = client.url.rstrip("/")
        self._secure = self._url.startswith("https://")
        # Browsers take a name with __Host- only from this very host, and only over TLS.
        prefix = "__Host-" if self._secure else ""
        self.session, self._started = f"{prefix}credit-session", f"{prefix}credit-log-in"

    def routes(self) -> list[Route]:
        """Return the routes of a log-in; they need no credentials."""
        return [
            Route("/login", self.start, methods=["GET"]),
            Route("/callback", self.finish, methods=["GET"]),
            Route("/logout", self.end, methods=["POST"]),
        ]

    async def find_caller(self, scope: Scope) -> Caller | None:
        """Return the person that a request's cookie names, None when it has no such cookie.

        Raises NotAdmitted for a cookie that is not valid (any more).
        """
        token = _cookies(scope).get(self.session)
        return None if not token else await self._checker.find(token, self._client.id)

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider, with a state, a nonce and the challenge of PKCE."""
        started = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        try:
            description = await self._checker.provider.describe()
        except ProviderUnavailable:
            report_refused(request.scope, "provider_unavailable")
            return self._redirect(f"{self._url}/{FAILED}")
        digest = sha256(started["verifier"].encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": f"{self._url}/callback",
            "scope": "openid profile email",
            "state": started["state"],
            "nonce": started["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in description["authorization_endpoint"] else "?"
        answer = self._redirect(
            f"{description['authorization_endpoint']}{separator}{urlencode(query)}"
        )
        kept = base64.urlsafe_b64encode(json.dumps(started).encode()).decode()
        # Lax: the provider's redirect back here comes from another site.
        self._set_cookie(answer, self._started, kept, "lax", STARTED)
        return answer

    async def finish(self, request: Request) -> Response:
        """Exchange the code that the provider gave for an ID token, and keep it in a cookie."""
        answer = self._redirect(f"{self._url}/")
        try:
            token = await self._exchange(request.scope)
            self._set_cookie(answer, self.session, token, "strict")
        except (NotAdmitted, ProviderUnavailable) as error:
            report_refused(request.scope, getattr(error, "reason", "provider_unavailable"))
            answer = self._redirect(f"{self._url}/{FAILED}")
        self._set_cookie(answer, self._started, "", "lax", 0)
        return answer

    async def end(self, request: Request) -> Response:
        """Remove the cookie."""
        answer = Response(status_code=204, headers={"cache-control": "no-store"})
        self._set_cookie(answer, self.session, "", "strict", 0)
        return answer

    async def _exchange(self, scope: Scope) -> str:
        """Return the ID token of a finished log-in, once it is valid; raises NotAdmitted."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        started = _read_started(_cookies(scope).get(self._started, ""))
        state = (query.get("state") or [""])[0].encode()
        if not started or not hmac.compare_digest(state, started["state"].encode()):
            raise NotAdmitted("invalid_log_in", "this log-in was not begun in this browser")
        if "code" not in query:
            raise NotAdmitted("log_in_declined", "the provider gave no code")
        form = {
            "grant_type": "authorization_code",
            "code": query["code"][0],
            "redirect_uri": f"{self._url}/callback",
            "client_id": self._client.id,
            "code_verifier": started["verifier"],
        }
        if self._client.secret:
            form["client_secret"] = self._client.secret
        provider = self._checker.provider
        endpoint = (await provider.describe())["token_endpoint"]
        token = (await provider.request("POST", endpoint, data=form)).get("id_token")
        if not isinstance(token, str) or len(token) > MAX_COOKIE:
            raise NotAdmitted("invalid_token", f"a token has at most {MAX_COOKIE} characters")
        await self._checker.find(token, self._client.id, started["nonce"])
        return token

    def _redirect(self, url: str) -> Response:
        headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
        return RedirectResponse(url, 303, headers)

    def _set_cookie(
        self,
        answer: Response,
        name: str,
        value: str,
        same_site: Literal["lax", "strict"],
        age: int | None = None,
    ) -> None:
        answer.set_cookie(
            name, value, age, path="/", secure=self._secure, httponly=True, samesite=same_site
        )


def _cookies(scope: Scope) -> dict[str, str]:
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                parsed = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                return {}
            return {key: morsel.value for key, morsel in parsed.items()}
    return {}


def _read_started(text: str) -> dict[str, str] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, RecursionError):
        return None
    names = ("state", "nonce", "verifier")
    whole = isinstance(value, dict) and all(isinstance(value.get(n), str) for n in names)
    return value if whole else None

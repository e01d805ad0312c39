"""Read an OpenID Connect provider's description and its public keys over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from service.users.callers import NotAdmitted, ProviderUnavailable

TIMEOUT = 3.0  # seconds of one request
KEYS_LIFETIME = 300.0  # seconds after which the keys are read again, so that removed ones end
STALE_LIFETIME = 3600.0  # seconds for which they are believed while the provider is down
RETRY_PERIOD = 10.0  # seconds between two reads, however many unknown keys are named
MAX_ANSWER = 1 << 20  # bytes
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Provider:
    """One provider; it is asked at the first use, and again when its keys may have changed."""

    def __init__(self, issuer: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        require_https(issuer, "the issuer")
        self.issuer = issuer
        self._transport = transport
        self._description: dict[str, Any] = {}
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read = self._tried = float("-inf")
        self._reading = asyncio.Lock()

    async def describe(self) -> dict[str, Any]:
        """Return the provider's description (OpenID Connect Discovery 1.0)."""
        if not self._description:
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            description = await self.request("GET", address)
            if description.get("issuer") != self.issuer:
                raise ProviderUnavailable(f"{address} describes another issuer")
            for name in ("jwks_uri", "authorization_endpoint", "token_endpoint"):
                require_https(str(description.get(name)), f"{name} of {address}")
            self._description = description
        return self._description

    async def find_key(self, name: str | None) -> jwt.PyJWK:
        """Return the public key that a token names; raises NotAdmitted when there is none.

        The keys are read again when they are old or lack this one, once per RETRY_PERIOD at most.
        """
        age = time.monotonic() - self._read
        if age > KEYS_LIFETIME or name not in self._keys:
            async with self._reading:
                await self._read_keys()
        if time.monotonic() - self._read > STALE_LIFETIME:
            raise ProviderUnavailable("the keys of the identity provider cannot be read")
        if name not in self._keys:
            raise NotAdmitted("invalid_token", "the token names a key that its provider lacks")
        return self._keys[name]

    async def _read_keys(self) -> None:
        if time.monotonic() - self._tried < RETRY_PERIOD:
            return
        self._tried = time.monotonic()
        try:
            keys = await self.request("GET", (await self.describe())["jwks_uri"])
            self._keys = _signing_keys(keys)
            self._read = time.monotonic()
        except ProviderUnavailable:
            if not self._keys:
                raise

    async def request(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object that the provider answers; raises ProviderUnavailable."""
        try:
            async with (
                httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT) as client,
                asyncio.timeout(2 * TIMEOUT),
                client.stream(method, address, **options) as answer,
            ):
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > MAX_ANSWER:
                        raise ProviderUnavailable(f"{address} answers too much")
            if answer.status_code != httpx.codes.OK:
                raise ProviderUnavailable(f"{address} answers {answer.status_code}")
            value = httpx.Response(200, content=content).json()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            problem = str(error) or type(error).__name__
            raise ProviderUnavailable(f"{address} cannot be read: {problem}") from error
        if not isinstance(value, dict):
            raise ProviderUnavailable(f"{address} must answer an object")
        return value


def _signing_keys(keys: dict[str, Any]) -> dict[str | None, jwt.PyJWK]:
    listed = keys.get("keys")
    usable: dict[str | None, jwt.PyJWK] = {}
    for key in listed if isinstance(listed, list) else []:
        if not isinstance(key, dict) or key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            continue
        try:
            usable[key.get("kid")] = jwt.PyJWK(key)
        except jwt.PyJWTError:
            continue  # a key of a type that this service does not know
    if not usable:
        raise ProviderUnavailable("the identity provider lists no key for signatures")
    return usable


def require_https(address: str, what: str) -> None:
    """Raise ProviderUnavailable unless an address is https, or http on this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise ProviderUnavailable(f"{what} must begin with https://; got {address!r}")

"""Tokens of people: what an attacker sends is refused, against a provider in its own process."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.users import provider as provider_module
from service.users.callers import Caller, NotAdmitted, ProviderUnavailable
from service.users.provider import Provider
from service.users.tokens import Claims, TokenChecker, roles_in
from tests.support.fakes.identity_provider import (
    AUDIENCE,
    PERSON,
    Key,
    RunningProvider,
    running_provider,
)

CLAIMS = Claims("preferred_username", "roles")


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def checker(provider: RunningProvider) -> TokenChecker:
    return TokenChecker(Provider(provider.issuer), CLAIMS)


def find(checker: TokenChecker, token: str) -> Caller:
    return asyncio.run(checker.find(token, AUDIENCE))


def refused(checker: TokenChecker, token: str) -> str:
    with pytest.raises(NotAdmitted) as error:
        find(checker, token)
    return error.value.reason


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: str = "") -> str:
    parts = [json.dumps(part).encode() for part in (header, claims)]
    texts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*texts, signature])


def test_a_token_of_the_provider_names_a_person_and_their_roles(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    caller = find(checker, provider.sign(roles=["review", "read", "janitor"]))
    assert caller == Caller(
        PERSON["preferred_username"], "person", frozenset({"review", "read"}), PERSON["sub"]
    )
    assert caller.as_recorded() == {
        "name": "J. Officer",
        "type": "person",
        "subject": PERSON["sub"],
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": int(time.time()) - 60}, "expired_token"),
        ({"exp": None}, "invalid_token"),
        ({"nbf": int(time.time()) + 86_400}, "invalid_token"),
        ({"iat": int(time.time()) + 86_400}, "invalid_token"),
        ({"aud": "another-service"}, "invalid_token"),
        ({"aud": None}, "invalid_token"),
        ({"aud": []}, "invalid_token"),
        ({"iss": "http://127.0.0.1:1"}, "invalid_token"),
        ({"iss": None}, None),
        ({"sub": None}, "invalid_token"),
        ({"sub": 7}, "invalid_token"),
        ({"exp": "tomorrow"}, "invalid_token"),
        ({"exp": float("inf")}, "invalid_token"),
        ({"sub": " "}, "invalid_token"),
        ({"sub": "\ud800"}, "invalid_token"),
        ({"sub": "officer\0"}, "invalid_token"),
        ({"sub": "x" * 256}, "invalid_token"),
    ],
)
def test_a_token_for_another_time_service_or_issuer_is_refused(
    checker: TokenChecker, provider: RunningProvider, changes: dict[str, Any], reason: str | None
) -> None:
    token = provider.sign(**changes)
    if reason is None:  # the provider fills in its own name
        assert find(checker, token)
    else:
        assert refused(checker, token) == reason


def test_clocks_may_differ_by_half_a_minute(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    now = int(time.time())
    assert find(checker, provider.sign(exp=now - 10))
    assert find(checker, provider.sign(nbf=now + 10, iat=now + 10))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256"])
def test_a_token_that_nobody_signed_is_refused(
    checker: TokenChecker, provider: RunningProvider, algorithm: str
) -> None:
    claims = jwt.decode(provider.sign(), options={"verify_signature": False})
    kid = provider.public_key()["kid"]
    for signature in ("", "AAAA"):
        header = {"alg": algorithm, "kid": kid, "typ": "JWT"}
        assert refused(checker, unsigned(claims, header, signature)) == "invalid_token"


def test_the_public_key_as_a_shared_secret_signs_nothing(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    """The classic confusion: HS256 with the public key as its secret."""
    claims = jwt.decode(provider.sign(), options={"verify_signature": False})
    public = provider.public_key()
    pem = jwt.PyJWK(public).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(public).encode()):
        text = unsigned(claims, {"alg": "HS256", "kid": public["kid"]})[:-1]
        mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        token = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        assert refused(checker, token) == "invalid_token"


def test_a_key_of_the_attacker_is_refused_wherever_the_token_names_it(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    attacker, public = Key(), provider.public_key()
    claims = {**PERSON, "iss": provider.issuer, "aud": AUDIENCE, "exp": int(time.time()) + 300}
    for header in (
        {"kid": public["kid"]},
        {"kid": attacker.name},
        {"kid": public["kid"], "jwk": attacker.public()},
        {"kid": public["kid"], "jku": "http://127.0.0.1:9/keys"},
        {"kid": "../../dev/null"},
    ):
        assert refused(checker, attacker.sign(claims, **header)) == "invalid_token"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt"])
def test_a_token_of_another_type_is_refused(
    checker: TokenChecker, provider: RunningProvider, kind: str
) -> None:
    assert refused(checker, provider.sign(header={"typ": kind})) == "invalid_token"


NESTED = base64.urlsafe_b64encode(b'{"a":' + b"[" * 5000).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    ["", "eyJ", "a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9..", "é.a.b", f"{NESTED}.a.b"],
    ids=["empty", "begun", "letters", "dots", "header", "accent", "nested"],
)
def test_what_is_no_token_is_refused(checker: TokenChecker, token: str) -> None:
    assert refused(checker, token) == "invalid_token"


def test_every_changed_part_of_a_token_is_refused(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    token = provider.sign()
    for place in range(0, len(token) - 2, 7):
        if token[place] != ".":
            other = "A" if token[place] != "A" else "B"
            assert refused(checker, token[:place] + other + token[place + 1 :])


def test_a_new_key_is_accepted_and_the_old_one_ends(
    checker: TokenChecker, provider: RunningProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = provider.sign()
    assert find(checker, before)
    provider.rotate()
    monkeypatch.setattr(provider_module, "RETRY_PERIOD", 0.0)
    assert find(checker, provider.sign())
    assert refused(checker, before) == "invalid_token"


def test_unknown_keys_make_the_service_ask_the_provider_once(
    checker: TokenChecker, provider: RunningProvider
) -> None:
    find(checker, provider.sign())
    attacker, before = Key(), provider.reads()

    async def flood() -> None:
        tokens = [attacker.sign(dict(PERSON), kid=f"unknown {n}") for n in range(50)]
        answers = (checker.find(token, AUDIENCE) for token in tokens)
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert all(isinstance(result, NotAdmitted) for result in results)

    asyncio.run(flood())
    assert provider.reads() - before <= 1


def test_a_provider_that_is_down_refuses_nobody_that_it_has_admitted() -> None:
    with running_provider() as running:
        checker = TokenChecker(Provider(running.issuer), CLAIMS)
        token = running.sign()
        find(checker, token)
    checker.provider._read -= provider_module.KEYS_LIFETIME + 1
    checker.provider._tried = float("-inf")
    assert find(checker, token)
    checker.provider._read -= provider_module.STALE_LIFETIME
    with pytest.raises(ProviderUnavailable):
        find(checker, token)


def test_a_provider_that_was_never_reached_is_named() -> None:
    checker = TokenChecker(Provider("http://127.0.0.1:9"), CLAIMS)
    token = Key().sign({**PERSON, "aud": AUDIENCE})
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9"):
        find(checker, token)


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id.example", "id.example", ""])
def test_an_issuer_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(ProviderUnavailable, match="https"):
        Provider(issuer)


@pytest.mark.parametrize(
    ("payload", "claim", "roles"),
    [
        ({"roles": ["read"]}, "roles", {"read"}),
        ({"scope": "openid read decide"}, "scope", {"read", "decide"}),
        ({"realm_access": {"roles": ["audit"]}}, "realm_access.roles", {"audit"}),
        ({"https://lender.example/roles": ["audit"]}, "https://lender.example/roles", {"audit"}),
        ({"roles": ["root", 7, None]}, "roles", set()),
        ({"roles": {"read": True}}, "roles", set()),
        ({}, "roles", set()),
        ({"realm_access": "read"}, "realm_access.roles", set()),
    ],
)
def test_roles_come_from_the_claim_that_is_set(
    payload: dict[str, Any], claim: str, roles: set[str]
) -> None:
    assert roles_in(payload, claim) == roles

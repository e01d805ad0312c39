"""The log-in of people in a browser, against a provider in its own process."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from service.api.access.authentication import Access, create_access
from service.api.handlers.api import Api
from service.ledger import Ledger
from service.settings import Settings, SettingsError
from service.users.configured import read_users
from tests.support.api_client import Client, client_with, errors
from tests.support.fakes.identity_provider import (
    AUDIENCE,
    CLIENT,
    RunningProvider,
    running_provider,
)

URL = "http://127.0.0.1:3000"
COOKIE = "credit-session"


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with running_provider() as running:
        yield running


def access_of(provider: RunningProvider, **changes: str) -> Access:
    values = {
        "CREDIT_PD_OIDC_ISSUER": provider.issuer,
        "CREDIT_PD_OIDC_AUDIENCE": AUDIENCE,
        "CREDIT_PD_OIDC_CLIENT": CLIENT,
        "CREDIT_PD_URL": URL,
    }
    configured = Settings.model_validate(values | changes)
    return create_access(configured, read_users(configured))


@pytest.fixture
def browser(api: Api, provider: RunningProvider) -> Client:
    return client_with(api, access_of(provider))


def location(answer: httpx.Response) -> dict[str, str]:
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def cookies(answer: httpx.Response) -> dict[str, str]:
    pairs = (line.split(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie"))
    return {name: value.strip('"') for name, value in pairs}


def holding(**held: str) -> dict[str, str]:
    """The header with which a browser sends these cookies."""
    return {"cookie": "; ".join(f"{name}={value}" for name, value in held.items())}


def begin(browser: Client) -> tuple[httpx.Response, httpx.Response]:
    """Go to the provider; gives the redirect there and its redirect back."""
    there = browser.get("/login")
    return there, httpx.get(there.headers["location"])


def back(browser: Client, there: httpx.Response, returned: httpx.Response) -> httpx.Response:
    query = urlsplit(returned.headers["location"]).query
    return browser.get(f"/callback?{query}", headers=holding(**cookies(there)))


def log_in(browser: Client) -> str:
    answer = back(browser, *begin(browser))
    assert answer.headers["location"] == f"{URL}/"
    return cookies(answer)[COOKIE]


def test_a_person_logs_in_and_decides_under_their_name(
    browser: Client, ledger: Ledger, case: Any
) -> None:
    session = holding(**{COOKIE: log_in(browser)})
    assert browser.get("/whoami", headers=session).json()["name"] == "J. Officer"
    answer = browser.post(
        "/predict", json=case("refer"), headers=session | {"origin": "http://service"}
    )
    record = ledger.get(answer.json()["prediction_id"])
    assert record
    assert record.entry.content["caller"]["name"] == "J. Officer"
    assert record.entry.content["caller"]["subject"] == "248289761001"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    api: Api, provider: RunningProvider
) -> None:
    behind_tls = client_with(api, access_of(provider, CREDIT_PD_URL="https://credit.example/"))
    there, returned = begin(behind_tls)
    for answer, same_site in ((there, "lax"), (back(behind_tls, there, returned), "strict")):
        line = answer.headers.get_list("set-cookie")[0]
        assert line.startswith("__Host-credit-")
        flags = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"httponly", "secure", "path=/", f"samesite={same_site}"} <= flags
        assert not any(flag.startswith("domain") for flag in flags)


def test_a_log_in_that_was_begun_elsewhere_is_refused(browser: Client) -> None:
    """An attacker could otherwise log a victim in under the attacker's name."""
    _, returned = begin(browser)
    other, _ = begin(browser)
    nested = base64.urlsafe_b64encode(b"[" * 5000).decode()
    made_up = [{"credit-log-in": text} for text in ("e30=", "%", nested)]
    for held in (cookies(other), {}, *made_up):
        query = urlsplit(returned.headers["location"]).query
        answer = browser.get(f"/callback?{query}", headers=holding(**held))
        assert answer.headers["location"] == f"{URL}/#/log-in-failed"
        assert not cookies(answer).get(COOKIE)


def test_a_code_serves_once(browser: Client) -> None:
    there, returned = begin(browser)
    assert cookies(back(browser, there, returned))[COOKIE]
    again = back(browser, there, returned)
    assert again.headers["location"].endswith("log-in-failed")


def test_a_stolen_code_is_worth_nothing_without_the_verifier(
    browser: Client, provider: RunningProvider
) -> None:
    there, returned = begin(browser)
    form = {"code": location(returned)["code"], "client_id": CLIENT}
    form |= {"redirect_uri": f"{URL}/callback", "code_verifier": "guessed"}
    assert httpx.post(f"{provider.issuer}/t", data=form).status_code == 400
    asked = location(there)
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert "verifier" not in there.headers["location"]


def test_a_callback_reflects_nothing(browser: Client) -> None:
    answer = browser.get("/callback?error=<script>alert(1)</script>&state=//evil.example")
    assert answer.headers["location"] == f"{URL}/#/log-in-failed"
    assert "script" not in answer.text


def test_a_page_of_another_origin_cannot_use_the_cookie(
    browser: Client, ledger: Ledger, case: Any
) -> None:
    session = holding(**{COOKIE: log_in(browser)})
    for origin in ("http://evil.example", "null", "http://service:8000"):
        answer = browser.post(
            "/predict", json=case("approve"), headers=session | {"origin": origin}
        )
        assert answer.status_code == 403
    assert ledger.head().sequence == 0


def test_a_token_for_the_api_is_no_cookie_and_a_cookie_no_token(
    browser: Client, provider: RunningProvider
) -> None:
    token, session = provider.sign(), log_in(browser)
    assert browser.get("/whoami", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert browser.get("/whoami", headers=holding(**{COOKIE: token})).status_code == 401
    stolen = {"authorization": f"Bearer {session}"}
    assert browser.get("/whoami", headers=stolen).status_code == 401


def test_a_role_that_a_person_lacks_is_refused(browser: Client, provider: RunningProvider) -> None:
    for roles, status in ((["read"], 403), (["root"], 403), (["decide"], 422)):
        token = provider.sign(roles=roles)
        headers = {"authorization": f"Bearer {token}"}
        assert browser.post("/predict", json={}, headers=headers).status_code == status


def test_the_answer_to_strangers_offers_the_log_in(browser: Client) -> None:
    answer = browser.get("/whoami")
    assert answer.status_code == 401
    assert "log-in" in answer.headers["www-authenticate"]


def test_logging_out_removes_the_cookie(browser: Client) -> None:
    answer = browser.post("/logout")
    assert answer.status_code == 204
    assert cookies(answer)[COOKIE] == ""
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_a_provider_that_is_down_is_no_error_of_the_service(api: Api, case: Any) -> None:
    with running_provider() as stopped:
        pass
    browser = client_with(api, access_of(stopped))
    assert browser.get("/login").headers["location"].endswith("log-in-failed")
    token = {"authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA"}
    answer = browser.get("/whoami", headers=token)
    assert answer.status_code == 503
    assert "log in" in errors(answer)[""]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"CREDIT_PD_USERS": "/nowhere/keys"},
            "CREDIT_PD_USERS: /nowhere/keys cannot be read: No",
        ),
        ({"CREDIT_PD_OIDC_ISSUER": "https://id.example"}, "needs CREDIT_PD_OIDC_AUDIENCE"),
        (
            {"CREDIT_PD_OIDC_ISSUER": "http://id.example", "CREDIT_PD_OIDC_AUDIENCE": "a"},
            "CREDIT_PD_OIDC_ISSUER: the issuer must begin with https://; got 'http://id.example'",
        ),
        (
            {"CREDIT_PD_OIDC_ISSUER": "https://id.example", "CREDIT_PD_OIDC_CLIENT": "c"},
            "needs CREDIT_PD_URL",
        ),
    ],
)
def test_a_wrong_setting_of_users_ends_the_start(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_users(Settings.model_validate(values))


def test_a_secret_comes_from_a_file(provider: RunningProvider, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    access = access_of(provider, CREDIT_PD_OIDC_SECRET_FILE=str(tmp_path / "secret"))
    assert access.login
    assert access.login._client.secret == "s3cret"

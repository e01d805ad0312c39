"""Who may send requests, and under which names the service is reached."""

from __future__ import annotations

from typing import Literal

from service.settings.declaration import Digests, Names, SettingsSection, variable


class AccessSettings(SettingsSection):
    """The settings of access."""

    api_keys: Digests = variable(
        "CREDIT_PD_API_KEYS",
        (),
        "The SHA-256 digests of API keys that have every role and do not expire, separated by "
        "commas. With a key, `CREDIT_PD_USERS` or `CREDIT_PD_OIDC_ISSUER`, users are configured: "
        "every request needs a key in the header `x-api-key`, or a token.",
        "SHA-256 digests of 64 hexadecimal digits",
    )
    api_key: str = variable(
        "CREDIT_PD_API_KEY", "", "The API key that `python -m service.traffic` sends.", "a text"
    )
    hosts: Names = variable(
        "CREDIT_PD_HOSTS",
        (),
        "The host names, separated by commas, under which a service without users may be "
        "reached, besides IP addresses and names without a dot.",
        "host names",
    )
    without_users: Literal["local", "guarded"] = variable(
        "CREDIT_PD_WITHOUT_USERS",
        "local",
        "Whom a service without users answers: this machine (`local`), or everybody who reaches it "
        "(`guarded`), where something else, such as a proxy, keeps strangers out. Probes are "
        "answered in any case.",
        "local or guarded",
    )
    docs: Literal["key", "open"] = variable(
        "CREDIT_PD_DOCS",
        "key",
        "Who may read `/docs` and `/docs.json` of a service with users: all callers "
        "(`key`) or everybody (`open`).",
        "key or open",
    )

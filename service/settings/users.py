"""Who the users are: the file of API keys, and the identity provider of people."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class UserSettings(SettingsSection):
    """The settings of users; API keys by digest alone stand in `access`."""

    users_file: str = variable(
        "CREDIT_PD_USERS",
        "",
        "The file of API keys with their names, roles and expiry, which `python -m service.users` "
        "writes. A change of it is noticed within a second.",
        "a path",
    )
    oidc_issuer: str = variable(
        "CREDIT_PD_OIDC_ISSUER",
        "",
        "The OpenID Connect provider whose tokens people send, as it names itself.",
        "an address that begins with https:// (http:// on this machine)",
    )
    oidc_audience: str = variable(
        "CREDIT_PD_OIDC_AUDIENCE",
        "",
        "The audience (`aud`) of the tokens that are sent in the header `authorization`.",
        "a text",
    )
    oidc_roles_claim: str = variable(
        "CREDIT_PD_OIDC_ROLES_CLAIM",
        "roles",
        "The claim of a token that lists the roles, such as `realm_access.roles`.",
        "the name of a claim",
    )
    oidc_name_claim: str = variable(
        "CREDIT_PD_OIDC_NAME_CLAIM",
        "preferred_username",
        "The claim of a token that names the person; `sub` is recorded beside it.",
        "the name of a claim",
    )
    oidc_client: str = variable(
        "CREDIT_PD_OIDC_CLIENT",
        "",
        "The identifier of this service at the provider. With it the page offers a log-in.",
        "a text",
    )
    oidc_secret_file: str = variable(
        "CREDIT_PD_OIDC_SECRET_FILE",
        "",
        "The file with the client's secret, if the provider gave one.",
        "a path",
    )
    url: str = variable(
        "CREDIT_PD_URL",
        "",
        "The address of the page, to which the provider sends people back; the provider must know "
        "it followed by `/callback`.",
        "an address that begins with https:// (http:// on this machine)",
    )

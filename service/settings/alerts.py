"""Who is told about incidents, and what is started when applications drift."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class AlertSettings(SettingsSection):
    """The settings of alerts and of retraining."""

    alert_webhook: str = variable(
        "ALERT_WEBHOOK",
        "",
        "The address to which incidents are posted as Slack's incoming webhooks expect them.",
        "an address that begins with http:// or https://",
    )
    alert_smtp: str = variable(
        "ALERT_SMTP", "", "The mail server that sends incidents to `ALERT_MAIL`.", "HOST:PORT"
    )
    alert_mail: str = variable(
        "ALERT_MAIL", "", "The address to which incidents are sent.", "an e-mail address"
    )
    alert_from: str = variable(
        "ALERT_FROM",
        "credit-pd@localhost",
        "The sender of the mails about incidents.",
        "an e-mail address",
    )
    alert_smtp_user: str = variable(
        "ALERT_SMTP_USER", "", "The account at the mail server, if it requires one.", "a text"
    )
    alert_smtp_password_file: str = variable(
        "ALERT_SMTP_PASSWORD_FILE", "", "The file with that account's password.", "a path"
    )
    retrain_repository: str = variable(
        "RETRAIN_REPOSITORY",
        "",
        "The GitHub repository whose workflow `retrain` is started when applications drift.",
        "OWNER/NAME",
    )
    retrain_token_file: str = variable(
        "RETRAIN_TOKEN_FILE",
        "",
        "The file with a token that has write access to the contents of that repository.",
        "a path",
    )
    github_api_url: str = variable(
        "GITHUB_API_URL",
        "https://api.github.com",
        "The address of GitHub's API, for GitHub Enterprise.",
        "an address that begins with http:// or https://",
    )

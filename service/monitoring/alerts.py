"""Tell people of an incident once, and once more when it is over: by webhook and by e-mail.

`ALERT_WEBHOOK` is an URL that takes Slack's `{"text": ...}`; `ALERT_SMTP` is `host:port`,
`ALERT_MAIL` the address to write to, and where the server wants them, `ALERT_SMTP_USER` and
`ALERT_SMTP_PASSWORD_FILE`. Without them nothing is sent; incidents stay on record.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import sys
import urllib.request
from collections.abc import Iterable
from email.message import EmailMessage
from http.client import HTTPException
from pathlib import Path
from typing import Any

from service import settings

PATIENCE = 5


def tell(opened: Iterable[dict[str, Any]], closed: Iterable[dict[str, Any]]) -> None:
    """Send one message about what began and what ended; a receiver that fails is said on stderr."""
    lines = [f"{i['loudness'].upper()} {i['words']}" for i in opened]
    lines += [f"RESOLVED {i['words']}" for i in closed]
    if not lines:
        return
    configured = settings.load()
    for name, receiver, send in (
        ("ALERT_WEBHOOK", configured.alert_webhook, webhook),
        ("ALERT_SMTP", configured.alert_smtp, mail),
    ):
        if receiver:
            try:
                send(receiver, lines)
            except OSError as error:
                print(f"alerts: {name}: {error}", file=sys.stderr, flush=True)


def webhook(url: str, lines: list[str]) -> None:
    """Post the lines as Slack's incoming webhooks take them; OSError where that fails."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"ALERT_WEBHOOK must begin with http:// or https://; got {url!r}")
    body = json.dumps({"text": "\n".join(lines)}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()  # noqa: S310
    except HTTPException as error:
        raise OSError(repr(error)) from error


def mail(server: str, lines: list[str]) -> None:
    """Send the lines as one e-mail; OSError where that fails."""
    host, _, port = server.partition(":")
    message = EmailMessage()
    message["From"] = settings.load().alert_from
    message["To"] = settings.load().alert_mail
    message["Subject"] = lines[0]
    message.set_content("\n".join(lines))
    try:
        with smtplib.SMTP(host, int(port or 25), timeout=PATIENCE) as smtp:
            log_in(smtp, host)
            smtp.send_message(message)
    except (smtplib.SMTPException, ValueError) as error:
        raise OSError(str(error)) from error


def log_in(smtp: smtplib.SMTP, host: str) -> None:
    """Give the account's password, where there is one: by TLS only, but on this machine."""
    user = settings.load().alert_smtp_user
    if not user:
        return
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif host not in ("127.0.0.1", "localhost"):
        raise OSError(f"{host} offers no TLS, so it does not get the password")
    smtp.login(user, Path(settings.load().alert_smtp_password_file).read_text().strip())

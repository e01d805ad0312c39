"""Tell people when an incident begins, and once more when it is over: by webhook and by e-mail.

`ALERT_WEBHOOK` is an address that takes Slack's `{"text": ...}`; `ALERT_SMTP` is `host:port`,
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

TIMEOUT = 5  # seconds that a receiver may take


class NotSent(Exception):
    """A message that was not sent; the text says why."""


def announce(opened: Iterable[dict[str, Any]], closed: Iterable[dict[str, Any]]) -> None:
    """Send one message about incidents that began and ended.

    A receiver that fails stops nothing: what went wrong is printed on stderr.
    """
    lines = [f"{incident['loudness'].upper()} {incident['words']}" for incident in opened]
    lines += [f"RESOLVED {incident['words']}" for incident in closed]
    if not lines:
        return
    configured = settings.load()
    for name, receiver, send in (
        ("ALERT_WEBHOOK", configured.alert_webhook, post),
        ("ALERT_SMTP", configured.alert_smtp, mail),
    ):
        if receiver:
            try:
                send(receiver, lines)
            except NotSent as error:
                print(f"alerts: {name}: {error}", file=sys.stderr, flush=True)


def post(url: str, lines: list[str]) -> None:
    """Post the lines as Slack's incoming webhooks take them; raises NotSent."""
    if not url.startswith(("http://", "https://")):
        raise NotSent(f"ALERT_WEBHOOK must begin with http:// or https://; got {url!r}")
    body = json.dumps({"text": "\n".join(lines)}).encode()
    headers = {"content-type": "application/json"}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked above
        urllib.request.urlopen(request, timeout=TIMEOUT).close()  # noqa: S310
    except (
        OSError,
        HTTPException,
        ValueError,
    ) as error:  # ValueError: no address, such as http://[
        raise NotSent(str(error) or repr(error)) from error


def mail(server: str, lines: list[str]) -> None:
    """Send the lines as one e-mail; raises NotSent."""
    host, _, port = server.partition(":")
    try:
        message = EmailMessage()
        message["From"] = settings.load().alert_from
        message["To"] = settings.load().alert_mail
        message["Subject"] = " ".join(lines[0].split())
        message.set_content("\n".join(lines))
        with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT) as smtp:
            log_in(smtp, host)
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotSent(str(error) or repr(error)) from error


def log_in(smtp: smtplib.SMTP, host: str) -> None:
    """Give the account's password, where there is one: by TLS, or to this machine.

    Raises NotSent where another machine offers no TLS.
    """
    user = settings.load().alert_smtp_user
    if not user:
        return
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif host not in ("127.0.0.1", "localhost"):
        raise NotSent(f"{host} offers no TLS, so it does not get the password")
    smtp.login(user, Path(settings.load().alert_smtp_password_file).read_text().strip())

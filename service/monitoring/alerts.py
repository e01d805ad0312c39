"""Send alerts when an incident begins and when it ends, by webhook and by e-mail.

`ALERT_WEBHOOK` is an address that accepts Slack's `{"text": ...}`; `ALERT_SMTP` is HOST:PORT of a
mail server and `ALERT_MAIL` the recipient. `ALERT_SMTP_USER` and `ALERT_SMTP_PASSWORD_FILE` are for
servers that require a log-in. Without these settings nothing is sent; incidents are still recorded.
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

from service import settings
from service.monitoring.reports import Incident
from stages import files

TIMEOUT = 5  # seconds in which a receiver must answer


class NotSent(Exception):
    """A message could not be sent; the text says why."""


def announce(opened: Iterable[Incident], closed: Iterable[Incident]) -> None:
    """Send one message about incidents that began and ended.

    When a receiver fails, its error is printed on standard error and the others are still told.
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
    """Post the lines as Slack's incoming webhooks expect them; raises NotSent."""
    if not url.startswith(("http://", "https://")):
        raise NotSent(f"ALERT_WEBHOOK must begin with http:// or https://; got {url!r}")
    body = json.dumps({"text": "\n".join(lines)}).encode()
    headers = {"content-type": "application/json"}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked above
        urllib.request.urlopen(request, timeout=TIMEOUT).close()  # noqa: S310
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an invalid address
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
    """Log in when an account is set, by TLS unless the server is this machine.

    Raises NotSent when another machine offers no TLS.
    """
    user = settings.load().alert_smtp_user
    if not user:
        return
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif host not in ("127.0.0.1", "localhost"):
        raise NotSent(f"{host} offers no TLS, so it does not get the password")
    file = settings.load().alert_smtp_password_file
    if not file:
        raise NotSent("ALERT_SMTP_USER needs ALERT_SMTP_PASSWORD_FILE, which is not set")
    smtp.login(user, files.read_text(Path(file)).strip())

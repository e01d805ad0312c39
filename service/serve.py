"""Serve the winner on the loopback interface: `python -m service.serve [--port 3000]`.

It checks first what a person may have got wrong, and says it in one message; then BentoML takes
over. A platform starts `bentoml serve service.service:CreditPD` itself.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from service import settings
from service.decision.hashes import WINNER, NotReady, verified
from service.ledger.database import database_url
from service.settings import SettingsError
from stages import project

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
PORT = 3000
MOST_PORT = 65535


class CannotServe(Exception):
    """The service cannot be started; the message says why and what to do."""


def check_files() -> None:
    """Raise CannotServe where a setting is wrong, or the model is missing or altered."""
    try:
        settings.load()
        database_url()
        found = verified(ROOT)
    except (SettingsError, ValueError, NotReady) as error:
        raise CannotServe(str(error)) from error
    if WINNER not in found:
        raise CannotServe(f"there is no model: {ROOT / WINNER} is missing; run `make`")


def check_port(port: int, variable: str) -> None:
    """Raise CannotServe where another program listens at a port, which `variable` changes."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CannotServe(
                f"port {port} cannot be used ({error.strerror}); stop what listens there, or "
                f"choose another port, such as {variable}={port + 1}"
            ) from error


def command(port: int) -> list[str]:
    """Return the command that serves at a port of the loopback interface."""
    bentoml = [sys.executable, "-m", "bentoml", "serve", "service.service:CreditPD"]
    return [*bentoml, "--host", HOST, "--port", str(port)]


def port_number(text: str) -> int:
    """Return a port from its text; raises ArgumentTypeError for what is none."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_PORT):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {MOST_PORT}; got {text!r}"
        )
    return int(text)


def main() -> None:
    """Check, then become BentoML's server."""
    parser = argparse.ArgumentParser("python -m service.serve", description=__doc__)
    parser.add_argument("--port", type=port_number, default=PORT)
    port = parser.parse_args().port
    try:
        check_files()
        check_port(port, "PORT")
    except CannotServe as error:
        sys.exit(f"serve: {error}")
    os.chdir(ROOT)
    os.execv(sys.executable, command(port))  # noqa: S606 - a fixed command


if __name__ == "__main__":
    project.enter()
    main()

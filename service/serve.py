"""Serve the winner on the loopback interface: `python -m service.serve [--port 3000]`.

It first checks the settings, the model and the port, and ends with one message if one is wrong.
Then BentoML's server replaces this process. A platform runs `bentoml serve
service.service:CreditPD` itself.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from service import settings
from service.decision.hashes import WINNER, NotReady, read_verified
from service.ledger.storage.database import database_url
from service.settings import SettingsError
from service.users.configured import read_users
from stages import project

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
PORT = 3000
MAX_PORT = 65535


class CannotServe(Exception):
    """The service cannot be started; the message says why and what to do."""


def check_files() -> None:
    """Raise CannotServe when a setting is wrong, or the model is missing or altered."""
    try:
        read_users(settings.load())
        database_url()
        files = read_verified(ROOT)
    except (SettingsError, ValueError, NotReady) as error:
        raise CannotServe(str(error)) from error
    if WINNER not in files:
        raise CannotServe(f"there is no model: {ROOT / WINNER} is missing; run `make`")


def check_port(port: int, variable: str) -> None:
    """Raise CannotServe when a port is in use; the message names the variable that sets it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CannotServe(
                f"port {port} cannot be used ({error.strerror}); stop the program that listens "
                f"there, or choose another port, such as {variable}={port + 1}"
            ) from error


def command(port: int) -> list[str]:
    """Return the command that starts BentoML's server at a loopback port."""
    bentoml = [sys.executable, "-m", "bentoml", "serve", "service.service:CreditPD"]
    return [*bentoml, "--host", HOST, "--port", str(port)]


def port_number(text: str) -> int:
    """Return the port that a text states; raises ArgumentTypeError when it states none."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_PORT):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {MAX_PORT}; got {text!r}"
        )
    return int(text)


def main() -> None:
    """Check what serving needs, then replace this process by BentoML's server."""
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

"""Serve the dashboard on the loopback interface: `python -m service.dashboard`.

It only reads the ledger's database (`DATABASE_URL`). `DASHBOARD_PORT` sets the port, by default
8501.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from service import settings
from service.ledger.storage.database import database_url
from stages import project

OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "runner.magicEnabled": "false",
    # Captions have 60 % of the text's strength: of black, that is enough to be read by everybody.
    "theme.light.textColor": "#000000",
    "theme.light.codeTextColor": "#000000",
    "theme.dark.codeTextColor": "#ffffff",
    "theme.light.primaryColor": "#2059a0",
    "theme.dark.primaryColor": "#8ab8ee",
    "theme.headingFontSizes": "2.25rem,1.6rem",
}


def main() -> None:
    """Serve the page until it is interrupted; a wrong setting ends it with one message."""
    argparse.ArgumentParser("python -m service.dashboard", description=__doc__).parse_args()
    try:
        port = settings.load().dashboard_port
        database_url()
    except ValueError as error:
        sys.exit(f"dashboard: {error}")
    try:
        from streamlit.web import cli  # noqa: PLC0415 - the import takes a second
    except ModuleNotFoundError as error:
        sys.exit(f"dashboard: {error}; it is in the environment that `make` sets up")

    from service.dashboard import charts  # noqa: F401, PLC0415 - the first view need not wait

    options = OPTIONS | {"server.port": str(port)}
    flags = [f"--{name}={value}" for name, value in options.items()]
    try:
        cli.main(["run", str(Path(__file__).with_name("page.py")), *flags])
    except SystemExit as end:
        if end.code:  # Streamlit has said why
            sys.exit(f"dashboard: port {port} is not free; choose with DASHBOARD_PORT={port + 1}")


if __name__ == "__main__":
    project.enter()
    main()

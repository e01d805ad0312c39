"""HAProxy through its runtime socket: which colour is live, and how its requests fare."""

from __future__ import annotations

import csv
import socket
from dataclasses import dataclass
from pathlib import Path

from release.deploy.host import Refused
from release.deploy.host.files import replace_text

SIGNS_OF_FAILURE = ("hrsp_5xx", "econ", "eresp", "wretr")


@dataclass(frozen=True)
class Counters:
    """Requests since the proxy's start, and signs of failure (one request may show two)."""

    requests: int
    errors: int

    def since(self, earlier: Counters) -> Counters:
        """What was added after `earlier`; all of it when the proxy was restarted in between."""
        if self.requests < earlier.requests:
            return self
        return Counters(self.requests - earlier.requests, self.errors - earlier.errors)


class Proxy:
    """The proxy of one host; its map of one entry, `live COLOUR`, is a file that outlives it."""

    def __init__(self, control: Path, live_map: Path) -> None:
        self.control = control
        self.live_map = live_map

    def live(self) -> str:
        """Colour that takes the requests now, or `none`."""
        for line in self._ask(f"show map {self.live_map}").splitlines():
            _, key, colour = line.split()
            if key == "live":
                return colour
        raise Refused(f"{self.live_map} must hold a line 'live none'; the proxy knows none")

    def switch(self, colour: str) -> None:
        """Send every further request to `colour`, now and after a restart of the proxy."""
        replace_text(self.live_map, f"live {colour}\n")
        answer = self._ask(f"set map {self.live_map} live {colour}")
        if answer.strip():
            raise Refused(f"the proxy did not switch to {colour}: {answer.strip()}")

    def counters(self, colour: str) -> Counters:
        """Requests and failures of `colour` since the proxy started."""
        row = self._backend(colour)
        return Counters(int(row["req_tot"]), sum(int(row[name]) for name in SIGNS_OF_FAILURE))

    def in_flight(self, colour: str) -> int:
        """Requests that `colour` has not answered yet."""
        return int(self._backend(colour)["scur"])

    def _backend(self, colour: str) -> dict[str, str]:
        lines = self._ask("show stat -1 2 -1").lstrip("# ").splitlines()
        return next(row for row in csv.DictReader(lines) if row["pxname"] == colour)

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.control))
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            except OSError as error:
                raise Refused(f"the proxy does not answer at {self.control}: {error}") from None

"""Control HAProxy through its runtime socket: the live colour, its requests and errors."""

from __future__ import annotations

import csv
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from release.deploy.host import DeploymentRefused
from release.deploy.host.files import replace_text

SIGNS_OF_FAILURE = ("hrsp_5xx", "econ", "eresp", "wretr")


@dataclass(frozen=True)
class Counters:
    """Requests, errors and refusals (4xx) since the proxy's start.

    One request may count as two errors.
    """

    requests: int
    errors: int
    refusals: int = 0

    def since(self, earlier: Counters) -> Counters:
        """Return the difference from `earlier`, or all counts if the proxy was restarted since."""
        if self.requests < earlier.requests:
            return self
        return Counters(
            self.requests - earlier.requests,
            self.errors - earlier.errors,
            self.refusals - earlier.refusals,
        )


class Proxy:
    """The proxy of a host; the file `live_map` keeps its entries over restarts.

    They are `live COLOUR` and, of a canary, `canary COLOUR` and `share PERCENT`.
    """

    def __init__(self, control: Path, live_map: Path) -> None:
        self.control = control
        self.live_map = live_map

    def live(self) -> str:
        """Return the colour that receives the requests, or "none"."""
        for line in self._ask(f"show map {self.live_map}").splitlines():
            _, key, colour = line.split()
            if key == "live":
                return colour
        raise DeploymentRefused(f"{self.live_map} must hold a line 'live none'; the proxy has none")

    def switch(self, colour: str, *, durable: bool = True) -> None:
        """Send all further requests to `colour`, also after a restart of the proxy.

        Where it must be `durable`, OSError is raised before anything is changed if the disk is
        full; going back is possible without.
        """
        # A request that has read its share may look for the canary after this: it goes to `colour`.
        self._set(durable, live=colour, share="0", canary=colour)

    def share(self, colour: str, percent: int) -> None:
        """Let `colour` decide about a share of the applicants, and the live one about the rest."""
        self._set(True, live=self.live(), canary=colour, share=str(percent))

    def has_canary(self) -> bool:
        """Tell whether a colour beside the live one receives requests."""
        lines = [line.split() for line in self._ask(f"show map {self.live_map}").splitlines()]
        return any(words[1:2] == ["share"] and words[2] != "0" for words in lines)

    def _set(self, durable: bool, **values: str) -> None:
        """Change the map, in the file and, one value after another, in the proxy."""
        text = "".join(f"{key} {value}\n" for key, value in values.items())
        try:
            replace_text(self.live_map, text)
        except OSError as error:
            if durable:
                raise
            print(f"{self.live_map} could not be written: {error}", file=sys.stderr)
        for key, value in values.items():
            answer = self._ask(f"set map {self.live_map} {key} {value}").strip()
            if "not found" in answer:  # an older host's map has only the live colour
                answer = self._ask(f"add map {self.live_map} {key} {value}").strip()
            if answer:
                raise DeploymentRefused(f"the proxy did not set {key} to {value}: {answer}")

    def counters(self, colour: str) -> Counters:
        """Return the requests and errors of `colour` since the proxy's start."""
        row = self._backend(colour)
        errors = sum(int(row[name]) for name in SIGNS_OF_FAILURE)
        return Counters(int(row["req_tot"]), errors, int(row["hrsp_4xx"]))

    def in_flight(self, colour: str) -> int:
        """Return the number of requests that `colour` has not answered yet."""
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
                raise DeploymentRefused(
                    f"the proxy does not answer at {self.control}: {error}"
                ) from None

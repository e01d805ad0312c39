"""Switch one host from one colour to the other, and back by itself when the new one fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from release.deploy.host import Refused, RolledBack, probe
from release.deploy.host.containers import Containers
from release.deploy.host.files import Release, State, now
from release.deploy.host.proxy import Counters, Proxy
from release.deploy.host.settings import COLOURS, Settings

POLL_SECONDS = 0.25


class Host:
    """One host: two containers, the proxy before them, and what it remembers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State(settings.state)
        self.key = self.state.key()
        self.containers = Containers(settings, self.key)
        self.proxy = Proxy(settings.socket, settings.state / "live.map")

    def deploy(self, image: str, expected: dict[str, Any]) -> Release:
        """Make `image` live if it proves itself; `expected` is what its identity must hold."""
        old = self.settle()
        new = COLOURS[old == COLOURS[0]]
        self.containers.fetch(image)
        with ExitStack() as undo:
            undo.callback(self.back_to, old, new)
            self.containers.start(new, image)
            identity = self.checked_identity(new, {**expected, "image": image})
            before = self.proxy.counters(new)
            self.proxy.switch(new)
            self.check_front(identity)
            self.watch(new, before)
            release = Release(new, image, identity, now())
            self.state.promote(release)
            undo.pop_all()
        return release

    def settle(self) -> str:
        """Undo what an interrupted deployment left; returns the live colour, or `none`."""
        live = self.state.releases()["live"]
        serving = self.proxy.live()
        keep = live.colour if live else "none"
        if live and serving in COLOURS and not probe.is_ready(self.settings.address(keep)):
            keep = serving
        for colour in COLOURS:
            if colour != keep:
                self.back_to(keep, colour)
        return keep

    def tidy(self, release: Release) -> None:
        """Remove what `release` replaced: the other container, and images no roll-back needs."""
        self.retire(next(colour for colour in COLOURS if colour != release.colour))
        kept = self.state.releases().values()
        self.containers.forget_images({each.image for each in kept if each})

    def back_to(self, old: str, new: str) -> None:
        """Let `old` serve, and remove `new` when nothing is in flight there."""
        if self.proxy.live() != old:
            self.proxy.switch(old)
        self.retire(new)

    def retire(self, colour: str) -> None:
        """Drain at the proxy, then stop: a service that is stopped resets what is in flight."""
        self.wait(lambda: not self.proxy.in_flight(colour), self.settings.drain_seconds)
        self.containers.remove(colour)

    def checked_identity(self, colour: str, expected: dict[str, Any]) -> dict[str, Any]:
        """Identity of the ready container; `Refused` unless it is the expected one.

        The service checks its golden records itself: asking it for predictions would write
        decisions that nobody made into the ledger.
        """
        address = self.settings.address(colour)
        if not self.wait(lambda: self.came_up(colour), self.settings.ready_seconds):
            words = self.containers.last_words(colour)
            raise Refused(f"not ready after {self.settings.ready_seconds:.0f} s{words}")
        info = probe.model_info(address, self.key)
        fault = probe.golden_fault(info)
        if fault:
            raise Refused(fault)
        identity: dict[str, Any] = info["identity"]
        for key, value in expected.items():
            if identity.get(key) != value:
                raise Refused(f"its {key} must be {value}; it says {identity.get(key)!r}")
        return identity

    def came_up(self, colour: str) -> bool:
        """Whether the container is ready; `Refused` as soon as it cannot become so."""
        address = self.settings.address(colour)
        if probe.is_ready(address):
            return True
        fault = self.containers.fault(colour) or probe.early_fault(address, self.key)
        if fault:
            raise Refused(fault)
        return False

    def check_front(self, identity: dict[str, Any]) -> None:
        """`RolledBack` unless what the proxy serves is the checked container."""
        served = probe.model_info(self.settings.front, self.key)["identity"]
        if served != identity:
            raise RolledBack(f"the proxy must serve {identity}; it serves {served}")

    def watch(self, colour: str, before: Counters) -> None:
        """Look at the error counters for a while; `RolledBack` when too many requests fail."""
        settings = self.settings
        unready = 0
        until = time.monotonic() + settings.watch_seconds
        while True:
            seen = self.proxy.counters(colour).since(before)
            errors = seen.errors + unready
            if errors > settings.max_errors + settings.max_error_share * seen.requests:
                raise RolledBack(f"{errors} failures in {seen.requests} requests after the switch")
            if time.monotonic() > until:
                return
            time.sleep(POLL_SECONDS)
            unready += not probe.is_ready(settings.address(colour))

    def wait(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Poll until `happened` or until `seconds` are over; tells which."""
        until = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def status(self) -> dict[str, Any]:
        """What is recorded as live and previous, where the proxy points, and who answers there."""
        releases = self.state.releases().items()
        answer = {role: asdict(release) if release else None for role, release in releases}
        return {**answer, "proxy": self.proxy.live(), "served": self.served()}

    def served(self) -> str:
        """Image that answers through the proxy, or `nothing`."""
        try:
            return str(probe.model_info(self.settings.front, self.key)["identity"]["image"])
        except (Refused, KeyError):
            return "nothing"

"""Switch a host from one colour to the other, and back when the new one fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from release.deploy.host import DeploymentRefused, RolledBack, admission, probe
from release.deploy.host.canary import Canary, shares
from release.deploy.host.containers import Containers
from release.deploy.host.files import DeploymentState, Release, now
from release.deploy.host.proxy import Counters, Proxy
from release.deploy.host.settings import COLOURS, HostSettings
from release.deploy.host.watch import Watch

POLL_SECONDS = 0.25
MODEL_DIGITS = 16  # of the SHA-256 by which a service names its model


def check_stated(stated: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise DeploymentRefused unless what is stated about an image contains what is expected."""
    for key, value in expected.items():
        if stated.get(key) != value:
            raise DeploymentRefused(f"its {key} must be {value}; it says {stated.get(key)!r}")


class Host:
    """A host with two containers, a proxy in front of them, and its stored state."""

    def __init__(self, settings: HostSettings) -> None:
        self.settings = settings
        self.state = DeploymentState(settings.state)
        self.key = self.state.key()
        self.containers = Containers(settings, self.key)
        self.proxy = Proxy(settings.socket, settings.state / "live.map")

    def deploy(self, image: str, expected: dict[str, Any], *, older: bool = False) -> Release:
        """Admit and start `image`, check it, make it live and return its release.

        Its identity must be the signed one and contain `expected`; only a roll-back makes an
        `older` image live. Raises DeploymentRefused, or RolledBack after the switch; then the old
        image serves.
        """
        old = self.settle()
        evidence = admission.admit(image, self.settings, self.state, older=older)
        signed = {"git_commit": evidence.commit, "model": evidence.model[:MODEL_DIGITS]}
        check_stated(signed, {key: expected[key] for key in signed.keys() & expected.keys()})
        new = COLOURS[old == COLOURS[0]]
        self.containers.fetch(image)
        with ExitStack() as undo:
            undo.callback(self.go_back, old, new)
            self.containers.start(new, image)
            identity = self.check_identity(new, {**expected, **signed, "image": image})
            if old in COLOURS and not older:
                self.watch_canary(new, old)
            before, seen = self.proxy.counters(new), self.start_watch(new, old)
            self.proxy.switch(new)
            self.check_proxy(identity)
            self.watch(new, before, seen)
            release = Release(new, image, identity, now())
            self.state.promote(release)
            undo.pop_all()
        return release

    def settle(self) -> str:
        """Undo an interrupted deployment, and return the live colour, or "none"."""
        live = self.state.releases()["live"]
        serving = self.proxy.live()
        keep = live.colour if live else "none"
        if live and serving in COLOURS and not probe.is_ready(self.settings.address(keep)):
            keep = serving
        for colour in COLOURS:
            if colour != keep:
                self.go_back(keep, colour)
        return keep

    def tidy(self, release: Release) -> None:
        """Remove the container that `release` replaced, and images that no roll-back needs."""
        self.retire(next(colour for colour in COLOURS if colour != release.colour))
        kept = self.state.releases().values()
        self.containers.remove_images({release.image for release in kept if release})

    def migrate(self, release: Release) -> None:
        """Upgrade the ledger's schema by the code of a live release.

        Where it raises DeploymentRefused, the schema is as it was."""
        self.containers.migrate(release.colour)

    def go_back(self, old: str, new: str) -> None:
        """Let the colour `old` serve, and remove `new` after its last request."""
        if self.proxy.live() != old or self.proxy.has_canary():
            self.proxy.switch(old, durable=False)
        self.retire(new)

    def retire(self, colour: str) -> None:
        """Remove a colour after its last request: a stopped service resets its connections."""
        self.wait(lambda: not self.proxy.in_flight(colour), self.settings.drain_seconds)
        self.containers.remove(colour)

    def check_identity(self, colour: str, expected: dict[str, Any]) -> dict[str, Any]:
        """Wait until the container is ready, and return its identity.

        Raises DeploymentRefused when it does not become ready, or has another identity than
        expected. The service checks its golden records itself: a prediction would add a decision to
        the ledger.
        """
        address = self.settings.address(colour)
        if not self.wait(lambda: self.is_ready(colour), self.settings.ready_seconds):
            log = self.containers.end_of_log(colour)
            raise DeploymentRefused(f"not ready after {self.settings.ready_seconds:.0f} s{log}")
        info = probe.model_info(address, self.key)
        fault = probe.golden_fault(info)
        if fault:
            raise DeploymentRefused(fault)
        identity: dict[str, Any] = info["identity"]
        check_stated(identity, expected)
        return identity

    def is_ready(self, colour: str) -> bool:
        """Tell whether the container is ready.

        Raises DeploymentRefused when it cannot become ready.
        """
        address = self.settings.address(colour)
        if probe.is_ready(address):
            return True
        fault = self.containers.fault(colour) or probe.early_fault(address, self.key)
        if fault:
            raise DeploymentRefused(fault)
        return False

    def check_proxy(self, identity: dict[str, Any]) -> None:
        """Raise RolledBack unless the checked container answers through the proxy."""
        served = probe.model_info(self.settings.front, self.key)["identity"]
        if served != identity:
            raise RolledBack(f"the proxy must serve {identity}; it serves {served}")

    def start_watch(self, new: str, old: str) -> Watch:
        """Return a watch over `new` that knows what was usual with `old`."""
        return Watch(self.settings, self.proxy, self.key, new, old)

    def watch(self, colour: str, before: Counters, compared: Watch) -> None:
        """Watch errors, refusals and slow answers for `watch_seconds`.

        Raises RolledBack after too many errors, or where one of the others jumps.
        """
        settings = self.settings
        unready = 0
        until = time.monotonic() + settings.watch_seconds
        while True:
            seen = self.proxy.counters(colour).since(before)
            errors = seen.errors + unready
            if errors > settings.max_errors + settings.max_error_share * seen.requests:
                raise RolledBack(f"{errors} failures in {seen.requests} requests after the switch")
            for fault in compared.faults():
                raise RolledBack(fault)
            if time.monotonic() > until:
                return
            time.sleep(POLL_SECONDS)
            unready += not probe.is_ready(settings.address(colour))

    def watch_canary(self, new: str, old: str) -> None:
        """Let `new` decide about growing shares of the applicants; raises RolledBack on a fault."""
        steps = shares(self.settings.canary_shares)
        if steps:
            canary = Canary(self.settings, self.proxy, self.key, new, old)
            for share in steps:
                canary.watch(share)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Poll until the condition holds; returns False when it does not within `seconds`."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def status(self) -> dict[str, Any]:
        """Return the recorded releases `live` and `previous`, the colour that the `proxy` sends
        requests to, and the image that it has `served`.
        """
        releases = self.state.releases().items()
        answer = {role: asdict(release) if release else None for role, release in releases}
        return {**answer, "proxy": self.proxy.live(), "served": self.served_image()}

    def served_image(self) -> str:
        """Return the image that answers through the proxy, or "nothing"."""
        try:
            return str(probe.model_info(self.settings.front, self.key)["identity"]["image"])
        except (DeploymentRefused, KeyError):
            return "nothing"

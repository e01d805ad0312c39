"""Send a growing share of applicants to a new colour, and compare it with the old one.

The comparison is a sequential test by betting: it may be looked at after every request and still
raises a false alarm with at most the stated probability (Ville's inequality; Waudby-Smith and
Ramdas, "Estimating means of bounded random variables by betting", 2024).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from release.deploy.host import DeploymentRefused, RolledBack, probe
from release.deploy.host.proxy import Proxy
from release.deploy.host.settings import HostSettings

POLL_SECONDS = 1.0
FALSE_ALARMS = 0.01  # probability that a deployment whose colours do not differ is taken back
BOLDEST_BET = 0.9
SLOW_SECONDS = "0.5"  # a bucket of the service's histogram
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?$", re.MULTILINE)


@dataclass(frozen=True)
class Count:
    """How many of some requests or decisions had a property."""

    having: float
    of: float

    def since(self, earlier: Count) -> Count:
        """Return the difference from an earlier count, or all if it was counted from zero again."""
        if self.of < earlier.of or self.having < earlier.having:
            return self
        return Count(self.having - earlier.having, self.of - earlier.of)

    @property
    def share(self) -> float:
        """Return the share that had the property; one request may count as two failures."""
        return min(self.having / self.of, 1.0)


@dataclass
class SequentialTest:
    """Test that a share is at most `margin` larger for the new colour than for the old one.

    Each observation is the difference of the shares in the requests since the last one. While the
    statement holds, `wealth` has an expected value of at most 1, however long it is watched.
    """

    margin: float
    false_alarms: float
    wealth: float = 1.0
    seen: int = 0
    total: float = 0.0
    squares: float = 0.25

    def observe(self, difference: float) -> bool:
        """Add an observation from -1 to 1, and tell whether the statement is refuted."""
        mean = self.total / (self.seen + 1)
        excess, variance = mean - self.margin, self.squares / (self.seen + 1)
        boldest = BOLDEST_BET / (1 + self.margin)
        bet = min(max(excess / (variance + excess**2), 0.0), boldest)
        self.wealth *= 1 + bet * (difference - self.margin)
        self.seen += 1
        self.total += difference
        self.squares += (difference - self.total / (self.seen + 1)) ** 2
        return self.wealth >= 1 / self.false_alarms


@dataclass
class Comparison:
    """One property of the two colours, in one direction or in both."""

    name: str
    margin: float
    signs: tuple[int, ...]
    before: tuple[Count, Count]
    tests: list[SequentialTest] = field(default_factory=list)

    def fault(self, new: Count, old: Count, false_alarms: float) -> str:
        """Return why the colours differ beyond the margin, "" while that is not shown."""
        if not self.tests:
            self.tests = [SequentialTest(self.margin, false_alarms) for _ in self.signs]
        added = new.since(self.before[0]), old.since(self.before[1])
        if not (added[0].of and added[1].of):
            return ""
        self.before = new, old
        difference = added[0].share - added[1].share
        refuted = [
            test.observe(sign * difference)
            for sign, test in zip(self.signs, self.tests, strict=True)
        ]
        if not any(refuted):
            return ""
        counts = [f"{count.having:.0f} of {count.of:.0f}" for count in (new, old)]
        return (
            f"{self.name} differ by more than {self.margin:g}: {counts[0]} (new), {counts[1]} (old)"
        )


class Canary:
    """A new colour beside the old one, with the comparisons that go on over all shares."""

    def __init__(self, settings: HostSettings, proxy: Proxy, key: str, new: str, old: str) -> None:
        self.settings, self.proxy, self.key = settings, proxy, key
        self.new, self.old = new, old
        first, second = self.counts(new), self.counts(old)
        ways = {
            "failures": (settings.canary_margin_failures, (1,)),
            "refusals": (settings.canary_margin_refusals, (1,)),
            "slow answers": (settings.canary_margin_slow, (1,)),
            "approvals": (settings.canary_margin_decisions, (1, -1)),
        }
        self.comparisons = [
            Comparison(name, margin, signs, (first[name], second[name]))
            for name, (margin, signs) in ways.items()
        ]
        self.false_alarms = FALSE_ALARMS / sum(len(signs) for _, signs in ways.values())

    def watch(self, share: int) -> None:
        """Send this share of applicants, in percent, and compare; raises RolledBack on a fault."""
        self.proxy.share(self.new, share)
        until = time.monotonic() + self.settings.canary_seconds
        while time.monotonic() < until:
            time.sleep(min(POLL_SECONDS, self.settings.canary_seconds))
            for fault in self.faults():
                raise RolledBack(f"at {share} %: {fault}")

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the new colour."""
        if not probe.is_ready(self.settings.address(self.new)):
            yield "it is not ready any more"
        new, old = self.counts(self.new), self.counts(self.old)
        for each in self.comparisons:
            fault = each.fault(new[each.name], old[each.name], self.false_alarms)
            if fault:
                yield fault

    def counts(self, colour: str) -> dict[str, Count]:
        """Return what proxy and service have counted of a colour since they were started."""
        return count(self.settings, self.proxy, self.key, colour)


def count(settings: HostSettings, proxy: Proxy, key: str, colour: str) -> dict[str, Count]:
    """Return what proxy and service have counted of a colour since they were started."""
    samples = read_samples(settings.address(colour), key)
    seconds = "credit_request_seconds"

    def total(name: str, *labels: str) -> float:
        return sum(
            value
            for held, text, value in samples
            if held == name and all(label in text for label in labels)
        )

    answered = total(f"{seconds}_count")
    fast = total(f"{seconds}_bucket", f'le="{SLOW_SECONDS}"')
    approved = total("credit_decisions_total", 'decision="approve"')
    return {
        **count_proxied(proxy, colour),
        "slow answers": Count(answered - fast, answered),
        "approvals": Count(approved, total("credit_decisions_total")),
    }


def count_proxied(proxy: Proxy, colour: str) -> dict[str, Count]:
    """Return what the proxy has counted of a colour since it was started."""
    proxied = proxy.counters(colour)
    return {
        "failures": Count(proxied.errors, proxied.requests),
        "refusals": Count(proxied.refusals, proxied.requests),
    }


def read_samples(address: str, key: str) -> list[tuple[str, str, float]]:
    """Return the metrics of a service: name, labels and value of each sample."""
    status, body = probe.get(address, "/metrics", key)
    if status != 200:
        raise DeploymentRefused(f"{address}/metrics must be readable for a canary; got {status}")
    found = SAMPLE.findall(body.decode())
    return [(name, labels, float(value)) for name, labels, value in found]


def shares(text: str) -> list[int]:
    """Return the shares of a canary, in percent.

    Raises DeploymentRefused when they are no such list.
    """
    words = text.split(",") if text != "none" else []
    if not all(word.strip().isdecimal() and 0 < int(word) < 100 for word in words):
        raise DeploymentRefused(
            f"canary shares must be percentages such as 5,25, or none; got {text!r}"
        )
    return [int(word) for word in words]

"""Watch the colour that all requests go to now, against what was usual with the one before.

The old colour gets no requests any more, so that nothing can be compared side by side: refusals
(4xx) and slow answers of the new one are held against all that were counted of the old one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from release.deploy.host import DeploymentRefused
from release.deploy.host.canary import Count, count, count_proxied
from release.deploy.host.proxy import Proxy
from release.deploy.host.settings import COLOURS, HostSettings

FEWEST = 30  # requests of either colour, below which a share says nothing
ERRORS = 4.0  # standard errors beyond the margin, since it is looked at many times


class Watch:
    """The new colour after the switch, and what was usual before."""

    def __init__(self, settings: HostSettings, proxy: Proxy, key: str, new: str, old: str) -> None:
        self.settings, self.proxy, self.key, self.new = settings, proxy, key, new
        self.margins = {
            "refusals": settings.canary_margin_refusals,
            "slow answers": settings.canary_margin_slow,
        }
        self.usual = self.counts(old) if old in COLOURS else {}
        self.before = self.counts(new)

    def counts(self, colour: str) -> dict[str, Count]:
        """Return all counts of a colour; without its metrics those of the proxy."""
        try:
            return count(self.settings, self.proxy, self.key, colour)
        except DeploymentRefused:
            return count_proxied(self.proxy, colour)

    def faults(self) -> Iterator[str]:
        """Yield what became more frequent since the switch than the old colour had it."""
        now = self.counts(self.new)
        for name, margin in self.margins.items():
            if all(name in counts for counts in (now, self.usual, self.before)):
                fault = jump(name, now[name].since(self.before[name]), self.usual[name], margin)
                if fault:
                    yield fault


def jump(name: str, new: Count, usual: Count, margin: float) -> str:
    """Return how far a share lies above the usual one and the margin, "" where it does not."""
    if min(new.of, usual.of) < FEWEST:
        return ""
    allowed = min(usual.share + margin, 1.0)
    if new.share <= allowed + ERRORS * sqrt(allowed * (1 - allowed) / new.of):
        return ""
    counts = f"{new.having:.0f} of {new.of:.0f} since the switch"
    return f"{name} jumped: {counts}, {usual.share:.1%} before; {margin:g} more is allowed"

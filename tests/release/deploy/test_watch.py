"""The watch after a switch: refusals and slow answers against what was usual before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from release.deploy.host import DeploymentRefused, RolledBack, bluegreen, watch
from release.deploy.host.canary import Count
from release.deploy.host.proxy import Counters, Proxy
from release.deploy.host.settings import HostSettings
from release.deploy.host.watch import Watch, jump
from tests.support.books import ROOT

USUAL = Count(20, 1000)


@pytest.fixture
def settings(tmp_path: Path) -> HostSettings:
    text = (ROOT / "release/deploy/host/host.env").read_text()
    path = tmp_path / "host.env"
    path.write_text(
        text.replace("CREDIT_PD_REPOSITORY=", "CREDIT_PD_REPOSITORY=registry/credit-pd")
    )
    return replace(HostSettings.read(path), watch_seconds=0.0, state=tmp_path / "state")


@dataclass
class Counted:
    """A proxy and a service whose counters a test sets."""

    proxied: dict[str, Counters] = field(default_factory=dict)
    slow: dict[str, Count] = field(default_factory=dict)
    has_metrics: bool = True

    def counters(self, colour: str) -> Counters:
        return self.proxied.get(colour, Counters(0, 0, 0))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    judged = Counted({"blue": Counters(1000, 0, 20)}, {"blue": Count(10, 1000)})

    def count(settings: HostSettings, proxy: Proxy, key: str, colour: str) -> dict[str, Count]:
        if not judged.has_metrics:
            raise DeploymentRefused("no metrics")
        slow = judged.slow.get(colour, Count(0, 0))
        return {**watch.count_proxied(proxy, colour), "slow answers": slow}

    monkeypatch.setattr(watch, "count", count)
    return judged


def started(settings: HostSettings, counted: Counted, old: str = "blue") -> Watch:
    return Watch(settings, cast(Any, counted), "", "green", old)


def test_a_jump_of_refusals_is_a_fault(settings: HostSettings, counted: Counted) -> None:
    seen = started(settings, counted)
    counted.proxied["green"] = Counters(200, 0, 60)
    [fault] = seen.faults()
    assert fault.startswith("refusals jumped: 60 of 200 since the switch, 2.0% before")


def test_a_jump_of_slow_answers_is_a_fault(settings: HostSettings, counted: Counted) -> None:
    seen = started(settings, counted)
    counted.slow["green"] = Count(50, 200)
    [fault] = seen.faults()
    assert fault.startswith("slow answers jumped: 50 of 200")


def test_what_was_usual_before_is_no_fault(settings: HostSettings, counted: Counted) -> None:
    seen = started(settings, counted)
    counted.proxied["green"], counted.slow["green"] = Counters(200, 0, 9), Count(6, 200)
    assert [*seen.faults()] == []


def test_without_metrics_the_proxy_alone_is_asked(settings: HostSettings, counted: Counted) -> None:
    counted.has_metrics = False
    seen = started(settings, counted)
    counted.proxied["green"] = Counters(200, 0, 60)
    assert [fault.partition(" ")[0] for fault in seen.faults()] == ["refusals"]


def test_the_first_release_has_nothing_to_be_held_against(
    settings: HostSettings, counted: Counted
) -> None:
    seen = started(settings, counted, "none")
    counted.proxied["green"] = Counters(200, 0, 200)
    assert [*seen.faults()] == []


@pytest.mark.parametrize(("new", "usual"), [(Count(29, 29), USUAL), (Count(90, 100), Count(0, 9))])
def test_few_requests_say_nothing(new: Count, usual: Count) -> None:
    assert jump("refusals", new, usual, 0.05) == ""


def test_a_jump_takes_the_deployment_back(
    settings: HostSettings, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = bluegreen.Host(settings)
    host.proxy = cast(Any, counted)
    monkeypatch.setattr(bluegreen.probe, "is_ready", lambda address: True)
    seen = started(settings, counted)
    host.watch("green", Counters(0, 0), seen)
    counted.proxied["green"] = Counters(200, 0, 100)
    with pytest.raises(RolledBack, match="refusals jumped"):
        host.watch("green", Counters(0, 0), seen)

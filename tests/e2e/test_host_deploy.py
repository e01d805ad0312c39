"""The host script with a real engine, registry and proxy, and a service that fails on demand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from release.deploy.host import probe
from tests.support.trained.signed_releases import Releases

from .engine import Engine
from .host import Host, any_certificate, traffic
from .processes import missing, wait_until
from .registry import Registry

pytestmark = pytest.mark.e2e

FAULTS = {
    "1": "none",
    "2": "none",
    "crash": "crash",
    "deaf": "deaf",
    "golden": "golden",
    "image": "image",
    "flaky": "40",
    "older": "none",
    "unsigned": "none",
    "swapped": "model",
    "declines": "declines",
    "slow": "slow",
    "refuses": "refuses",
}
RELEASED = {"older": "2026-11-13T12:00:00"}  # the others are a week younger


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """The key that releases of this module are signed with."""
    return Releases.with_new_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def images(engine: Engine, base_image: str, registry: Registry, keys: Releases) -> dict[str, str]:
    """Digest of each version of the fake service in the registry, where each is signed."""
    context = str(Path(__file__).parent / "fake_service")
    digests = {}
    for version, fault in FAULTS.items():
        tag = f"{registry.address}/credit-pd:{version}"
        arguments = (f"BASE={base_image}", f"VERSION={version}", f"FAULT={fault}")
        words = [word for each in arguments for word in ("--build-arg", each)]
        engine.run("build", "--quiet", *words, "--tag", tag, context)
        engine.run("push", tag)
        digests[version] = registry.digest("credit-pd", version)
        if version != "unsigned":
            facts = {"commit": f"commit-{version}", "model": f"fake-{version}"}
            image = f"{registry.address}/credit-pd@{digests[version]}"
            keys.attach(image, **facts, released=RELEASED.get(version, "2026-11-20T12:00:00"))
    return digests


@pytest.fixture
def empty_host(
    engine: Engine, registry: Registry, keys: Releases, tmp_path: Path
) -> Iterator[Host]:
    if os.geteuid() != 0:
        missing("root, who gives the ledger's folder to the service,")
    host = Host(tmp_path, engine, f"{registry.address}/credit-pd")
    host.install()
    host.change(release_key=keys.public)
    host.releases = keys
    host.start_proxy()
    yield host
    host.clean()


@pytest.fixture
def host(empty_host: Host, images: dict[str, str]) -> Host:
    """A host where version 1 is live."""
    status, text = empty_host.deploy(images["1"], "--git-commit", "commit-1")
    assert status == 0, text
    return empty_host


def switching(host: Host, image: str, watch_seconds: float) -> subprocess.Popen[str]:
    """A deployment of version 2 that has switched and watches."""
    host.change(watch_seconds=watch_seconds)
    process = host.start_deploy(image)
    wait_until(lambda: host.served() == "fake-2", 20, "the switch")
    return process


def test_nothing_is_served_before_the_first_release(empty_host: Host) -> None:
    assert probe.get(empty_host.front, "/readyz") == (503, b"No release is live.\n")
    assert empty_host.status()["served"] == "nothing"


def test_a_failed_first_release_says_that_nothing_is_served(
    empty_host: Host, images: dict[str, str]
) -> None:
    status, text = empty_host.deploy(images["crash"])
    assert status == 1
    assert text.endswith("serving now: nothing\n")


def test_a_switch_and_a_rollback_lose_no_request_and_no_decision(
    host: Host, images: dict[str, str]
) -> None:
    with traffic(host) as seen:
        seen.wait_for("1", 50)
        assert host.deploy(images["2"], "--git-commit", "commit-2")[0] == 0
        seen.wait_for("2", 50)
        assert host.deploy("--rollback")[0] == 0
        seen.wait_for("1", 50)
    assert seen.failures == []
    assert host.status()["live"]["identity"]["git_commit"] == "commit-1"
    assert [each["outcome"] for each in host.history()] == ["live", "live", "live"]
    assert sorted(host.ledger.read_text().split()) == sorted(seen.versions.elements())


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("crash", "ended by itself\n    cannot load the model"),
        ("deaf", "not ready after 2 s"),
        ("golden", "the golden records do not score identically"),
        ("image", "it says 'another'"),
    ],
)
def test_a_bad_image_is_refused_and_the_old_one_serves(
    host: Host, images: dict[str, str], version: str, reason: str
) -> None:
    host.change(ready_seconds=2)
    with traffic(host) as seen:
        status, text = host.deploy(images[version])
    assert status == 1
    assert reason in text
    assert f"serving now: {host.repository}@{images['1']}" in text
    assert seen.failures == []
    assert set(seen.versions) == {"1"}
    assert host.history()[-1]["outcome"] == "refused"


def test_an_unsigned_image_is_neither_pulled_nor_started(
    host: Host, images: dict[str, str]
) -> None:
    status, text = host.deploy(images["unsigned"])
    assert status == 1
    assert "nothing is attached to it" in text
    assert host.served() == "fake-1"


def test_an_image_with_another_model_than_the_signed_one_is_refused(
    host: Host, images: dict[str, str]
) -> None:
    status, text = host.deploy(images["swapped"])
    assert status == 1
    assert "its model must be fake-swapped; it says 'another'" in text
    assert host.served() == "fake-1"


def test_an_older_image_needs_a_named_roll_back(host: Host, images: dict[str, str]) -> None:
    status, text = host.deploy(images["older"])
    assert status == 1
    assert "it was released at 2026-11-13T12:00:00Z" in text
    assert host.served() == "fake-1"
    assert host.deploy(images["older"], "--older", "allow")[0] == 0
    assert host.served() == "fake-older"


def test_an_image_of_another_commit_is_refused(host: Host, images: dict[str, str]) -> None:
    status, text = host.deploy(images["2"], "--git-commit", "commit-3")
    assert status == 1
    assert "its git_commit must be commit-3; it says 'commit-2'" in text
    assert host.served() == "fake-1"


def test_a_digest_that_the_registry_does_not_hold_is_refused(host: Host) -> None:
    digest = f"sha256:{'0' * 64}"
    status, text = host.deploy(digest)
    assert status == 1
    assert "nothing is attached to it" in text
    host.sign(digest)
    status, text = host.deploy(digest)
    assert status == 1
    assert "'pull' failed" in text
    assert host.served() == "fake-1"


@pytest.mark.parametrize("image", ["credit-pd:latest", "sha256:abc", "elsewhere/credit-pd@{}"])
def test_what_is_not_a_digest_of_the_hosts_repository_is_refused(
    host: Host, images: dict[str, str], image: str
) -> None:
    status, text = host.deploy(image.format(images["2"]))
    assert status == 2
    assert text.startswith("refused: image")
    assert host.served() == "fake-1"


def test_a_second_deployment_at_the_same_time_is_refused(
    host: Host, images: dict[str, str]
) -> None:
    first = switching(host, images["2"], watch_seconds=3)
    status, text = host.deploy(images["1"])
    assert (status, text) == (3, "refused: another deployment is running on this host\n")
    assert first.communicate(timeout=30)[0].startswith("live: green")


def test_without_the_registry_a_release_is_refused_and_a_rollback_works(
    host: Host, registry: Registry, images: dict[str, str]
) -> None:
    with Registry(registry.storage).running() as mortal:
        host.change(repository=f"{mortal.address}/credit-pd")
        assert host.deploy(images["1"])[0] == 0
        assert host.deploy(images["2"])[0] == 0
    status, text = host.deploy(images["flaky"])
    assert status == 1
    assert "cannot be asked for attestations" in text
    assert host.served() == "fake-2"
    assert host.deploy("--rollback")[0] == 0
    assert host.served() == "fake-1"


def test_an_image_that_fails_in_traffic_is_taken_back_at_once(
    host: Host, images: dict[str, str]
) -> None:
    host.change(watch_seconds=20)
    with traffic(host) as seen:
        status, text = host.deploy(images["flaky"])
        seen.wait_for("1", 50)
    assert status == 1
    assert "failures in" in text
    assert host.history()[-1]["outcome"] == "rolled back"
    assert all(failure.startswith("500") for failure in seen.failures)
    assert seen.failed_at[-1] - seen.failed_at[0] < 3


def test_a_canary_gives_each_applicant_one_model_until_the_switch(
    host: Host, images: dict[str, str]
) -> None:
    host.change(canary_shares="20,50", canary_seconds=3)
    with traffic(host, references=100) as seen:
        seen.wait_for("1", 100)
        process = host.start_deploy(images["2"])
        seen.wait_for("2", 20)
        time.sleep(1)
        early = {each for each, models in seen.by_applicant.items() if "2" in models}
        output, errors = process.communicate(timeout=60)
        seen.wait_for("2", 200)
    assert process.returncode == 0, output + errors
    assert seen.failures == []
    assert 8 <= len(early) <= 35
    assert {tuple(models) for models in seen.by_applicant.values()} == {("1", "2")}
    assert host.status()["proxy"] == "green"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("flaky", "failures differ by more than 0.005"),
        ("declines", "approvals differ by more than 0.15"),
        ("slow", "slow answers differ by more than 0.05"),
        ("refuses", "refusals differ by more than 0.05"),
    ],
)
def test_a_canary_that_differs_is_taken_back_before_all_get_it(
    host: Host, images: dict[str, str], version: str, reason: str
) -> None:
    host.change(canary_shares="20,50", canary_seconds=60)
    with traffic(host, references=100) as seen:
        seen.wait_for("1", 50)
        status, text = host.deploy(images[version])
        seen.wait_for("1", 50)
    assert status == 1
    assert f"at 20 %: {reason}" in text
    assert host.history()[-1]["outcome"] == "rolled back"
    assert host.served() == "fake-1"
    touched = [models for models in seen.by_applicant.values() if models != ["1"]]
    assert len(touched) <= 35
    assert {failure.split()[0] for failure in seen.failures} <= {"400", "500"}


def test_a_killed_canary_does_not_stand(host: Host, images: dict[str, str]) -> None:
    host.change(canary_shares="20", canary_seconds=60)
    with traffic(host, references=100) as seen:
        process = host.start_deploy(images["2"])
        seen.wait_for("2", 20)
        process.kill()
        process.communicate()
        assert host.deploy(images["golden"])[0] == 1
        before = seen.versions["2"]
        seen.wait_for("1", 200)
    assert seen.failures == []
    assert seen.versions["2"] == before


def test_the_live_colour_survives_a_restart_of_proxy_and_engine(
    host: Host, images: dict[str, str]
) -> None:
    assert host.deploy(images["2"])[0] == 0
    host.stop_proxy()
    host.engine.restart()
    host.start_proxy()
    wait_until(lambda: probe.is_ready(host.front), 20, "the service's return")
    assert host.served() == "fake-2"
    assert host.status()["proxy"] == "green"


def test_a_reload_of_the_proxy_loses_no_request_and_the_next_switch_holds(
    host: Host, images: dict[str, str]
) -> None:
    with traffic(host) as seen:
        seen.wait_for("1", 50)
        host.reload_proxy()
        seen.wait_for("1", 50)
        assert host.deploy(images["2"])[0] == 0
        before = seen.versions["1"]
        seen.wait_for("2", 100)
    assert seen.failures == []
    assert seen.versions["1"] == before


def test_a_service_that_asks_for_keys_is_proven_with_the_hosts_own(
    host: Host, images: dict[str, str]
) -> None:
    keys = host.folder / "etc/credit-pd/service.env"
    keys.write_text(f"CREDIT_PD_API_KEYS={sha256(b'a client').hexdigest()}\n")
    assert host.deploy(images["2"])[0] == 0
    assert host.status()["served"] == f"{host.repository}@{images['2']}"
    assert probe.get(host.front, "/model-info")[0] == 401
    assert probe.get(host.front, "/model-info", "a client")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_deployment_does_not_stand(
    host: Host, images: dict[str, str], number: signal.Signals
) -> None:
    with traffic(host) as seen:
        process = switching(host, images["2"], watch_seconds=20)
        process.send_signal(number)
        process.communicate(timeout=30)
        host.change(watch_seconds=0.3)
        assert host.deploy(images["golden"])[0] == 1
    assert process.returncode != 0
    assert seen.failures == []
    assert host.served() == "fake-1"


def test_the_next_deployment_keeps_what_serves_when_the_recorded_container_is_gone(
    host: Host, images: dict[str, str]
) -> None:
    process = switching(host, images["2"], watch_seconds=20)
    process.kill()
    process.communicate()
    host.engine.run("rm", "--force", f"{host.name}-blue")
    host.change(watch_seconds=0.3)
    with traffic(host) as seen:
        seen.wait_for("2", 20)
        assert host.deploy(images["1"])[0] == 0
    assert seen.failures == []
    assert host.served() == "fake-1"


def test_the_container_has_no_more_rights_than_it_needs(host: Host) -> None:
    container = json.loads(host.engine.run("inspect", f"{host.name}-blue"))[0]
    limits = container["HostConfig"]
    assert container["Config"]["User"] == "1034:1034"
    assert limits["ReadonlyRootfs"]
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert limits["Memory"] == limits["MemorySwap"] == 128 * 2**20
    assert limits["PidsLimit"] == 64
    assert [port["HostIp"] for port in limits["PortBindings"]["3000/tcp"]] == ["127.0.0.1"]
    capabilities = host.engine.run("exec", f"{host.name}-blue", "grep", "Cap", "/proc/1/status")
    assert {line.split()[1] for line in capabilities.splitlines()} == {"0" * 16}


def test_the_public_side_hides_metrics_and_refuses_large_bodies(host: Host) -> None:
    client = HTTPSConnection(host.public, timeout=10, context=any_certificate())
    assert probe.get(host.front, "/metrics")[0] == 200
    client.request("GET", "/metrics")
    assert client.getresponse().status == 404
    client.close()
    client.putrequest("POST", "/predict")
    client.putheader("Content-Length", str(2**20 + 1))
    client.endheaders()
    assert client.getresponse().status == 413
    client.close()


def test_without_a_previous_release_there_is_no_rollback(host: Host) -> None:
    status, text = host.deploy("--rollback")
    assert (status, text) == (1, "there is no previous release to go back to\n")

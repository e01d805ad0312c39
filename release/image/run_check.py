"""Run an image as a host does, and check that it answers as the pipeline did."""

from __future__ import annotations

import json
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from release.deploy import host
from release.deploy.host import DeploymentRefused, probe
from release.deploy.host.containers import SERVICE_USER, Containers
from release.deploy.host.settings import HostSettings
from release.image.container_engine import ContainerEngine, ContainerError

COLOUR = "blue"
CLIENTS = 4
ROUNDS = 4  # of the golden records, so that the clients meet
STOP_SECONDS = "30"


@dataclass(frozen=True)
class CheckResult:
    """Measurements of an image that passed the check."""

    image: str
    megabytes: float
    ready_seconds: float
    memory: str
    golden: int
    answers: int
    recorded: int
    identity: dict[str, Any]


def run_check(engine: ContainerEngine, image: str, golden: Path) -> CheckResult:
    """Run `image` as a host does, and measure it; raises ContainerError with the fault.

    It must answer the PD of each golden record to the last bit, end with status 0 after SIGTERM,
    and have recorded every answer in its ledger.
    """
    records = [json.loads(line) for line in golden.read_text().splitlines()]
    about = engine.inspect(image)
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        settings = local_settings(engine, Path(folder))
        try:
            with run_container(settings, image) as ready_seconds:
                identity = check_identity(settings.blue, image, about)
                ask_all(settings.blue, records)
                memory = memory_usage(engine, container_name(settings))
                status = stop_container(engine, container_name(settings))
        except DeploymentRefused as refusal:
            raise ContainerError(str(refusal)) from None
        recorded = count_entries(engine, image, settings.ledger)
    if status != 0:
        raise ContainerError(
            f"{image} must end with status 0 after SIGTERM; it ended with {status}"
        )
    answers = len(records) * ROUNDS
    if recorded != answers:
        raise ContainerError(
            f"{image} answered {answers} applications; its ledger holds {recorded}"
        )
    megabytes = round(about["Size"] / 1e6, 1)
    return CheckResult(
        image, megabytes, round(ready_seconds, 1), memory, len(records), answers, recorded, identity
    )


def local_settings(engine: ContainerEngine, folder: Path) -> HostSettings:
    """Return the committed settings of a host, with a separate container and ledger in `folder`."""
    port = free_port()
    changed = {
        "REPOSITORY": "local",
        "ENGINE": " ".join(engine.words),
        "NAME": f"credit-pd-check-{port}",
        "BLUE": f"127.0.0.1:{port}",
        "LEDGER": folder / "ledger",
        "SERVICE_ENV": folder / "service.env",
    }
    committed = Path(host.__file__).parent
    lines = dict(
        line.split("=", 1)
        for line in (committed / "host.env").read_text().splitlines()
        if line[:1] != "#"
    )
    lines |= {f"CREDIT_PD_{key}": str(value) for key, value in changed.items()}
    (folder / "host.env").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    guarded = "CREDIT_PD_WITHOUT_USERS=guarded\n"  # the port is on loopback
    (folder / "service.env").write_text((committed / "service.env").read_text() + guarded)
    (folder / "ledger").mkdir()
    (folder / "ledger").chmod(0o777)  # the container's user is another one
    return HostSettings.read(folder / "host.env")


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def container_name(settings: HostSettings) -> str:
    """Return the name of the container."""
    return f"{settings.name}-{COLOUR}"


@contextmanager
def run_container(settings: HostSettings, image: str) -> Iterator[float]:
    """Run the image; yields the seconds until it is ready, and removes the container at the end."""
    containers = Containers(settings, key="")
    began = time.monotonic()
    try:
        containers.start(COLOUR, image)
        while not probe.is_ready(settings.blue):
            waited = time.monotonic() - began
            fault = containers.fault(COLOUR) or probe.early_fault(settings.blue)
            if fault or waited > settings.ready_seconds:
                late = f"not ready after {waited:.0f} s{containers.end_of_log(COLOUR)}"
                raise ContainerError(f"{image}: {fault or late}")
            time.sleep(0.05)
        yield time.monotonic() - began
    finally:
        containers.remove(COLOUR)


def check_identity(address: str, image: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of the service; raises ContainerError when the image has other labels."""
    info = probe.model_info(address)
    fault = probe.golden_fault(info)
    if fault:
        raise ContainerError(f"{image}: {fault}")
    identity = info["identity"]
    labels = about["Config"]["Labels"] or {}
    commit = labels.get("org.opencontainers.image.revision")
    if identity["git_commit"] != commit:
        raise ContainerError(f"{image} is labelled {commit}; it says {identity['git_commit']}")
    for name in ("data", "model"):
        stated = labels.get(f"credit-pd.{name}", "")
        if not stated.startswith(identity[name] or "none"):
            raise ContainerError(f"{image} is labelled {name} {stated}; it says {identity[name]}")
    return dict(identity)


def ask_all(address: str, records: list[dict[str, Any]]) -> None:
    """Request each record `ROUNDS` times with several clients.

    Raises ContainerError when a PD differs.
    """
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(lambda record: ask(address, record), records * ROUNDS):
            pass


def ask(address: str, record: dict[str, Any]) -> None:
    """Request a decision about a golden record.

    Raises ContainerError unless it gets the recorded PD.
    """
    connection = HTTPConnection(address, timeout=30)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/predict", json.dumps(record["application"]), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    expected = record["default_probability"]
    if response.status != 200 or answer["default_probability"] != expected:
        raise ContainerError(
            f"a golden record must get the PD {expected!r}; the answer was {response.status} "
            f"{answer} for {record['application']}"
        )


def memory_usage(engine: ContainerEngine, name: str) -> str:
    """Return the memory of a running container and its limit, as the engine prints them."""
    return engine.run("stats", "--no-stream", "--format", "{{.MemUsage}}", name)


def stop_container(engine: ContainerEngine, name: str) -> int:
    """Stop the container with SIGTERM, and return its exit status."""
    engine.run("stop", "--time", STOP_SECONDS, name)
    status: int = engine.inspect(name)["State"]["ExitCode"]
    return status


def count_entries(engine: ContainerEngine, image: str, ledger: Path) -> int:
    """Return the number of entries that the image's own `verify` finds in a sound ledger."""
    user, volume = f"{SERVICE_USER}:{SERVICE_USER}", f"{ledger}:/ledger"
    verify = ("python", "-m", "service.ledger", "verify")
    printed = engine.run("run", "--rm", "--user", user, "--volume", volume, image, *verify)
    match = re.search(r"the chain of (\d+) entries is sound", printed)
    if not match:
        raise ContainerError(f"the ledger of {image}: {printed}")
    return int(match[1])

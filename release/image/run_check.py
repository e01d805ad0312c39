"""Run an image as a host runs it, and prove that it serves what the pipeline made."""

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
from release.deploy.host import Refused, probe
from release.deploy.host.containers import SERVICE_USER, Containers
from release.deploy.host.settings import Settings
from release.image.container_engine import Engine, Failed

COLOUR = "blue"
CLIENTS = 4
ROUNDS = 4  # of the golden records, so that the clients meet
STOP_SECONDS = "30"


@dataclass(frozen=True)
class Trial:
    """Measurements of an image that passed."""

    image: str
    megabytes: float
    ready_seconds: float
    memory: str
    golden: int
    answers: int
    recorded: int
    identity: dict[str, Any]


def run_check(engine: Engine, image: str, golden: Path) -> Trial:
    """Run `image`, ask it every golden record, stop it, read its ledger; Failed says what is wrong.

    It runs read-only and without rights, as the serving host starts it, and must answer each
    record's PD to the last bit; what it answered must be in the ledger after SIGTERM.
    """
    records = [json.loads(line) for line in golden.read_text().splitlines()]
    about = engine.inspect(image)
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        settings = local_settings(engine, Path(folder))
        try:
            with running(settings, image) as ready_seconds:
                identity = identified(settings.blue, image, about)
                ask_all(settings.blue, records)
                memory = used(engine, container(settings))
                status = stop_container(engine, container(settings))
        except Refused as refusal:
            raise Failed(str(refusal)) from None
        recorded = count(engine, image, settings.ledger)
    if status != 0:
        raise Failed(f"{image} must end with status 0 after SIGTERM; it ended with {status}")
    answers = len(records) * ROUNDS
    if recorded != answers:
        raise Failed(f"{image} answered {answers} applications; its ledger holds {recorded}")
    megabytes = round(about["Size"] / 1e6, 1)
    return Trial(
        image, megabytes, round(ready_seconds, 1), memory, len(records), answers, recorded, identity
    )


def local_settings(engine: Engine, folder: Path) -> Settings:
    """The committed settings of a host, for a container and a ledger of this trial alone."""
    port = free_port()
    own = {
        "REPOSITORY": "local",
        "ENGINE": " ".join(engine.words),
        "NAME": f"credit-pd-trial-{port}",
        "BLUE": f"127.0.0.1:{port}",
        "LEDGER": folder / "ledger",
        "SERVICE_ENV": folder / "service.env",
    }
    committed = Path(host.__file__).parent
    known = dict(
        line.split("=", 1)
        for line in (committed / "host.env").read_text().splitlines()
        if line[:1] != "#"
    )
    known |= {f"CREDIT_PD_{key}": str(value) for key, value in own.items()}
    (folder / "host.env").write_text("".join(f"{key}={value}\n" for key, value in known.items()))
    (folder / "service.env").write_text((committed / "service.env").read_text())
    (folder / "ledger").mkdir()
    (folder / "ledger").chmod(0o777)  # the container's user is another one
    return Settings.read(folder / "host.env")


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def container(settings: Settings) -> str:
    """Return the name of the container."""
    return f"{settings.name}-{COLOUR}"


@contextmanager
def running(settings: Settings, image: str) -> Iterator[float]:
    """The image, running and ready; gives the seconds that this took."""
    containers = Containers(settings, key="")
    began = time.monotonic()
    try:
        containers.start(COLOUR, image)
        while not probe.is_ready(settings.blue):
            waited = time.monotonic() - began
            fault = containers.fault(COLOUR) or probe.early_fault(settings.blue)
            if fault or waited > settings.ready_seconds:
                late = f"not ready after {waited:.0f} s{containers.last_words(COLOUR)}"
                raise Failed(f"{image}: {fault or late}")
            time.sleep(0.05)
        yield time.monotonic() - began
    finally:
        containers.remove(COLOUR)


def identified(address: str, image: str, about: dict[str, Any]) -> dict[str, Any]:
    """What the service says it is; Failed where that is not what the image's labels say."""
    info = probe.model_info(address)
    fault = probe.golden_fault(info)
    if fault:
        raise Failed(f"{image}: {fault}")
    identity = info["identity"]
    labels = about["Config"]["Labels"] or {}
    commit = labels.get("org.opencontainers.image.revision")
    if identity["git_commit"] != commit:
        raise Failed(f"{image} is labelled {commit}; it says {identity['git_commit']}")
    for label, name in (("dvc-lock", "data"), ("model", "model")):
        stated = labels.get(f"credit-pd.{label}", "")
        if not stated.startswith(identity[name] or "none"):
            raise Failed(f"{image} is labelled {label} {stated}; it says {identity[name]}")
    return dict(identity)


def ask_all(address: str, records: list[dict[str, Any]]) -> None:
    """Ask every record `ROUNDS` times, by several clients at once; Failed where a PD differs."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(lambda record: ask(address, record), records * ROUNDS):
            pass


def ask(address: str, record: dict[str, Any]) -> None:
    """Ask for one recorded application; Failed unless its PD is the recorded one."""
    connection = HTTPConnection(address, timeout=30)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/predict", json.dumps(record["application"]), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    expected = record["default_probability"]
    if response.status != 200 or answer["default_probability"] != expected:
        raise Failed(
            f"a golden record must get the PD {expected!r}; {response.status} {answer} came for "
            f"{record['application']}"
        )


def used(engine: Engine, name: str) -> str:
    """Return the memory of a running container, and its limit."""
    return engine.run("stats", "--no-stream", "--format", "{{.MemUsage}}", name)


def stop_container(engine: Engine, name: str) -> int:
    """Stop the container with SIGTERM, and return its exit status."""
    engine.run("stop", "--time", STOP_SECONDS, name)
    status: int = engine.inspect(name)["State"]["ExitCode"]
    return status


def count(engine: Engine, image: str, ledger: Path) -> int:
    """Entries of a ledger whose chain is sound, read with the image itself."""
    user, volume = f"{SERVICE_USER}:{SERVICE_USER}", f"{ledger}:/ledger"
    verify = ("python", "-m", "service.ledger", "verify")
    printed = engine.run("run", "--rm", "--user", user, "--volume", volume, image, *verify)
    found = re.search(r"the chain of (\d+) entries is sound", printed)
    if not found:
        raise Failed(f"the ledger of {image}: {printed}")
    return int(found[1])

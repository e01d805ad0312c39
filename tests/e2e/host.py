"""A serving host in a folder, and clients that keep asking it while it is changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any

from release.deploy.host import probe
from release.deploy.host.files import DeploymentState
from tests.support.trained.signed_releases import Releases

from .engine import Engine
from .processes import ROOT, answers, free_port, spawn, stop, tool, wait_until

SYSTEM_PYTHON = "/usr/bin/python3"  # no packages of ours: the host has the standard library only
CLIENTS = 4
APPLICATION = b'{"loan_amount": 25000}'
JSON = {"content-type": "application/json"}


@dataclass
class Host:
    """Files as `install.sh` puts them below `folder`, a proxy, and the engine's two containers."""

    folder: Path
    engine: Engine
    repository: str
    front: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    public: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    proxy: subprocess.Popen[bytes] | None = None
    releases: Releases | None = None
    deployments: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def settings(self) -> Path:
        """The host's settings file."""
        return self.folder / "etc/credit-pd/host.env"

    @property
    def ledger(self) -> Path:
        """What the service wrote through its one writable folder."""
        return self.folder / "var/lib/credit-pd/ledger/decisions.txt"

    @property
    def name(self) -> str:
        """First part of the containers' names, unlike that of any other host."""
        return f"host-{self.front.rpartition(':')[2]}"

    def install(self) -> None:
        """Run the committed installer and choose addresses and seconds that suit a test."""
        script = [str(ROOT / "release/deploy/host/install.sh"), self.repository, str(self.folder)]
        subprocess.run(script, check=True)
        self.releases = Releases.with_new_key(self.folder / "keys")
        self.change(
            release_key=self.releases.public,
            engine=" ".join(self.engine.command),
            name=self.name,
            front=self.front,
            public=self.public,
            blue=f"127.0.0.1:{free_port()}",
            green=f"127.0.0.1:{free_port()}",
            tls=self.folder / "etc/credit-pd/tls.pem",
            socket=self.folder / "proxy.sock",
            state=self.folder / "var/lib/credit-pd/state",
            ledger=self.ledger.parent,
            service_env=self.folder / "etc/credit-pd/service.env",
            memory="128m",
            pids=64,
            ready_seconds=20,
            watch_seconds=0.3,
            drain_seconds=5,
            canary_shares="none",
        )

    def change(self, **values: object) -> None:
        """Replace settings, named without their prefix."""
        known = dict(line.split("=", 1) for line in self.lines())
        known.update({f"CREDIT_PD_{key.upper()}": str(value) for key, value in values.items()})
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in known.items()))

    def lines(self) -> list[str]:
        """The settings without comments."""
        return [line for line in self.settings.read_text().splitlines() if line[:1] != "#"]

    def start_proxy(self) -> None:
        """Start HAProxy with the installed configuration."""
        cfg = str(self.folder / "opt/credit-pd/release/deploy/host/haproxy.cfg")
        environment = dict(line.split("=", 1) for line in self.lines())
        log = self.folder / "proxy.log"
        self.proxy = spawn([tool("haproxy"), "-W", "-db", "-f", cfg], log, environment)
        port = int(self.front.rpartition(":")[2])
        wait_until(lambda: answers(port), 20, f"the start of the proxy (see {log})")

    def reload_proxy(self) -> None:
        """Let HAProxy read its configuration again, as systemd does."""
        if self.proxy:
            before = self.workers()
            self.proxy.send_signal(signal.SIGUSR2)
            wait_until(lambda: self.workers() - before, 20, "a new worker of the proxy")

    def workers(self) -> set[str]:
        """Process numbers of HAProxy's workers."""
        parent = self.proxy.pid if self.proxy else 0
        return {*Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}

    def stop_proxy(self) -> None:
        """Stop HAProxy."""
        if self.proxy:
            stop(self.proxy)

    def start_deploy(self, *words: str) -> subprocess.Popen[str]:
        """Start the host script as the host would, with its own files and the system's Python."""
        command = [
            SYSTEM_PYTHON,
            "-m",
            "release.deploy.host.deploy",
            "--settings",
            str(self.settings),
        ]
        process = subprocess.Popen(
            [*command, *words],
            cwd=self.folder / "opt/credit-pd",
            env={**os.environ, **self.engine.environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.deployments.append(process)
        return process

    def deploy(self, *words: str) -> tuple[int, str]:
        """Run the host script; its exit status and everything it said."""
        process = self.start_deploy(*words)
        output, errors = process.communicate(timeout=180)
        return process.returncode, output + errors

    def sign(self, digest: str, **facts: str) -> None:
        """Attach to an image what the release would have signed."""
        assert self.releases
        self.releases.attach(f"{self.repository}@{digest}", **facts)

    def status(self) -> dict[str, Any]:
        """What `--status` tells."""
        status, text = self.deploy("--status")
        assert status == 0, text
        answer: dict[str, Any] = json.loads(text)
        return answer

    def history(self) -> list[dict[str, str]]:
        """Every attempt, oldest first."""
        path = self.folder / "var/lib/credit-pd/state/history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def served(self) -> str:
        """Model that answers through the proxy."""
        key = DeploymentState(self.folder / "var/lib/credit-pd/state").key()
        return str(probe.model_info(self.front, key)["identity"]["model"])

    def clean(self) -> None:
        """End deployments that a failed test left, remove the containers, stop the proxy."""
        for process in self.deployments:
            process.kill()
            process.communicate()
        names = (f"{self.name}-blue", f"{self.name}-green")
        self.engine.run("rm", "--force", *names, check=False)
        self.stop_proxy()


@dataclass
class Traffic:
    """What the clients saw: answers by the version that they name, and failures in words."""

    application: bytes = APPLICATION
    version_of: Callable[[dict[str, Any]], str] = lambda answer: str(answer["version"])
    pause: float = 0.0
    versions: Counter[str] = field(default_factory=Counter)
    references: int = 0  # so many applicants take turns, if any
    by_applicant: dict[int, list[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def ask(self, connection: HTTPConnection, first: int) -> None:
        """Send predictions over one kept connection until the end, from one applicant on."""
        for number in count(first):
            if self.ended.is_set():
                break
            applicant = number % self.references if self.references else 0
            application = self.application
            if self.references:
                named = {**json.loads(application), "reference": f"applicant {applicant}"}
                application = json.dumps(named).encode()
            try:
                time.sleep(self.pause)
                connection.request("POST", "/predict", application, JSON)
                response = connection.getresponse()
                body = response.read()
            except (OSError, HTTPException) as error:
                self.fail(repr(error))
                connection.close()
                continue
            if response.status == 200:
                version = self.version_of(json.loads(body))
                self.versions[version] += 1
                seen = self.by_applicant.setdefault(applicant, [])
                if seen[-1:] != [version]:
                    seen.append(version)
            else:
                self.fail(f"{response.status} {body!r}")
        connection.close()

    def fail(self, words: str) -> None:
        """Note one failure and when it happened."""
        self.failed_at.append(time.monotonic())
        self.failures.append(words)

    def wait_for(self, version: str, requests: int) -> None:
        """Wait until `version` answered `requests` more requests."""
        goal = self.versions[version] + requests
        wait_until(lambda: self.versions[version] >= goal, 20, f"traffic on version {version}")


@contextmanager
def traffic(host: Host, **how: Any) -> Iterator[Traffic]:
    """Keep-alive clients that ask, `how` says what and how often, one of them over TLS."""
    seen = Traffic(**how)
    connections = [HTTPConnection(host.front, timeout=10) for _ in range(CLIENTS - 1)]
    connections.append(HTTPSConnection(host.public, timeout=10, context=any_certificate()))
    # Each client begins with another applicant, so that all of them are soon asked for.
    places = [each * seen.references // CLIENTS for each in range(CLIENTS)]
    threads = [
        threading.Thread(target=seen.ask, args=each)
        for each in zip(connections, places, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.ended.set()
        for thread in threads:
            thread.join()


def any_certificate() -> SSLContext:
    """A TLS client that takes the installer's own certificate."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context

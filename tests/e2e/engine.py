"""A container engine for the tests: the one that runs already, else a private one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .processes import missing, spawn, stop, tool, wait_until

SYSTEM_PATH = f"/usr/bin:/usr/sbin:/bin:/sbin:{os.environ['PATH']}"
MEMORY, PLENTY = Path("/dev/shm"), 10e9  # noqa: S108 - where Linux has files in memory
PODMAN_SETTINGS = """
[containers]
netns = "slirp4netns"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
PODMAN_REGISTRIES = '[[registry]]\nprefix = "127.0.0.1"\nlocation = "127.0.0.1"\ninsecure = true\n'


@dataclass
class Daemon:
    """The process of a private dockerd."""

    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = spawn(self.command, self.log, {"PATH": SYSTEM_PATH})

    def stop(self) -> None:
        if self.process:
            stop(self.process, 30)


@dataclass(frozen=True)
class Engine:
    """How to call the engine: `command` words and `environment` to add; `private` is ours alone.

    The environment of a private docker names its socket and puts its client first on PATH, so
    that programs which call docker (bentoml, docker-compose) reach this engine with it.
    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    private: bool = True
    daemon: Daemon | None = None

    def run(self, *words: str, check: bool = True, timeout: float = 300) -> str:
        """Standard output of one engine command; `AssertionError` when it fails."""
        done = subprocess.run(
            [*self.command, *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words[:2])}: {done.stdout[-2000:]}{done.stderr}")
        return done.stdout.strip()

    def restart(self) -> None:
        """Stop the engine and start it again, as a restart of the host does."""
        if not self.daemon:
            missing("a private dockerd, which alone may be restarted,")
        self.daemon.stop()
        self.daemon.start()
        wait_until(self.answers, 60, "the restart of dockerd")

    def answers(self) -> bool:
        """Whether the engine can be reached."""
        try:
            return bool(self.run("version", "--format", "{{.Server.Version}}", timeout=20))
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            return False


@contextmanager
def container_engine() -> Iterator[Engine]:
    """Docker that runs already, else a private dockerd, else podman; skips when there is none."""
    docker = shutil.which("docker", path=SYSTEM_PATH)
    existing = Engine((docker,), private=False) if docker else None
    with ExitStack() as cleanup:
        if existing and existing.answers():
            yield existing
        elif docker and os.geteuid() == 0 and shutil.which("dockerd", path=SYSTEM_PATH):
            yield cleanup.enter_context(private_docker(docker))
        elif podman := shutil.which("podman", path=SYSTEM_PATH):
            yield cleanup.enter_context(private_podman(podman))
        else:
            missing("a container engine (docker.io or podman)")


@contextmanager
def private_docker(client: str) -> Iterator[Engine]:
    """A dockerd with its own socket, storage and bridge; it leaves the host's firewall alone."""
    with private_folder() as folder, private_bridge() as bridge:
        socket = f"unix://{folder}/docker.sock"
        daemon = Daemon(dockerd(folder, bridge, socket), folder / "log")
        (folder / "bin").mkdir()
        (folder / "bin/docker").symlink_to(client)
        path = f"{folder}/bin:{os.environ['PATH']}"
        engine = Engine((client,), {"PATH": path, "DOCKER_HOST": socket}, daemon=daemon)
        daemon.start()
        try:
            wait_until(engine.answers, 60, "the start of dockerd")
            yield engine
            engine.run("rm", "--force", *engine.run("ps", "--all", "--quiet").split(), check=False)
        finally:
            daemon.stop()


def dockerd(folder: Path, bridge: str, socket: str) -> list[str]:
    """Command line of a private dockerd; published ports go through its own userland proxy."""
    return [
        *("dockerd", "--host", socket, "--bridge", bridge),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--pidfile", f"{folder}/pid"),
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
    ]


@contextmanager
def private_bridge() -> Iterator[str]:
    """A network bridge of our own, named by our process, so that test runs do not meet.

    Its address is fixed: a bridge without one takes another whenever a container leaves, and the
    connections of the others hang until they learn it.
    """
    name, number = f"cpd{os.getpid()}", os.getpid() % 250
    ip("link", "add", name, "address", f"02:c0:de:00:00:{number:02x}", "type", "bridge")
    try:
        ip("address", "add", f"10.213.{number}.1/24", "dev", name)
        ip("link", "set", name, "up")
        yield name
    finally:
        ip("link", "delete", name)


def ip(*words: str) -> None:
    """Run `ip` of iproute2."""
    subprocess.run([tool("ip"), *words], check=True)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder with a short name (sockets must fit in 107 bytes), unmounted and removed after.

    It is in memory where there is plenty: layers are many small files, slow to write and to remove.
    """
    [kilobytes] = re.findall(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    available = int(kilobytes) * 1024  # with what the cache of files would give back
    plenty = MEMORY.is_dir() and min(available, shutil.disk_usage(MEMORY).free) > PLENTY
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir=MEMORY if plenty else None))
    try:
        yield folder
    finally:
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in sorted((p for p in mounted if p.startswith(f"{folder}/")), reverse=True):
            subprocess.run(["umount", path], check=False, env={"PATH": SYSTEM_PATH})
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_podman(client: str) -> Iterator[Engine]:
    """Podman with its own storage; runc, since crun refuses hybrid cgroups."""
    with private_folder() as folder:
        (folder / "containers.conf").write_text(PODMAN_SETTINGS)
        (folder / "registries.conf").write_text(PODMAN_REGISTRIES)
        environment = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        }
        storage = ("--root", f"{folder}/data", "--runroot", f"{folder}/run")
        engine = Engine((client, *storage), environment)
        yield engine
        engine.run("rm", "--all", "--force", check=False)

"""The stack of release/deploy/compose, with stand-ins where its public images cannot be pulled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from service.transparency.signing import Signer, public_line
from service.transparency.verify_receipt import LOG, WITNESS

from .engine import Engine
from .processes import ROOT, free_port, missing, tool

FILE = ROOT / "release/deploy/compose/compose.yaml"
KEY = "the key of Prometheus"
PROXY = """
RUN useradd --uid 99 haproxy
USER haproxy
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""
DATABASE = """
RUN useradd --uid 999 --create-home postgres \\
 && install --directory --owner postgres --mode 700 /var/lib/postgresql/data \\
 && install --directory --owner postgres --mode 3777 /run/postgresql
ENV PGDATA=/var/lib/postgresql/data PATH={binaries}:$PATH
ENTRYPOINT ["bash", "/start"]
CMD ["postgres", "-c", "listen_addresses=*", "-c", "unix_socket_directories=/run/postgresql"]
"""
WATCHER = """
RUN install --directory --owner nobody /{folder}
USER nobody
ENTRYPOINT ["{program}"]
"""
WATCHERS = {  # the public image, the program in it, and Debian's programs
    "prom/prometheus": ("prometheus", "prometheus", "promtool"),
    "prom/alertmanager": ("alertmanager", "prometheus-alertmanager", "amtool"),
}
NOWHERE = "grafana"  # no package of it can be had, so it runs only where its image can be pulled
SECRETS = ("api_key", "slack_url", "smtp_password", "grafana_password", "retrain_token")
# What the public image's entrypoint does with the variables that compose.yaml sets.
START = """
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres
fi
exec "$@"
"""


@dataclass(frozen=True)
class Stack:
    """A running stack: `front` is where the proxy listens, `services` are those that run."""

    front: str
    project: str
    environment: dict[str, str]
    services: tuple[str, ...] = ()

    def port(self, name: str) -> str:
        """Where a part of the monitoring listens."""
        return f"127.0.0.1:{self.environment[f'{name.upper()}_PORT']}"

    def compose(self, *words: str, check: bool = True) -> str:
        """What a command of Compose says."""
        done = subprocess.run(
            [*compose_command(), "--file", str(FILE), "--project-name", self.project, *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) is check, output
        return output


def compose_command() -> list[str]:
    """Docker's plugin, else the older program, which newer engines do not answer."""
    docker = tool("docker")
    known = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    return [tool("docker-compose")] if known.returncode else [docker, "compose"]


@contextmanager
def running(engine: Engine, base: str, image: str, folder: Path) -> Iterator[Stack]:
    """The stack, up with `image`, and gone with its volumes after the block."""
    if "DOCKER_HOST" not in engine.environment and engine.private:
        missing("docker")
    services = {}
    for service, name in images().items():
        if "$" in name or ensure(engine, name, base, folder):
            services[service] = name
    port = free_port()
    environment = {
        **engine.environment,
        "CREDIT_PD_IMAGE": image,
        "CREDIT_PD_API_KEYS": sha256(KEY.encode()).hexdigest(),
        "POSTGRES_PASSWORD": "it's a secret/?@",
        "WRITER_PASSWORD": "another secret/?@'",
        "SIGNER_PASSWORD": "a third secret/?@'",
        "AUDITOR_PASSWORD": "a fourth secret/?@'",
        "ERASER_PASSWORD": "a fifth secret/?@'",
        "MONITOR_PASSWORD": "a sixth secret/?@'",
        "PORT": str(port),
        "SECRETS": str(secrets(folder / "secrets")),
        **{f"{name}_PORT": str(free_port()) for name in ("PROMETHEUS", "ALERTMANAGER", "GRAFANA")},
    }
    stack = Stack(f"127.0.0.1:{port}", f"stack{port}", environment, tuple(services))
    try:
        stack.compose("up", "--detach", *services)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")


def images() -> dict[str, str]:
    """The image of each service."""
    services = yaml.safe_load(FILE.read_text())["services"]
    return {name: service["image"] for name, service in services.items()}


def secrets(folder: Path) -> Path:
    """A folder with every secret of the stack."""
    folder.mkdir(mode=0o700)
    for name in SECRETS:
        (folder / name).write_text(
            {"api_key": KEY, "slack_url": "http://127.0.0.1:9"}.get(name, "")
        )
    for name, signature_type in (("log", LOG), ("witness_a", WITNESS), ("witness_b", WITNESS)):
        signer = Signer.generate(f"{name}.example", signature_type)
        signer.save(folder / f"{name}_key")
        (folder / f"{name}_key").chmod(0o644)
        (folder / f"{name}_key.pub").write_text(public_line(signer.key))
    return folder


def ensure(engine: Engine, name: str, base: str, folder: Path) -> bool:
    """Have the image `name`: as it is there, else pulled, else a stand-in with host's programs."""
    if engine.run("images", "--quiet", name):
        return True
    engine.run("pull", name, check=False)
    if engine.run("images", "--quiet", name):
        return True
    if name.startswith(NOWHERE):
        return False
    if not engine.private:
        missing(f"the image {name}, and only a private engine gets a stand-in,")
    stand_in(engine, name, base, folder / name.partition(":")[0])
    return True


def stand_in(engine: Engine, name: str, base: str, context: Path) -> None:
    """Build an image of the host's own programs."""
    context.mkdir(parents=True)
    public = name.partition(":")[0]
    if public == "haproxy":
        copy(context, [Path(tool("haproxy"))])
        recipe = PROXY
    elif public in WATCHERS:
        folder, program, companion = WATCHERS[public]
        templates = Path("/usr/share/prometheus")
        copy(context, [Path(tool(program)), Path(tool(companion)), templates])
        recipe = WATCHER.format(folder=folder, program=program)
    else:
        binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        if binaries is None:
            missing("PostgreSQL")
        version = binaries.parent.name
        copy(
            context,
            [
                binaries,
                Path(f"/usr/lib/postgresql/{version}/lib"),
                Path(f"/usr/share/postgresql/{version}"),
            ],
        )
        recipe = DATABASE.format(binaries=binaries)
    (context / "root/start").write_text(START)
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY root /\n{recipe}")
    engine.run("build", "--quiet", "--tag", name, str(context))


def copy(context: Path, paths: Sequence[Path]) -> None:
    """Put files and folders, with the libraries that they need, below `context`/root."""
    for path in paths:
        target = context / "root" / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy(path, target)
    programs = [p for path in paths for p in ([path] if path.is_file() else path.rglob("*"))]
    for library in sorted(libraries(programs)):
        target = context / "root" / library.parent.resolve().relative_to("/") / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def libraries(programs: Sequence[Path]) -> set[Path]:
    """Shared libraries that programs load, the C library and its loader left out."""
    words = [
        str(path)
        for path in programs
        if (path.is_file() and os.access(path, os.X_OK)) or path.suffix == ".so"
    ]
    output = subprocess.run(["ldd", *words], capture_output=True, text=True, check=False).stdout
    needed = {Path(path) for path in re.findall(r"=> (/\S+)", output)}
    return {path for path in needed if not re.match(r"lib(c|m|dl|pthread|rt)\.so", path.name)}

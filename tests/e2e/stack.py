"""The stack of service/compose.yaml, with stand-ins where its public images cannot be pulled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from .engine import Engine
from .processes import ROOT, free_port, missing, tool

FILE = ROOT / "service/compose.yaml"
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
    """A running stack: `front` is where the proxy listens."""

    front: str
    project: str
    environment: dict[str, str]

    def compose(self, *words: str, check: bool = True) -> str:
        """What a command of docker-compose says."""
        done = subprocess.run(
            [tool("docker-compose"), "--file", str(FILE), "--project-name", self.project, *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) is check, said
        return said


@contextmanager
def running(engine: Engine, base: str, image: str, folder: Path) -> Iterator[Stack]:
    """The stack, up with `image`, and gone with its volumes after the block."""
    if "DOCKER_HOST" not in engine.environment and engine.private:
        missing("docker")
    for name in public_images():
        ensure(engine, name, base, folder)
    port = free_port()
    environment = {
        **engine.environment,
        "CREDIT_PD_IMAGE": image,
        "CREDIT_PD_API_KEYS": "",
        "POSTGRES_PASSWORD": "it's a secret/?@",
        "PORT": str(port),
    }
    stack = Stack(f"127.0.0.1:{port}", f"stack{port}", environment)
    try:
        stack.compose("up", "--detach")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")


def public_images() -> list[str]:
    """The images of the stack that others made."""
    services = yaml.safe_load(FILE.read_text())["services"].values()
    return [each["image"] for each in services if "$" not in each["image"]]


def ensure(engine: Engine, name: str, base: str, folder: Path) -> None:
    """Have the image `name`: as it is there, else pulled, else a stand-in with host's programs."""
    if engine.run("images", "--quiet", name):
        return
    engine.run("pull", name, check=False)
    if engine.run("images", "--quiet", name):
        return
    if not engine.private:
        missing(f"the image {name}, and only a private engine gets a stand-in,")
    context = folder / name.partition(":")[0]
    context.mkdir()
    if name.startswith("haproxy:"):
        copy(context, [Path(tool("haproxy"))])
        recipe = PROXY
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
    said = subprocess.run(["ldd", *words], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"=> (/\S+)", said)}
    return {path for path in found if not re.match(r"lib(c|m|dl|pthread|rt)\.so", path.name)}

"""Real parts that live as long as the test run: container engine, base image, registry, S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .base_image import ensure_base_image
from .engine import Engine, container_engine
from .processes import answers, free_port, running, tool, wait_until
from .s3 import S3

REGISTRY_SETTINGS = """
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A container engine: the one that runs already, else a private one."""
    with container_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def base_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of the Python base image, present in the engine (a labelled stand-in if need be)."""
    return ensure_base_image(engine, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address, `127.0.0.1:port`, of an OCI registry of our own."""
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    settings = folder / "config.yml"
    settings.write_text(REGISTRY_SETTINGS.format(root=folder / "data", port=port))
    with running([tool("docker-registry"), "serve", str(settings)], folder / "log"):
        wait_until(lambda: answers(port), 30, "the start of the registry")
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3-compatible server, shared by the run; a test that kills it must start it again."""
    server = S3(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()

"""Real parts that live as long as the test run: container engine, base image, registry, S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .base_image import ensure_base_image
from .engine import Engine, container_engine
from .registry import Registry
from .s3 import S3


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
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An OCI registry of our own."""
    with Registry(tmp_path_factory.mktemp("registry") / "storage").running() as registry:
        yield registry


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3-compatible server, shared by the run; a test that kills it must start it again."""
    server = S3(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()

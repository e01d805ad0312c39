"""Fixtures of all tests, and one thread for each: the machine may be shared."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import pytest
from hypothesis import settings

from stages.models import artifact
from stages.models.artifact import Model
from tests.support.books import CANDIDATES, Project, book

pytest_plugins = ("tests.support.databases",)
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeatable")


# Whole runs of DVC: they begin first, so that no worker waits alone for them at the end.
LONGEST = ("test_experiments.py", "test_repro.py", "test_candidate_files.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, and all files that need a container engine to the same one."""
    with_engine = {
        item.path
        for item in items
        if item.path.parent.name == "e2e" and "engine" in getattr(item, "fixturenames", ())
    }
    for item in items:
        group = "engine" if item.path in with_engine else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path not in with_engine and item.path.name not in LONGEST)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small book of its own, raw."""
    return Project(tmp_path).write(book())


@pytest.fixture(scope="session")
def fitted_book(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small book with every candidate fitted; not to be changed."""
    written = Project(tmp_path_factory.mktemp("fitted")).write(book(2000, seed=5))
    return written.run("preprocess", "featurize", "search", *CANDIDATES)


@pytest.fixture(scope="session")
def models(fitted_book: Project) -> dict[str, Model]:
    """The fitted candidates, by name."""
    return {name: artifact.load(fitted_book.artifact(name)) for name in CANDIDATES}


@pytest.fixture(params=CANDIDATES)
def fitted(request: pytest.FixtureRequest, models: dict[str, Model]) -> Model:
    """Each fitted candidate in turn."""
    return models[request.param]

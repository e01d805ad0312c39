"""A service with a winner, a ledger of its own, and a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.api.handlers.api import Api
from service.ledger import Ledger
from tests.support.api_client import Client, client_of
from tests.support.books import Project
from tests.support.trained.winners import WORDED, crown, draw


@pytest.fixture(scope="module")
def root(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A winner whose contract has words; not to be changed."""
    folder = tmp_path_factory.mktemp("served")
    worded = Project(folder / "fitted", WORDED)
    for table in (fitted_book.data / "raw").iterdir():
        (worded.data / "raw").mkdir(exist_ok=True)
        (worded.data / "raw" / table.name).write_bytes(table.read_bytes())
    worded.run("preprocess", "featurize", "lightgbm")
    return crown(worded, "lightgbm", folder / "own", policy__refer_band=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path}/ledger/decisions.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def api(root: Path, ledger: Ledger) -> Api:
    built = Api(root, ledger, max_batch=5)
    built.state.load()
    assert built.state.engine, built.state.problem
    return built


@pytest.fixture
def client(api: Api) -> Client:
    return client_of(api)


@pytest.fixture
def case(api: Api) -> Callable[[str], dict[str, Any]]:
    """An application with a given decision."""
    assert api.state.engine
    applications = draw(api.state.engine.applications, 400)
    by_decision = {
        d.decision: a
        for a, d in zip(applications, api.state.engine.decide_rows(applications), strict=True)
    }
    return by_decision.__getitem__

"""Two small winners: the champion, and a challenger with its manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.books import Project
from tests.support.trained.challengers import write_manifest
from tests.support.trained.winners import crown


@pytest.fixture(scope="session")
def champion(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champion") / "own"
    return crown(fitted_book, "logistic", folder)


@pytest.fixture(scope="session")
def folder(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    challenger_folder = tmp_path_factory.mktemp("challenger") / "own"
    return write_manifest(
        crown(fitted_book, "scorecard", challenger_folder, policy__refer_band=0.4)
    )

"""The whole API, fuzzed from its own description: no 5xx, and nothing that it does not tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .served import Served, loan_book, other_book, serve

PHASES = "examples,coverage,fuzzing,stateful"
CASES = "40"
SEED = "20261121"
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=[loan_book, other_book])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with serve(request.param(tmp_path_factory.mktemp("fuzzed"))) as running:
        yield running


def test_whatever_is_sent_is_answered_as_described(served: Served) -> None:
    """All of schemathesis's checks but one: what is valid by its schema may contradict itself."""
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--phases", PHASES, "--max-examples", CASES, "--seed", SEED, "--no-color"]
    left_out = ["--exclude-checks", "positive_data_acceptance"]
    command = [program, "run", f"{served.url}docs.json", *options, *left_out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    count = sum(map(len, served.ask("GET", "docs.json")["paths"].values()))
    assert f"{count} selected / {count} total" in done.stdout


def test_what_was_recorded_meanwhile_are_decisions_that_are_made_again(served: Served) -> None:
    records = served.ask("GET", "logs", params={"limit": 200})["records"]
    assert len(records) > 10
    for record in records:
        again = served.ask("POST", "explain", json=record["application"])
        assert again["default_probability"] == record["default_probability"]

"""The real service on a small model of its own, as `bentoml serve` runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stages import evaluate, simulate
from stages.policy.decisions import DECISIONS
from stages.simulation import population
from tests.support.books import ROOT, Project, book

from .processes import free_port, stop, wait_until

START = 120  # seconds; libraries load slowly on a busy machine
SETTINGS = {
    "candidates": ["lightgbm"],
    "train__lightgbm__learning_rate": 0.3,
    "evaluate__golden": 400,
}


@dataclass(frozen=True)
class Served:
    """A running service: where it answers, and the records it was proven on."""

    url: str
    golden: tuple[dict[str, Any], ...]
    headers: Mapping[str, str]
    supervisor: subprocess.Popen[bytes]

    def case(self, decision: str) -> dict[str, Any]:
        """A recorded application that gets this decision, without what it lacks."""
        policy = self.ask("GET", "model-info")["policy"]
        cuts = 0.0, policy["approve_below"], policy["decline_from"], 1.0
        place = DECISIONS.index(decision)
        low, high = cuts[place : place + 2]
        record = next(r for r in self.golden if low <= r["default_probability"] < high)
        return {name: value for name, value in record["application"].items() if value is not None}

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that the service answers to a request that must succeed."""
        answer = httpx.request(method, f"{self.url}{path}", headers=self.headers, **options)
        return answer.raise_for_status().json()

    def count(self) -> int:
        """How many decisions the ledger has, up to 200."""
        return len(self.ask("GET", "logs", params={"limit": 200})["records"])


def loan_book(folder: Path) -> Path:
    """A trained project on a few rows of the simulated book, with its own contract."""
    contract = (ROOT / "data/loan_book/contract.yaml").read_text()
    tables = simulate.book(population.draw(4000, 3), 3)
    return trained(Project(folder, contract, **SETTINGS).write(tables))


def other_book(folder: Path, **changes: Any) -> Path:
    """A trained project on a contract with bare names, codes and Y/N for booleans."""
    return trained(Project(folder, **SETTINGS | changes).write(book(1200, seed=8)))


def trained(project: Project) -> Path:
    """Run the stages up to the winner; gives the project's folder."""
    project.run("preprocess", "featurize", "lightgbm")
    with contextlib.chdir(project.folder):
        evaluate.main()
    return project.folder


@contextlib.contextmanager
def serve(folder: Path, key: str = "", **environment: str) -> Iterator[Served]:
    """Serve the project with the repository's code until the context ends.

    `{url}` in a value of the environment becomes the address of the service.
    """
    for package in ("service", "stages"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored, dirs_exist_ok=True)
    port, bentoml = free_port(), Path(sys.executable).with_name("bentoml")
    command = [bentoml, "serve", "service.service:CreditPD", "--host", "127.0.0.1"]
    own_environment = {
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "DATABASE_URL": f"sqlite:///{folder}/ledger.db",
        "OMP_NUM_THREADS": "1",
        **{n: text.replace("{url}", f"http://127.0.0.1:{port}") for n, text in environment.items()},
    }
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=os.environ | own_environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until(lambda: ready(url, process), START, "the service's readiness")
        lines = (folder / "models/golden.jsonl").read_text().splitlines()
        headers = {"x-api-key": key} if key else {}
        yield Served(url, tuple(json.loads(line) for line in lines), headers, process)
    finally:
        stop(process)


def ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether decisions are made now; raises ChildProcessError when the service has ended."""
    if process.poll() is not None:
        raise ChildProcessError(f"the service ended with {process.returncode}: see service.log")
    try:
        return httpx.get(f"{url}readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False

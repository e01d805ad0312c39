"""Change one operator, number or statement of a module at a time, and see whether tests notice.

    python -m benches.judging.mutations stages.metrics.intervals --most 40

Draws the changes at random (`--seed`) and runs for each, in a fork, the tests that reach its line,
the quickest first. Prints every change that no test noticed, and how many there were: each is a
hole in the tests, or changes nothing that the module promises. The tests of `stages.a.b` are
those of `tests/stages/a/test_b.py`, or those that `TESTS` names.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from types import CodeType, FrameType
from typing import Any
from unittest import mock

import hypothesis  # noqa: F401  (what a fork need not import again)
import joblib  # noqa: F401
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import sklearn.linear_model  # noqa: F401

from benches.judging.mutants import mutant, sites

PLUGINS = ("xdist", "pytest_timeout", "_hypothesis_pytestplugin")
METRICS, JUDGING = "tests/stages/metrics/", "tests/stages/judging/"
TESTS = {
    "stages.metrics.intervals": [METRICS + "test_intervals.py", METRICS + "test_clusters.py"],
    "stages.metrics.ranked_rows": [METRICS + "test_ranked_rows.py", METRICS + "test_metrics.py"],
    "stages.metrics.metrics": [METRICS + "test_metrics.py", METRICS + "test_intervals.py"],
    "stages.metrics.weighted_metrics": [METRICS + "test_metrics.py", METRICS + "test_intervals.py"],
    "stages.metrics.ratio_intervals": [METRICS + "test_rate_intervals.py", METRICS],
    "stages.metrics.recalibration": [METRICS + "test_metrics.py", METRICS],
    "stages.judging.monotone_lines": [JUDGING + "test_monotone.py", JUDGING + "test_blending.py"],
    "stages.judging.monotone_proof": [JUDGING + "test_monotone_proof.py"],
    "stages.judging.monotone": [JUDGING + "test_monotone.py", "tests/stages/test_evaluate.py"],
    "stages.judging.predictions": [JUDGING, "tests/stages/test_evaluate.py"],
    "stages.judging.evaluation": [
        JUDGING + "test_evaluation.py",
        "tests/stages/models/test_glass_box.py",
    ],
    "stages.judging.rows": [JUDGING, "tests/stages/test_evaluate.py"],
    "stages.plots.ranking": ["tests/stages/tools/test_plots.py"],
    "stages.plots.probabilities": ["tests/stages/tools/test_plots.py"],
    "stages.plots.roc": ["tests/stages/tools/test_plots.py"],
    "stages.preparation.splits": ["tests/stages/preparation", "tests/stages/test_preprocess.py"],
    "stages.models.fitting.folds": ["tests/stages/models/fitting/test_folds.py"],
    "stages.models.fitting.resampling": ["tests/stages/models/fitting/test_resampling.py"],
}


@dataclass
class Reached:
    """A plugin of pytest: which lines of a file each test reaches, and how long the test takes.

    What a fixture reaches that several tests share counts for every test.
    """

    path: str
    lines: dict[str, set[int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)

    def record(self, into: set[int]) -> None:
        """Record the lines that are reached from now on."""

        def local(frame: FrameType, event: str, _: object) -> Any:
            into.add(frame.f_lineno)
            return local

        def enter(frame: FrameType, event: str, _: object) -> Any:
            return local if frame.f_code.co_filename == self.path else None

        sys.settrace(enter)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        """Record what the fixtures of a test reach."""
        self.record(self.shared)
        yield
        sys.settrace(None)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Record what a test reaches."""
        since = perf_counter()
        self.record(self.lines.setdefault(item.nodeid, set()))
        yield
        sys.settrace(None)
        self.seconds[item.nodeid] = perf_counter() - since

    def tests_of(self, line: int) -> list[str]:
        """Return the tests that reach a line, the quickest first; all for a line of the module."""
        reached = [n for n, lines in self.lines.items() if line in lines]
        if line in self.shared or not reached:
            reached = [*self.lines]
        return sorted(reached, key=self.seconds.__getitem__)


def fork(work: Callable[[], int], seconds: float) -> int:
    """Return the code that work ends with in another process; 99 after so many seconds."""
    child = os.fork()
    if not child:
        signal.alarm(int(seconds))
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        code = 98
        with contextlib.suppress(BaseException):
            code = work()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return 99 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def run_tests(tests: list[str], plugins: list[object]) -> int:
    """Run tests until the first that fails, and return pytest's code."""
    options = ["-x", "-q", "-p", "no:cacheprovider", *(f"-p{name}" for name in PLUGINS)]
    return int(pytest.main([*options, *tests], plugins=plugins))


def survey(path: Path, tests: list[str]) -> Reached:
    """Return what the tests reach of a file; raises RuntimeError where they fail."""
    reached = Reached(str(path.resolve()))
    with NamedTemporaryFile("r") as answer:

        def work() -> int:
            code = run_tests(tests, [reached])
            lines = {name: sorted(found) for name, found in reached.lines.items()}
            Path(answer.name).write_text(json.dumps([lines, reached.seconds, [*reached.shared]]))
            return code

        if code := fork(work, 1800):
            raise RuntimeError(f"the tests of {path} fail as they are (pytest ends with {code})")
        lines, reached.seconds, shared = json.load(answer)
    reached.lines = {name: set(found) for name, found in lines.items()}
    reached.shared = set(shared)
    return reached


def is_noticed(path: Path, changed: ast.Module, tests: list[str], seconds: float) -> bool:
    """Return whether any of the tests fails with the changed module."""
    whole, read = path.resolve(), SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if Path(str(loader.path)) == whole:
            return compile(changed, str(whole), "exec")
        return read(loader, name)

    def work() -> int:
        with mock.patch.object(SourceFileLoader, "get_code", get_code):
            return run_tests(tests, [])

    return fork(work, seconds) != 0


def examine(module: str, most: int, seed: int) -> str:
    """Print the changes of a module that no test noticed; return a line of how many there were."""
    path = Path(*module.split(".")).with_suffix(".py")
    mirror = Path("tests", *path.parts[:-1], f"test_{path.stem}.py")
    reached = survey(path, TESTS.get(module, [str(mirror)]))
    tree = ast.parse(path.read_text())
    every = sites(tree)
    drawn = random.Random(seed).sample(every, min(most, len(every)))  # noqa: S311
    survivors = 0
    for site in drawn:
        changed, line, words = mutant(tree, site)
        tests = reached.tests_of(line)
        allowed = 30 + 10 * sum(reached.seconds[name] for name in tests)
        if not is_noticed(path, changed, tests, allowed):
            survivors += 1
            print(f"  {path}:{line} {words}", flush=True)
    return f"{module}: {survivors} of {len(drawn)} survive, of {len(every)} possible changes"


def main() -> None:
    """Examine the modules that are named."""
    parser = argparse.ArgumentParser("python -m benches.judging.mutations", description=__doc__)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--most", type=int, default=40, help="changes of each module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for module in options.modules:
        print(examine(module, options.most, options.seed), flush=True)


if __name__ == "__main__":
    main()

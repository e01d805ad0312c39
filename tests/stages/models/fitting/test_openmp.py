"""OpenMP threads wait passively: the policy stands before any booster is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.books import ROOT

POLICY = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SCRIPT = """
import os, sys
import {module}
print(*(os.environ[name] for name in {policy}))
print(*({{"lightgbm", "xgboost", "sklearn"}} & {{*sys.modules}}))
"""


def printed_by(module: str, **environment: str) -> list[str]:
    """What a process prints that imports a module."""
    kept = {name: value for name, value in os.environ.items() if name not in POLICY}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=module, policy=POLICY)],
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\n")[:2]


@pytest.mark.parametrize(
    "module", ["stages.train", "stages.tune.__main__", "stages.evaluate", "service.decision.engine"]
)
def test_threads_wait_passively_before_any_booster_is_loaded(module: str) -> None:
    assert printed_by(module) == ["passive 0 0", ""]


def test_a_policy_that_the_environment_sets_stays() -> None:
    assert printed_by("stages.models", OMP_WAIT_POLICY="active")[0] == "active 0 0"

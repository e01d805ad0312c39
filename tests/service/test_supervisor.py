"""The supervisor of the workers replaces soon one that has ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.books import ROOT

MADE = """
from bentoml._internal.utils import circus
from service.service import CreditPD
CreditPD.inner.supervise()
supervisor = circus.create_standalone_arbiter([])
"""


@pytest.mark.parametrize(
    "claim",
    [
        "supervisor.check_delay <= 1",
        # Workers are being stopped: none is started, and nothing fails.
        "supervisor.stop_watchers().done() or supervisor.manage_watchers() is None",
    ],
)
def test_bentoml_supervises_by_one_that_looks_often(claim: str) -> None:
    """In a process of its own, as BentoML's packages warn when they are imported."""
    code = f"{MADE}\nassert {claim}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

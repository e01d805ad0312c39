"""Tools, ports, child processes and waiting, for the tests that need real parts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.ports import free_port

__all__ = ["free_port"]
ROOT = Path(__file__).parents[2]


def missing(part: str) -> NoReturn:
    """Skip the test that needs `part`; fail it where REQUIRE_REAL_PARTS=1 promises all parts."""
    if os.environ.get("REQUIRE_REAL_PARTS") == "1":
        pytest.fail(f"{part} is missing, and REQUIRE_REAL_PARTS=1", pytrace=False)
    pytest.skip(f"{part} is missing")


def tool(name: str) -> str:
    """Path of the program `name`, also where only root's PATH has it."""
    path = shutil.which(name, path=f"/usr/bin:/usr/sbin:{os.environ['PATH']}")
    return path or missing(f"the program {name}")


def answers(port: int) -> bool:
    """Whether somebody accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(happened: Callable[[], object], seconds: float, what: str) -> None:
    """Poll until `happened`; `TimeoutError` naming `what` after `seconds`."""
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not happen in {seconds:.0f} s")
        time.sleep(0.05)


def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` in the background, its output added to `log`; the caller stops it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """End one process that we started, first politely."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

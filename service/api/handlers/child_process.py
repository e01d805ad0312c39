"""Run a command of the project beside the service, and end it with the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STOP_TIMEOUT = 5.0  # seconds in which the process must end


class ChildProcess:
    """A Python module that runs as a process, and ends when its standard input is closed."""

    def __init__(self, root: Path, *arguments: str) -> None:
        """`root` is the folder of the project, `arguments` those of Python."""
        self.root, self.arguments = root, arguments
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start the process unless it runs; return whether an earlier one had ended."""
        if self.process and self.process.poll() is None:
            return False
        had_ended = self.process is not None
        command = [sys.executable, *self.arguments]
        environment = os.environ | {"PYTHONPATH": str(self.root)}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
        return had_ended

    def stop(self) -> None:
        """Stop the process if it runs."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

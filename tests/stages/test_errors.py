"""What a command does when it cannot go on: it ends with one message, or with none."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.books import ROOT


def test_a_reader_that_has_seen_enough_ends_a_command_silently() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "stages.summary"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")

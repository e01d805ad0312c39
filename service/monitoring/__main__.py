"""Judge every full window of decisions once: `python -m service.monitoring`.

By hand, or on a schedule. `--watch` goes on and waits until enough decisions are new: so the
service starts it, as a process of its own, whose life ends with the standard input that the service
holds open.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from stages import project


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m service.monitoring", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the project (%(default)s)")
    parser.add_argument(
        "--watch", action="store_true", help="go on until the standard input is closed"
    )
    return parser.parse_args()


def end_with_parent() -> None:
    """End this process when the one that holds its standard input ends, however it does.

    A pipe is closed by the kernel also for a parent that was killed, and before this one has
    begun to listen: no id is compared that may already be another's.
    """

    def listen() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(0)

    threading.Thread(target=listen, name="parent", daemon=True).start()


def main() -> None:
    """Judge once, or watch."""
    wish = options()
    if wish.watch:
        end_with_parent()
        os.nice(19)  # decisions first
    # Importing takes seconds; a parent that ends meanwhile must not leave this process behind.
    from service.monitoring import monitor  # noqa: PLC0415

    if wish.watch:
        monitor.watch(wish.root)
    else:
        monitor.judge_once(wish.root)


if __name__ == "__main__":
    project.enter()
    main()

"""Report once about every full window of decisions: `python -m service.monitoring`.

With `--watch` the command repeats this when enough decisions are new, until its standard input is
closed. The service starts it in this way and holds the standard input open.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from stages import project


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m service.monitoring", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the project (%(default)s)")
    parser.add_argument(
        "--watch", action="store_true", help="repeat until the standard input is closed"
    )
    return parser.parse_args()


def end_with_parent() -> None:
    """End this process when its parent, which holds its standard input open, has ended.

    The kernel closes the pipe of a parent that was killed, even before this process listens. A
    process id, by contrast, may already belong to another process.
    """

    def listen() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(0)

    threading.Thread(target=listen, name="parent", daemon=True).start()


def main() -> None:
    """Report once, or repeatedly with `--watch`."""
    options = parse_arguments()
    if options.watch:
        end_with_parent()
        os.nice(19)  # decisions have priority
    # These imports take seconds, in which the parent may end.
    from service.monitoring import monitor  # noqa: PLC0415

    if options.watch:
        monitor.watch(options.root)
    else:
        monitor.judge_once(options.root)


if __name__ == "__main__":
    project.enter()
    main()

"""Check the decision ledger, or make its tables.

Exit codes: 0 sound, 1 broken, 2 not possible.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from sqlalchemy import Engine

from service.ledger.database import LedgerUnavailable, database_url, open_engine
from service.ledger.entries import Head
from service.ledger.schema import migrate
from service.ledger.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        engine = open_engine(database_url(options.database))
        try:
            return _run(engine, options)
        finally:
            engine.dispose()
    except (LedgerUnavailable, ValueError) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 2


def _run(engine: Engine, options: argparse.Namespace) -> int:
    if options.command == "verify":
        return _verify(engine, options.expect_head)
    migrate(engine)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m service.ledger", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="instead of DATABASE_URL")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="walk the chain and find every change")
    check.add_argument(
        "--expect-head", type=_head, metavar="SEQ:HASH", help="a head printed by an earlier verify"
    )
    commands.add_parser("migrate", help="make or upgrade the tables")
    return parser


def _head(text: str) -> Head:
    sequence, _, digest = text.partition(":")
    if not (sequence.isdigit() and len(digest) == 64):
        raise argparse.ArgumentTypeError(f"must be SEQ:HASH as verify prints it; got {text!r}")
    return Head(int(sequence), digest)


def _verify(engine: Engine, expected: Head | None) -> int:
    verdict = verify(engine, expected, _Progress())
    for finding in verdict.findings:
        print(finding)
    if verdict.total > len(verdict.findings):
        print(f"and {verdict.total - len(verdict.findings)} more findings")
    state = "is broken" if verdict.total else "is sound"
    print(f"the chain of {verdict.head.sequence} entries {state}; head {verdict.head}")
    if not expected:
        print("a removed end shows only against a head kept elsewhere: --expect-head SEQ:HASH")
    return 1 if verdict.total else 0


class _Progress:
    """A line on the terminal, at most once a second."""

    def __init__(self) -> None:
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._shown >= 1:
            self._shown = time.monotonic()
            print(f"{done:,} of {total:,} entries ({done / max(total, done):.0%})", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

"""Check the decision ledger, replay a decision, or make its tables.

Exit codes: 0 sound or identical, 1 broken or different, 2 not possible.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from sqlalchemy import Engine

from service.ledger import reader
from service.ledger.database import LedgerUnavailable, database_url, open_engine
from service.ledger.entries import Head
from service.ledger.replay import Rescore, replay, rescore_with_engine
from service.ledger.schema import migrate
from service.ledger.verify import verify


def main(arguments: Sequence[str] | None = None, rescore: Rescore = rescore_with_engine) -> int:
    """Run one command; `rescore` scores the application of `replay`."""
    options = _parser().parse_args(arguments)
    try:
        engine = open_engine(database_url(options.database))
        try:
            return _run(engine, options, rescore)
        finally:
            engine.dispose()
    except (LedgerUnavailable, ValueError) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 2


def _run(engine: Engine, options: argparse.Namespace, rescore: Rescore) -> int:
    if options.command == "verify":
        return _verify(engine, options.expect_head)
    if options.command == "replay":
        return _replay(engine, options.id, rescore)
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
    again = commands.add_parser("replay", help="score a recorded application again and compare")
    again.add_argument("id", help="the prediction_id of the decision")
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


def _replay(engine: Engine, entry_id: str, rescore: Rescore) -> int:
    record = reader.get(engine, entry_id)
    if record is None:
        raise ValueError(f"no entry has the id {entry_id}")
    result = replay(record.entry, rescore)
    for difference in result.identities:
        print(f"identity differs: {difference}")
    for difference in result.answers:
        print(f"answer differs: {difference}")
    if result.answers and not result.identities:
        print("the answer differs although model, policy, data and image are the recorded ones")
    if not result.answers:
        print(f"{entry_id}: the answer is identical")
    return 1 if result.answers else 0


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

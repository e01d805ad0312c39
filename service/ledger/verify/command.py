"""The command `python -m service.ledger verify`."""

import argparse
import os
import sys
import time
from pathlib import Path

from sqlalchemy import Engine

from service.ledger.migrations.revisions import require_tables
from service.ledger.storage.checkpoint import write_durably
from service.ledger.storage.database import LedgerUnavailable
from service.ledger.storage.entries import Head
from service.ledger.verify import results
from service.ledger.verify.chain import verify
from stages import project

DAY = 86_400.0  # seconds
RETRY = 30.0  # seconds until the next attempt after a failure of the database


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the options of the command."""
    verifying = commands.add_parser("verify", help="check the whole chain for changes")
    verifying.add_argument(
        "--expect-head", type=_head, metavar="SEQ:HASH", help="a head printed by an earlier verify"
    )
    verifying.add_argument(
        "--resume",
        type=project.resolve,
        metavar="FILE",
        help="read only what follows the head in this file, and write the new head into it when "
        "the chain is sound; keep the file where the service cannot write",
    )
    verifying.add_argument(
        "--record",
        action="store_true",
        help="record the result in the database, for the metrics and alerts of the service",
    )
    verifying.add_argument(
        "--every", type=float, metavar="SECONDS", help="verify again and again until stopped"
    )
    verifying.add_argument(
        "--whole-every",
        type=float,
        metavar="SECONDS",
        default=DAY,
        help="with --every and --resume: read the whole ledger at the start, and again so often, "
        "since only that finds a change in an old entry (default: once a day)",
    )
    verifying.add_argument(
        "--processes",
        type=int,
        choices=range(1, 65),
        metavar="N",
        default=min(os.cpu_count() or 1, 8),
        help="number of processes that read the chain; default: one per core, up to 8",
    )


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Verify the ledger and print what was found; return 1 where it is broken.

    With `--every` it goes on, also after a failure of the database and where the ledger is broken.
    """
    if not options.every:
        return verify_once(engine, options)
    whole_until = float("-inf")  # until when a sound verification of the whole ledger suffices
    while True:
        pause, start = options.every, time.monotonic()
        is_whole = start >= whole_until
        try:
            if verify_once(engine, options, is_whole):
                whole_until = float("-inf")
            elif is_whole:
                whole_until = start + options.whole_every
        except LedgerUnavailable as error:
            print(f"ledger: {error}", file=sys.stderr)
            pause = min(pause, RETRY)
        sys.stdout.flush()
        time.sleep(pause)


def verify_once(engine: Engine, options: argparse.Namespace, is_whole: bool = False) -> int:
    """Verify the ledger and print what was found; return 1 where it is broken.

    A whole ledger is read where nothing says what was verified before, and after findings: a
    verification that does not read what was changed must not say that the ledger is sound again.
    """
    expected, resume = options.expect_head, options.resume
    since = _read_head(resume) if resume and resume.exists() else None
    if is_whole or (options.record and _was_broken(engine)):
        since, expected = None, expected or since
    try:
        verdict = verify(engine, expected, _Progress(), since, options.processes)
    except LedgerUnavailable:
        require_tables(engine)  # says what to do where the schema is too old
        raise
    if options.record:
        results.record(engine, verdict.head, verdict.total)
    for finding in verdict.findings:
        print(finding)
    if verdict.total > len(verdict.findings):
        print(f"and {verdict.total - len(verdict.findings)} more findings")
    state = "is broken" if verdict.total else "is sound"
    print(f"the chain of {verdict.head.sequence} entries {state}; head {verdict.head}")
    if verdict.erased:
        print(f"the personal parts of {verdict.erased} entries were erased, as entries state")
    for part in verdict.unread:
        print(f"the {part} parts were not checked: the account may not read them")
    if since:
        print(f"{since.sequence} of them were verified before and not read again")
    if resume and not verdict.total:
        write_durably(resume, f"{verdict.head}\n")
    if not expected and not since:
        print("a removed end is found only by a head kept elsewhere: --expect-head SEQ:HASH")
    return 1 if verdict.total else 0


def _was_broken(engine: Engine) -> bool:
    result = results.newest(engine)
    return result is not None and result.findings > 0


def _read_head(file: Path) -> Head:
    try:
        return _head(file.read_text().strip())
    except (OSError, argparse.ArgumentTypeError) as error:
        raise ValueError(f"--resume: {file} holds no head of a ledger: {error}") from error


def _head(text: str) -> Head:
    sequence, _, digest = text.partition(":")
    if not (sequence.isdigit() and len(digest) == 64):
        raise argparse.ArgumentTypeError(f"must be SEQ:HASH as verify prints it; got {text!r}")
    return Head(int(sequence), digest)


class _Progress:
    """Prints the number of verified entries, at most once a second."""

    def __init__(self) -> None:
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._shown >= 1:
            self._shown = time.monotonic()
            print(f"{done:,} of {total:,} entries ({done / max(total, done):.0%})", file=sys.stderr)

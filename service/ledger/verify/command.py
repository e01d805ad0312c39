"""The command `python -m service.ledger verify`."""

import argparse
import os
import sys
import time
from pathlib import Path

from sqlalchemy import Engine

from service.ledger.checkpoint import write_durably
from service.ledger.database import LedgerUnavailable
from service.ledger.entries import Head
from service.ledger.verify import results
from service.ledger.verify.chain import verify
from stages import project

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
        "--processes",
        type=int,
        choices=range(1, 65),
        metavar="N",
        default=min(os.cpu_count() or 1, 8),
        help="read the chain in so many processes; as many as the machine has cores, up to 8",
    )


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Verify the ledger and print what was found; return 1 where it is broken.

    With `--every` it goes on, also after a failure of the database and where the ledger is broken.
    """
    while options.every:
        pause = options.every
        try:
            verify_once(engine, options)
        except LedgerUnavailable as error:
            print(f"ledger: {error}", file=sys.stderr)
            pause = min(pause, RETRY)
        sys.stdout.flush()
        time.sleep(pause)
    return verify_once(engine, options)


def verify_once(engine: Engine, options: argparse.Namespace) -> int:
    """Verify the ledger and print what was found; return 1 where it is broken."""
    expected, resume = options.expect_head, options.resume
    since = _read_head(resume) if resume and resume.exists() else None
    verdict = verify(engine, expected, _Progress(), since, options.processes)
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

"""Score the decisions that wait for a challenger, once or for ever."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from service.decision.hashes import NotReady
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database_file import require_file
from service.shadow import challenger, records

BATCH = 100  # scores of one transaction, during which no decision can be recorded
PAUSE = 1.0  # seconds between two looks for new decisions
REST = 2  # a pause lasts at least this many times the CPU time before it: decisions have priority


class Shadow:
    """A challenger beside the ledger of the champion; `last` is the decision scored last."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        records.require_index(ledger.engine)
        self.engine = challenger.load(folder)
        self.ledger = ledger
        ledger.keep_policy(*self.engine.policy_record)
        self.last = records.last_scored(ledger, self.engine.identity)

    def score_next(self) -> int:
        """Score up to BATCH decisions that wait, and return how many were read.

        A score that another process has recorded meanwhile is left out.
        """
        decisions = records.unscored_decisions(self.ledger, self.last, BATCH)
        if decisions:
            scores = challenger.score(self.engine, decisions)
            records.record(self.ledger, scores, self.engine.identity)
            self.last = decisions[-1].sequence
        return len(decisions)


def watch(folder: Path) -> None:
    """Score decisions for ever as they come, also after errors of the database or the model."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    shadow: Shadow | None = None
    while True:
        since, read = time.process_time(), 0
        try:
            shadow = shadow or Shadow(folder, ledger)
            read = shadow.score_next()
        except (LedgerUnavailable, NotReady) as error:
            print(f"shadow: {error}", file=sys.stderr, flush=True)
        rest = REST * (time.process_time() - since)
        time.sleep(rest if read == BATCH else max(PAUSE, rest))


def score_once(folder: Path) -> int:
    """Score every decision that waits, and return how many there were; raises NotReady."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    try:
        require_file(ledger.engine.url)
        shadow, scored = Shadow(folder, ledger), 0
        while read := shadow.score_next():
            scored += read
        return scored
    finally:
        ledger.close()

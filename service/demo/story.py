"""The chapters of the story, and the narrator who says what the monitor reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy.engine import make_url

from service.ledger import LedgerUnavailable
from service.ledger.storage.database import open_engine
from service.monitoring.reports import Reports

Say = Callable[[str], None]
LOOK = 1.0  # seconds between two looks at the reports


class Chapter(NamedTuple):
    """A part of the story: what happens, for how many seconds, and the options of the traffic."""

    words: str
    seconds: int
    options: tuple[str, ...] = ()


CHAPTERS = (
    Chapter("The applications look like the training data.", 25),
    Chapter("The feed of incomes breaks: every income is halved.", 30, ("--drift", "income=0.5")),
    Chapter(
        "The feed is mended, and the first outcomes come: half of the loans go bad at a rate of "
        "25 %, whatever the model said.",
        50,
        ("--outcomes", "--surprise", "0.5"),
    ),
)


class Narrator:
    """Says what is new in the reports: what moved, why, what it will cost and what it did cost."""

    def __init__(self, say: Say) -> None:
        self.say, self.last = say, 0
        self.advice: dict[int, str] = {}
        self.realised = 0

    def tell(self, reports: list[dict[str, Any]]) -> None:
        """Say what these reports, oldest first, say that earlier ones did not."""
        for report in reports:
            self.last = report["id"]
            self._tell_advice(report)
            self._tell_outcomes(report)

    def _tell_advice(self, report: dict[str, Any]) -> None:
        what = report["advice"].partition(":")[0]  # the figures after it change all the time
        if self.advice.get(report["window"]) == what:
            return
        self.advice[report["window"]] = what
        self.say(f"{report['loudest']:<9} last {report['window']:,} decisions: {report['advice']}")
        approved = report["decisions"]["approve"] / report["window"]
        bad = report["expected"]["approved_bad_rate"]
        expected = "" if bad["value"] is None else f", and {bad['value']:.1%} of these to go bad"
        self.say(f"estimated {approved:.0%} approved{expected}")

    def _tell_outcomes(self, report: dict[str, Any]) -> None:
        facts = report.get("realised") or {}
        found = [f["words"] for f in report["findings"] if f["rule"] == "realised"]
        if not facts.get("mature") or not found or self.realised:
            return
        self.realised = facts["mature"]
        whole, profit = facts["all"], facts["profit"]
        self.say(
            f"realised  {whole['bad_rate']:.1%} of {facts['mature']:,} loans went bad, "
            f"{whole['mean_pd']:.1%} expected; ROC-AUC {found[0]}"
        )
        if profit["realised"] is not None:
            self.say(
                f"realised  {profit['realised']:+.3f} earned on a unit lent, "
                f"{profit['expected']:+.3f} expected"
            )


@contextmanager
def narrate(url: str, say: Say) -> Iterator[Narrator]:
    """Follow the reports of the ledger at `url` until the end of the block."""
    narrator, ended = Narrator(say), threading.Event()
    reports = Reports(open_engine(make_url(url)))

    def follow() -> None:
        while not ended.wait(LOOK):
            try:
                narrator.tell(reports.recent(20, after=narrator.last)[::-1])
            except LedgerUnavailable:  # it is busy, or has no tables yet
                continue

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield narrator
    finally:
        ended.set()
        thread.join()
        reports.engine.dispose()

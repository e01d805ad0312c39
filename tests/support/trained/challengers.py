"""Two small winners, one of them a challenger with its manifest, and decisions of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from service.decision import hashes
from service.decision.engine import Engine
from service.ledger import Entry, Ledger, draft
from service.shadow.scoring import Shadow
from tests.support.trained.winners import draw


def write_manifest(folder: Path) -> Path:
    """State the hashes of the winner's files, as `pack` does."""
    (folder / "models/evaluation.json").write_text("{}")
    contents = {path: (folder / path).read_bytes() for path in hashes.FILES}
    (folder / hashes.MANIFEST).write_text(hashes.manifest(contents))
    return folder


def decide(
    ledger: Ledger,
    root: Path,
    count: int = 60,
    seed: int = 1,
    references: Sequence[str] | None = None,
) -> list[Entry]:
    """Record decisions of the champion as the service does, with the references of their cases."""
    engine = Engine.load(root)
    ledger.prepare()
    ledger.keep_policy(*engine.policy_record)
    applications = draw(engine.applications, count, seed)
    answers = engine.decide_rows(applications)
    drafts = [
        draft(
            "decision",
            asdict(answer)
            | {"application": application | {"sex": "FM"[number % 2]}}
            | ({"reference": references[number]} if references else {}),
            protected=("sex",),
        )
        for number, (application, answer) in enumerate(zip(applications, answers, strict=True))
    ]
    return ledger.append_many(drafts)


def scores(ledger: Ledger) -> list[Entry]:
    return [entry for entry in ledger.after(0, 10_000) if entry.kind == "shadow"]


def score_all(shadow: Shadow) -> None:
    while shadow.score_next():
        pass

"""Score a recorded decision again and print what differs: `python -m service.replay ID`.

Exit codes: 0 the answer is identical, 1 it differs, 2 the decision could not be scored again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import EntryHistory, Ledger, LedgerUnavailable
from service.ledger.database import database_url, require_file
from service.ledger.entries import ANSWER, Entry, canonical
from service.ledger.personal.tables import read_protected
from stages import project

Rescore = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A function that maps an application to its `default_probability`, `credit_score`, `rating`,
`decision`, `reasons` and `identity`, in the form in which the service records them."""


class Difference(NamedTuple):
    """A recorded value and the different value of today."""

    name: str
    recorded: object
    replayed: object

    def __str__(self) -> str:
        return f"{self.name}: recorded {_as_text(self.recorded)}, now {_as_text(self.replayed)}"


class Replay(NamedTuple):
    """The differences between a recorded decision and a new one about the same application."""

    answers: list[Difference]
    identities: list[Difference]


def replay(entry: Entry, rescore: Rescore, protected: Mapping[str, Any] | None = None) -> Replay:
    """Return what differs when the application of a recorded decision is scored again.

    `protected` are its fields that are recorded apart. Numbers must agree to the last bit. Raises
    ValueError when the entry is not a decision, and when it was erased.
    """
    if entry.kind != "decision":
        article = "an" if entry.kind.startswith(("o", "i")) else "a"
        raise ValueError(
            f"{entry.id}: only a decision can be replayed; it is {article} {entry.kind}"
        )
    recorded = entry.content
    if recorded.get("erased"):
        raise ValueError(f"{entry.id} was erased: its application cannot be scored again")
    application = {**recorded["application"], **(protected or {})}
    again = json.loads(canonical(dict(rescore(application))))
    answers = _differences(ANSWER, recorded, again)
    then, now = recorded["identity"], again["identity"]
    return Replay(answers, _differences(sorted({*then, *now}), then, now))


def _differences(
    names: list[str] | tuple[str, ...], recorded: Mapping[str, Any], again: Mapping[str, Any]
) -> list[Difference]:
    pairs = [Difference(name, recorded.get(name), again.get(name)) for name in names]
    return [pair for pair in pairs if pair.recorded != pair.replayed]


def _as_text(value: object) -> str:
    return "nothing" if value is None else canonical(value)


def rescore(application: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the winner in this folder to an application, with its identity.

    Raises NotReady when there is no winner, and ValueError when it refuses the application.
    """
    decision = Engine.load().decide(application)
    return {name: getattr(decision, name) for name in (*ANSWER, "identity")}


def main(arguments: Sequence[str] | None = None, rescore: Rescore = rescore) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser("python -m service.replay", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="instead of DATABASE_URL")
    parser.add_argument("id", help="the prediction_id of the decision")
    options = parser.parse_args(arguments)
    try:
        return compare(options.database, options.id, rescore)
    except (LedgerUnavailable, NotReady, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2


def compare(database: str | None, entry_id: str, rescore: Rescore) -> int:
    """Print how a recorded decision differs from the present one, and return 1 if the answer does.

    Raises ValueError when no entry has this id.
    """
    require_file(database_url(database))
    ledger = Ledger(database)
    try:
        record = ledger.get(entry_id)
        sequence = [record.entry.sequence] if record else []
        protected = read_protected(ledger.engine, sequence)
    finally:
        ledger.close()
    if record is None:
        raise ValueError(f"no entry has the id {entry_id}")
    apart = json.loads(protected.get(record.entry.sequence, "{}"))
    result = replay(record.entry, rescore, apart)
    for difference in result.identities:
        print(f"identity differs: {difference}")
    print(f"policy of that time: {policy_in_words(record.policy)}")
    print(f"now: {standing(record)}")
    for difference in result.answers:
        print(f"answer differs: {difference}")
    if result.answers and not result.identities:
        print("the answer differs although model, policy, data and image are those recorded")
    if not result.answers:
        print(f"{entry_id}: the answer is identical")
    return 1 if result.answers else 0


def standing(record: EntryHistory) -> str:
    """Return what persons have decided about a recorded decision, on one line."""
    last = next((e for e in reversed(record.later) if e.kind == "override"), record.pending)
    if last is None:
        return "a person must decide" if record.entry.decision == "refer" else "no person decided"
    content = last.content
    words = f"{content['decision']} by {content['author']}"
    if last.kind == "proposal":
        return f"{words}, waiting for a second person"
    return f"{words}, approved by {content['approver']}" if "approver" in content else words


def policy_in_words(policy: dict[str, Any] | None) -> str:
    """Return what a recorded policy decided by, on one line."""
    if policy is None:
        return "it was not recorded"
    rules = [f"{rule['decision']} where {rule['rule']}" for rule in policy["rules"]]
    return "; ".join(
        (
            f"approve below a PD of {policy['approve_below']:.6g}",
            f"decline from {policy['decline_from']:.6g}",
            f"{policy['base_score']:g} points at odds of {policy['base_odds']:g} : 1",
            f"{policy['pdo']:g} points double the odds",
            *(rules or ["no rules"]),
        )
    )


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

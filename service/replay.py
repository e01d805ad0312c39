"""Score a recorded decision again and print what differs: `python -m service.replay ID`.

Exit codes: 0 the answer is identical, 1 it differs, 2 the decision could not be scored again.

Without an ID, and with `--policy FILE`, `-S KEY=VALUE` or `--rescore`, all recorded decisions are
made again under another policy, or by the PDs of the present winner; the table says what changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from service import ledger_replay
from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import EntryHistory, Ledger, LedgerUnavailable
from service.ledger.storage.database import database_url
from service.ledger.storage.database_file import require_file
from service.ledger.storage.entries import ANSWER, Entry, canonical
from service.ledger.storage.personal_tables import read_protected
from service.monitoring.realised_performance import maturity_days
from stages import params, project
from stages.replay import policy_file, table

Rescore = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A function that maps an application to its `default_probability`, `credit_score`, `rating`,
`decision`, `reasons` and `identity`, in the form in which the service records them."""


class ReplayDifference(NamedTuple):
    """A recorded value and the different value of today."""

    name: str
    recorded: object
    replayed: object

    def __str__(self) -> str:
        return f"{self.name}: recorded {_as_text(self.recorded)}, now {_as_text(self.replayed)}"


class Replay(NamedTuple):
    """The differences between a recorded decision and a new one about the same application."""

    answers: list[ReplayDifference]
    identities: list[ReplayDifference]


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
) -> list[ReplayDifference]:
    pairs = [ReplayDifference(name, recorded.get(name), again.get(name)) for name in names]
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
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m service.replay", description=__doc__, formatter_class=form
    )
    add = parser.add_argument
    add("--database", metavar="URL", help="instead of DATABASE_URL")
    add("--policy", metavar="FILE", help="YAML with the keys to change, or a section `policy`")
    add("-S", "--set", metavar="KEY=VALUE", action="append", default=[], help="change one key")
    add("--rescore", action="store_true", help="by the PDs of the present winner")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("id", nargs="?", help="the prediction_id of the decision")
    options = parser.parse_args(arguments)
    changed = bool(options.policy or options.set or options.rescore)
    if changed == bool(options.id):
        parser.error("state either the id of a decision, or --policy, -S or --rescore for all")
    try:
        if options.id:
            return compare(options.database, options.id, rescore)
        return replay_all(options)
    except (LedgerUnavailable, NotReady, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2


def replay_all(options: argparse.Namespace) -> int:
    """Print what a policy or the present winner would have changed about all decisions."""
    require_file(database_url(options.database))
    engine, config = Engine.load(), params.load(with_candidates=False)
    file = project.resolve(options.policy) if options.policy else None
    proposed = policy_file.read(config.policy, file, options.set)
    ledger = Ledger(options.database)
    try:
        content = ledger_replay.compare(
            ledger,
            engine,
            proposed,
            rescore=options.rescore,
            maturity=maturity_days(config.monitor),
            minimum=config.monitor.min_group,
        )
    finally:
        ledger.close()
    if options.json:
        print(json.dumps(content, indent=2, allow_nan=False))
        return 0
    print(f"ledger: {table.as_text(content)}\n")
    print(
        f"{content['reproduced']:,} decisions follow from their PD and the policy of their time; "
        f"{content['not_reproduced']:,} do not"
    )
    return 0


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
    print(f"now: {describe_overrides(record)}")
    for difference in result.answers:
        print(f"answer differs: {difference}")
    if result.answers and not result.identities:
        print("the answer differs although model, policy, data and image are those recorded")
    if not result.answers:
        print(f"{entry_id}: the answer is identical")
    return 1 if result.answers else 0


def describe_overrides(record: EntryHistory) -> str:
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

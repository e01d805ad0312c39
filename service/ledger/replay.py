"""Score the application of a recorded decision again, and compare the answers."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from service.ledger.entries import ANSWER, Entry, canonical

Rescore = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A function that maps an application to its `default_probability`, `credit_score`, `rating`,
`decision`, `reasons` and `identity`, in the form in which the service records them."""


class Difference(NamedTuple):
    """A recorded value and the different value of today."""

    name: str
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        return f"{self.name}: recorded {_as_text(self.recorded)}, now {_as_text(self.replayed)}"


class Replay(NamedTuple):
    """The differences between a recorded decision and a new one about the same application."""

    answers: list[Difference]
    identities: list[Difference]


def replay(entry: Entry, rescore: Rescore) -> Replay:
    """Return what differs when the application of a recorded decision is scored again.

    Numbers must agree to the last bit. Raises ValueError when the entry is not a decision.
    """
    if entry.kind != "decision":
        raise ValueError(f"{entry.id}: only a decision can be replayed; it is an {entry.kind}")
    recorded = entry.content
    again = json.loads(canonical(dict(rescore(recorded["application"]))))
    answers = _differences(ANSWER, recorded, again)
    then, now = recorded["identity"], again["identity"]
    return Replay(answers, _differences(sorted({*then, *now}), then, now))


def _differences(
    names: list[str] | tuple[str, ...], recorded: Mapping[str, Any], again: Mapping[str, Any]
) -> list[Difference]:
    pairs = [Difference(name, recorded.get(name), again.get(name)) for name in names]
    return [pair for pair in pairs if pair.recorded != pair.replayed]


def _as_text(value: Any) -> str:
    return "nothing" if value is None else canonical(value)

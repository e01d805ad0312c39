"""The seeded search for less discriminatory models, its log, and what it prefers.

Every trial follows from the seed, its number and the results of the trials before it, so that a
search can go on from its log, and a log can be written again, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from stages.fairness.trials import Trial, TrialRows
from stages.params import Params

STRENGTHS = (0.1, 10.0)
SEEDS = 4
Measure = Callable[[Trial], dict[str, Any]]


class ChangedLog(ValueError):
    """A log does not follow from its seed; the message says where."""


@dataclass(frozen=True)
class Result:
    """A trial with its measures on the validation rows."""

    number: int
    trial: Trial
    roc_auc: float
    profit: float
    disparity: float
    worst: str

    @property
    def line(self) -> str:
        """The line of the log."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, line: str) -> Result:
        """Return the result that a line of the log holds."""
        content = json.loads(line)
        stated = content.pop("trial")
        return cls(trial=Trial(**stated | {"left_out": tuple(stated["left_out"])}), **content)


@dataclass(frozen=True)
class Space:
    """What is searched; the first trials leave out one feature of the present winner each."""

    winner: str
    candidates: tuple[str, ...]
    features: tuple[str, ...]
    seed: int

    def propose(self, study: optuna.Study, number: int) -> tuple[Trial, optuna.trial.Trial]:
        """Return the trial of a number, and Optuna's."""
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + number)
        if number <= len(self.features):
            study.enqueue_trial(self.values_without(number))
        asked = study.ask()
        kept = {f: asked.suggest_categorical(f"keep {f}", [True, False]) for f in self.features}
        left_out = tuple(name for name, keep in kept.items() if not keep)
        trial = Trial(
            candidate=asked.suggest_categorical("candidate", self.candidates),
            left_out=left_out if len(left_out) < len(kept) else left_out[1:],
            strength=float(f"{asked.suggest_float('strength', *STRENGTHS, log=True):.3g}"),
            monotone=asked.suggest_categorical("monotone", [True, False]),
            seed=asked.suggest_int("seed", 0, SEEDS),
        )
        return (self.present if number == 0 else trial), asked

    @property
    def present(self) -> Trial:
        """The winner as params.yaml has it."""
        return Trial(self.winner)

    def values_without(self, number: int) -> dict[str, Any]:
        """Return Optuna's values for the winner, without the feature of a number."""
        kept = {f"keep {f}": place != number for place, f in enumerate(self.features, start=1)}
        same = {"candidate": self.winner, "strength": 1.0, "monotone": True, "seed": 0}
        return kept | same


def space_of(config: Params, book: TrialRows, winner: str) -> Space:
    """Return what is searched for a book."""
    candidates = tuple(config.candidates)
    start = winner if winner in candidates else candidates[0]
    return Space(start, candidates, book.features.names, config.train.seed)


def run(space: Space, trials: int, log: Path, measure: Measure) -> list[Result]:
    """Return the results of a search, which goes on from its log where there is one.

    Raises ChangedLog where a line of the log is not of the trial that follows from the seed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "maximize"])
    recorded = log.read_text().splitlines() if log.exists() else []
    results = []
    for number in range(trials):
        trial, asked = space.propose(study, number)
        if number < len(recorded):
            result = Result.read(recorded[number])
            if (result.number, result.trial) != (number, trial):
                raise ChangedLog(f"{log}: line {number + 1} does not follow from the seed")
        else:
            result = Result(number, trial, **measure(trial))
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                file.write(result.line + "\n")
        study.tell(asked, [result.disparity, result.roc_auc])
        results.append(result)
    return results


def fingerprint(space: Space, book: TrialRows) -> str:
    """Return a digest of what a search follows from: its space, the rows and the parameters."""
    stated = (space, book.config.train, book.config.evaluate, book.config.policy)
    digest = hashlib.sha256(repr(stated).encode())
    for part in (book.train.x, book.train.bad):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()[:16]


def frontier(results: Sequence[Result]) -> list[Result]:
    """Return the results to which no other is better in disparity, AUC and profit at once."""
    return [result for result in results if not any(beats(other, result) for other in results)]


def beats(one: Result, other: Result) -> bool:
    """Return whether a result is as good as another in everything, and better in something."""
    pairs = [(-r.disparity, r.roc_auc, r.profit) for r in (one, other)]
    return all(a >= b for a, b in zip(*pairs, strict=True)) and pairs[0] != pairs[1]


def prefer(results: Sequence[Result], auc_tolerance: float, profit_tolerance: float) -> Result:
    """Return the result with the least disparity that loses no more than the tolerances.

    They are against the first result, the present winner, which stays where none has less. Of other
    equals it is the one of higher AUC.
    """
    present = results[0]
    return min(
        select_within(results, auc_tolerance, profit_tolerance),
        key=lambda r: (r.disparity, r.number > 0, -r.roc_auc, r.number),
        default=present,
    )


def select_within(
    results: Sequence[Result], auc_tolerance: float, profit_tolerance: float
) -> Iterator[Result]:
    """Yield the results that lose no more than the tolerances against the first one."""
    for result in results:
        loss = results[0].roc_auc - result.roc_auc, results[0].profit - result.profit
        if loss[0] <= auc_tolerance and loss[1] <= profit_tolerance:
            yield result

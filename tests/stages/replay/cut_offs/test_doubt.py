"""Referral by doubt: the promised bad rate is kept, whatever the PDs are worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stages.features.matrix import Floats
from stages.replay.cut_offs import doubt
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows
from tests.stages.replay.test_comparison import policy

SAMPLES = 400
# The PD that a model states where the truth is x: right, too low, too high, and coarse.
MODELS: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda x: x,
    "optimistic": lambda x: x / 3,
    "pessimistic": np.sqrt,
    "coarse": lambda x: np.round(x, 1) + 0.01,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_promise_is_kept_in_at_least_95_percent_of_samples(name: str) -> None:
    rng, most = np.random.default_rng(11), 0.06
    population = rng.beta(1, 8, 200_000)
    pds = MODELS[name](population)
    order = np.argsort(pds, kind="stable")
    ranked, risk = pds[order], np.append(0.0, np.cumsum(population[order]))
    kept, approved = 0, []
    for _ in range(SAMPLES):
        truth = rng.beta(1, 8, 3000)
        bad = (rng.random(3000) < truth).astype(np.float64)
        chosen = doubt.promise(MODELS[name](truth), bad, most)
        count = 0 if chosen is None else int(np.searchsorted(ranked, chosen.approve_below))
        kept += risk[count] <= most * count
        approved.append(count / len(population))
    # Of 400 samples that keep it with probability 0.95, fewer than 371 do in one case of 100.
    assert kept >= 371
    best = int((np.cumsum(np.sort(population)) <= most * np.arange(1, 200_001)).sum())
    if name == "calibrated":  # and not by approving nobody: most of what the truth allows
        assert np.mean(approved) > 0.75 * best / len(population)


def test_whom_the_promise_does_not_reach_is_referred_and_not_declined() -> None:
    rng = np.random.default_rng(4)
    pd = rng.beta(1, 8, 5000)
    rows = ScoredRows(pd, (rng.random(5000) < pd).astype(np.float64))
    present = policy(cut_off=0.2)
    kept, chosen = doubt.refer_by_doubt(rows, present, 0.05)
    assert kept.approve_below < present.approve_below
    assert kept.bad_rate < kept.bound <= 0.05
    before, after = (p.decide(pd, {}) for p in (present, chosen))
    assert ((after == 0) == (pd < kept.approve_below)).all()
    assert ((after == 2) == (before == 2)).all()
    assert doubt.share_kept(rows, present, 0.05) >= 0.92
    assert "so that 5.00% can be promised" in doubt.explain(kept, chosen, 0.05, 0.97)


def test_a_promise_that_nothing_keeps_is_refused() -> None:
    rng = np.random.default_rng(5)
    rows = ScoredRows(rng.uniform(0.1, 0.9, 300), np.ones(300))
    with pytest.raises(ReplayError, match=r"a bad rate of 1.00% cannot be promised"):
        doubt.refer_by_doubt(rows, policy(), 0.01)

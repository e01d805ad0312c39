"""Replay a million decisions under another policy, and report the seconds."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from stages import params
from stages.replay import comparison
from stages.replay.comparison import Side
from stages.replay.scored_rows import ScoredRows

ROWS = 1_000_000


def draw(rows: int, seed: int) -> ScoredRows:
    """Return applications that default as their PDs say, of customers with about two loans."""
    rng = np.random.default_rng(seed)
    pd = rng.beta(1, 8, rows)
    return ScoredRows(
        pd=pd,
        bad=(rng.random(rows) < pd).astype(np.float64),
        features={"burden": rng.random(rows)},
        exposure=rng.lognormal(8, 0.6, rows),
        cluster=rng.integers(0, rows // 2, rows),
        groups={name: rng.choice(["A", "B", "C", "D"], rows) for name in ("sex", "age", "status")},
    )


def main() -> None:
    """Print the seconds of one replay, with all figures, intervals, swap set and groups."""
    rows, policy = draw(ROWS, 1), params.load(with_candidates=False).policy
    other = policy.model_copy(update={"refer_band": 0.3})
    since = perf_counter()
    comparison.compare(Side.decided_by(policy, rows), Side.decided_by(other, rows))
    print(f"{ROWS:,} decisions replayed under another policy in {perf_counter() - since:.1f} s")


if __name__ == "__main__":
    main()

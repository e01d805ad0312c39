"""The applications that a policy is replayed on: what a decision and its figures follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.metrics.clusters import Codes


@dataclass(frozen=True)
class ScoredRows:
    """Applications with their PDs, (n,) each.

    Attributes
    ----------
    features : the features by name, which hard rules read; {} where the policies have none.
    bad : 1 for a loan that went bad, 0 for a good one, NaN where the outcome is not known.
    exposure : the money at risk, None where no field says it.
    cluster : rows that go good or bad together, None where all are independent.
    groups : the group of each row for each protected attribute by name.
    lgd : the loss given default, None for that of the policy.
    exposure_share : the share of the exposure that is exposed at default, None for all of it.
    """

    pd: Floats
    bad: Floats
    features: Mapping[str, Floats] = field(default_factory=dict)
    exposure: Floats | None = None
    cluster: Codes | None = None
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    lgd: Floats | None = None
    exposure_share: Floats | None = None

    @property
    def rows(self) -> int:
        """The number of applications."""
        return len(self.pd)

    @property
    def has_outcome(self) -> NDArray[np.bool_]:
        """Whether the outcome of each row (n,) is known."""
        return np.isfinite(self.bad)

    @property
    def went_bad(self) -> NDArray[np.bool_]:
        """Whether each row (n,) is known to have gone bad."""
        return np.equal(self.bad, 1)

    def taking(self, place: NDArray[np.int64]) -> ScoredRows:
        """Return the rows at some places."""
        return ScoredRows(
            pd=self.pd[place],
            bad=self.bad[place],
            features={name: values[place] for name, values in self.features.items()},
            exposure=None if self.exposure is None else self.exposure[place],
            cluster=None if self.cluster is None else self.cluster[place],
            groups={name: labels[place] for name, labels in self.groups.items()},
        )

    @classmethod
    def concatenate(cls, parts: Sequence[ScoredRows]) -> ScoredRows:
        """Return the rows of several parts, as rows that are independent of one another."""
        first = parts[0]
        money = [part.exposure for part in parts if part.exposure is not None]
        return cls(
            pd=np.concatenate([part.pd for part in parts]),
            bad=np.concatenate([part.bad for part in parts]),
            features={n: np.concatenate([p.features[n] for p in parts]) for n in first.features},
            exposure=np.concatenate(money) if money else None,
            groups={n: np.concatenate([p.groups[n] for p in parts]) for n in first.groups},
        )

"""Whether the model that ships agrees with the one that was judged."""

from __future__ import annotations

from typing import NamedTuple

from scipy.stats import spearmanr

from stages.features.matrix import Floats
from stages.params import Refit


class Agreement(NamedTuple):
    """How two models agree on the same rows: Spearman's rank correlation, and their mean PDs."""

    rank_correlation: float
    mean_pd_judged: float
    mean_pd_refitted: float

    @classmethod
    def of(cls, judged: Floats, refitted: Floats) -> Agreement:
        """Compare the PDs (n,) of both."""
        ranks = float(spearmanr(judged, refitted).statistic)
        return cls(ranks, float(judged.mean()), float(refitted.mean()))

    def faults(self, config: Refit, *, anchored: bool = False) -> list[str]:
        """Return what is beyond the tolerances; an anchor moves the mean PD on purpose."""
        wrong, change = [], abs(self.mean_pd_refitted / self.mean_pd_judged - 1)
        if not self.rank_correlation >= config.min_rank_correlation:
            wrong.append(
                f"the rank correlation of their PDs is {self.rank_correlation:.4f}, and must be "
                f"at least {config.min_rank_correlation}"
            )
        if not anchored and not change <= config.max_mean_change:
            wrong.append(
                f"their mean PDs are {self.mean_pd_judged:.4f} and {self.mean_pd_refitted:.4f}, "
                f"and must differ by at most {config.max_mean_change:.0%}"
            )
        return wrong

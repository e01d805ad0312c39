"""Compare champion and challenger on the rows that both were tested on."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import pandas as pd

from release.gate import predictions
from release.gate.limits import FIGURES
from release.gate.predictions import Predictions
from stages.judging.evaluation import Judged
from stages.metrics import intervals
from stages.metrics.delong import DeLong, compare_aucs
from stages.metrics.intervals import Draws
from stages.metrics.rate_intervals import Interval
from stages.policy.decisions import Policy

POWER = 0.8
RESAMPLES, SEED = intervals.RESAMPLES, 0  # not a parameter: a change must not choose its own noise


@dataclass(frozen=True)
class Difference:
    """A figure of both sides, and challenger minus champion with its 95 % interval."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float

    def loss(self, *, higher: bool) -> float:
        """Return by how much the challenger is worse; negative where it is better."""
        return -self.difference if higher else self.difference

    def losses(self, *, higher: bool) -> tuple[float, float]:
        """Return the least and the most that the challenger loses, by the 95 % interval."""
        return (-self.high, -self.low) if higher else (self.low, self.high)

    @property
    def detectable(self) -> float:
        """The loss that a comparison as precise as this one shows with a power of 80 %."""
        z = NormalDist().inv_cdf
        return (self.high - self.low) / (2 * z(0.975)) * (z(0.975) + z(POWER))


@dataclass(frozen=True)
class PairedRows:
    """Both sides on their common test rows, in the same order."""

    champion: Judged
    challenger: Judged
    groups: pd.DataFrame  # the head's test rows that are common, with their group_ columns
    share: float  # of the common rows in the larger of the two sides' test rows
    moved: int  # loans of both sides whose outcome or date changed, left out
    edited: int  # loans of both sides whose fields changed, left out

    @property
    def rows(self) -> int:
        """Return how many rows are common."""
        return len(self.challenger.bad)


def pair(champion: Predictions, challenger: Predictions, *, same_fields: bool) -> PairedRows:
    """Join the test rows by the key of their loan; a loan that changed is not common.

    A book without a key is joined by the fields of its rows, and one whose predictions are older
    than both by the number of the row. `same_fields` says that both sides have the same fields, so
    that a difference is one of the data.
    """
    old, new = champion.split("test"), challenger.split("test")
    keys = identity(old, new, same_fields=same_fields)
    old, new = (number_rows(rows, keys) for rows in (old, new))
    both = new.merge(old, on=keys, suffixes=("", "_champion"), validate="1:1")
    dates = both["date"].astype("datetime64[s]"), both["date_champion"].astype("datetime64[s]")
    undated = dates[0].isna() & dates[1].isna()
    same = (both["bad"] == both["bad_champion"]) & ((dates[0] == dates[1]) | undated)
    edited = pd.Series(False, index=both.index)
    if same_fields and "fields_champion" in both:
        edited = both["fields"] != both["fields_champion"]
    kept = both[same & ~edited]
    renamed = {f"{name}_champion": name for name in ("bad", "pd", "decision")}
    theirs = kept[[*renamed]].rename(columns=renamed)
    # By the champion's clusters, where it has some: a change must not choose its own intervals.
    cluster = next((c for c in ("cluster_champion", "cluster") if c in kept), None)
    if cluster:
        kept = kept.assign(cluster=kept[cluster])
        theirs = theirs.assign(cluster=kept[cluster])
    return PairedRows(
        champion=predictions.judge_rows(theirs),
        challenger=predictions.judge_rows(kept),
        groups=kept[[*new.columns]],
        share=len(kept) / max(len(old), len(new)),
        moved=int((~same).sum()),
        edited=int((same & edited).sum()),
    )


def is_same_book(champion: Predictions, challenger: Predictions, share: float) -> bool:
    """Return whether two books under different names hold, to such a share, the same loans."""
    tables = (champion.table, challenger.table)
    if not all("fields" in table and table["fields"].notna().all() for table in tables):
        return False
    return pair(champion, challenger, same_fields=True).share >= share


def identity(old: pd.DataFrame, new: pd.DataFrame, *, same_fields: bool) -> list[str]:
    """Return the columns that say which loan a row is of, in the tables of both sides."""

    def complete(column: str) -> bool:
        return all(column in rows and rows[column].notna().all() for rows in (old, new))

    if complete("loan"):
        return ["loan"]
    return ["fields", "copy"] if same_fields and complete("fields") else ["row"]


def number_rows(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Number the rows of equal fields, where these say which loan a row is of."""
    return rows.assign(copy=rows.groupby("fields").cumcount()) if "copy" in keys else rows


def draw(rows: Judged, cut_off: float, policy: Policy) -> Draws:
    """Compute every figure on resamples of the rows, at one side's cut-off, by one policy."""
    return intervals.bootstrap(
        rows.bad,
        rows.pd,
        cut_off,
        approved=rows.approved,
        means={"profit": policy.profits(rows.bad == 1, rows.approved)},
        cluster=rows.cluster,
        resamples=RESAMPLES,
        seed=SEED,
    )


def delong(both: PairedRows) -> DeLong | None:
    """Return DeLong's test of the two AUCs; None where a class has fewer than two rows."""
    bads = int(both.challenger.bad.sum())
    if min(bads, both.rows - bads) < 2:
        return None
    pds = both.champion.pd, both.challenger.pd
    return compare_aucs(both.challenger.bad, *pds, both.champion.cluster)


def compare(champion: Draws, challenger: Draws, test: DeLong | None) -> dict[str, Difference]:
    """Return the paired difference of every figure; AUC and Gini have DeLong's interval."""
    paired = {**intervals.paired_intervals(champion, challenger)}
    if test:
        auc = Interval(test.difference, test.low, test.high)
        paired |= {"roc_auc": auc, "gini": Interval(*(2 * bound for bound in auc))}
    return {
        name: Difference(champion.estimates[name], challenger.estimates[name], *paired[name])
        for name in FIGURES
    }

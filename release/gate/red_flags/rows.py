"""Find test rows of the champion that went or changed, and groups that nobody is in any more.

A comparison on common rows is blind to the rows that are left out: those that a change deletes,
edits or gives another outcome may be those on which it would lose.
"""

from __future__ import annotations

from collections.abc import Iterator

from release.gate.comparison import PairedRows
from release.gate.judgement import RedFlag
from release.gate.limits import Suspicious
from release.gate.predictions import GROUP, Predictions


def find_red_flags(
    champion: Predictions, challenger: Predictions, both: PairedRows, limits: Suspicious
) -> Iterator[RedFlag]:
    """Yield what became of the champion's test rows beyond the limits."""
    old = champion.split("test")
    for name, count, allowed, words in (
        ("rows.gone", count_gone(champion, challenger), limits.max_gone_rows, "are nowhere in"),
        ("rows.changed", both.moved + both.edited, limits.max_changed_rows, "are otherwise in"),
    ):
        if count > allowed * len(old):
            share = f"{count:,} of {len(old):,} test rows of the base"
            yield RedFlag(name, f"{share} {words} this change's book; {allowed:.0%} is allowed")


def count_gone(champion: Predictions, challenger: Predictions) -> int:
    """Return how many test loans of the champion the challenger has in no part; 0 without keys."""
    if not all(
        "loan" in each.table and each.table["loan"].notna().all() for each in (champion, challenger)
    ):
        return 0
    return int((~champion.split("test")["loan"].isin(challenger.table["loan"])).sum())


def lost_groups(champion: Predictions, challenger: Predictions, fewest: int) -> list[str]:
    """Return the protected groups that the champion had enough rows of, and nobody is in now."""
    old, new = champion.split("test"), challenger.split("test")
    return [
        f"{attribute} {group}"
        for attribute in challenger.attributes
        if attribute in champion.attributes
        for group, count in old[f"{GROUP}{attribute}"].value_counts().items()
        if count >= fewest and not (new[f"{GROUP}{attribute}"] == group).any()
    ]

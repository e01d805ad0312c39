"""Find loans of the base that went, changed or came from the past, and groups that nobody is in.

A comparison on common rows is blind to the rows that are left out: those that a change deletes,
edits or gives another outcome may be those on which it would lose.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from release.dvc_state import Storage
from release.gate.judgement import Judgement, RedFlag
from release.gate.limits import Suspicious
from release.gate.predictions import GROUP, Predictions
from release.gate.red_flags import books, declarations
from release.gate.red_flags.books import Book


def find_red_flags(judgement: Judgement, held: Storage, limits: Suspicious) -> Iterator[RedFlag]:
    """Yield what became of the base's loans beyond the limits, where both sides are of one book."""
    champion, challenger = judgement.champion, judgement.predictions
    if judgement.paired is None or champion is None or challenger is None:
        return
    both = books.of_tables(judgement, held)
    if both is None:
        same = declarations.same_fields(judgement, judgement.base)
        both = books.of_predictions(champion, challenger, same_fields=same)
    yield from compare(*both, limits)


def compare(before: Book, after: Book, limits: Suspicious) -> Iterator[RedFlag]:
    """Yield the loans that went, changed, or came from the past: too many of some kind."""
    old, new = before.loans, after.loans
    both = old.merge(new, how="left", left_index=True, right_index=True, suffixes=("", "_now"))
    gone, changed = find_gone(both, after), find_changed(both)
    kinds = {
        "test rows": old["part"] == "test",
        "defaults among the test rows": (old["part"] == "test") & (old["bad"] == 1),
        "loans": old["part"] != "",
        "defaults": old["bad"] == 1,
    }
    for name, found, allowed, words in (
        ("rows.gone", gone, limits.max_gone_rows, "are nowhere in"),
        ("rows.changed", changed, limits.max_changed_rows, "are otherwise in"),
    ):
        for kind, members in kinds.items():
            count, total = int((found & members).sum()), int(members.sum())
            if count > allowed * total:
                share = f"{count:,} of {total:,} {kind} of the base"
                yield RedFlag(name, f"{share} {words} this change's book; {allowed:.0%} is allowed")
                break
    if before.keys is not None:
        came = ~new.index.isin([*before.keys]) & (new["date"] <= old["date"].max())
        if int(came.sum()) > limits.max_changed_rows * len(old):
            words = f"{int(came.sum()):,} loans that the base does not know are older than its "
            words += f"latest; {limits.max_changed_rows:.0%} of its {len(old):,} are allowed"
            yield RedFlag("rows.inserted", words)


def find_gone(both: pd.DataFrame, after: Book) -> pd.Series:
    """Return whether each loan is in no part now, though it is old enough, or in no table."""
    if after.keys is None:
        return pd.Series(False, index=both.index)
    dropped = both["bad_now"].isna()
    if after.has_window:
        # Before the test part, loans whose outcome was not known when it began are in no part.
        tested = after.loans.loc[after.loans["part"] == "test", "date"].min()
        dropped &= both["date"] >= tested
    return dropped | ~both.index.isin([*after.keys])


def find_changed(both: pd.DataFrame) -> pd.Series:
    """Return whether each loan has another outcome, date or fields now."""
    dates = both["date"].astype("datetime64[s]"), both["date_now"].astype("datetime64[s]")
    same = (dates[0] == dates[1]) | (dates[0].isna() & dates[1].isna())
    same &= (both["bad"] == both["bad_now"]) & (both["fields"] == both["fields_now"])
    return both["bad_now"].notna() & ~same


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

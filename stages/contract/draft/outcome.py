"""Guesses which raw values of a target mean bad and which good, for a person to confirm.

It also finds labels that are not ripe: young loans had less time to go bad than older ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from stages.contract.draft.columns.column import Column
from stages.contract.draft.columns.column_names import words
from stages.contract.fields.written_values import did_you_mean
from stages.contract.schema import ContractError

NOT = r"\b(?:not?|non|un|never)[\s_-]*(?:fully )?"
BAD = (
    r"bad|default\w*|charge\w*[\s_-]*off|wr\w+[\s_-]*off|d(?:e)?l(?:in)?q\w*|late|loss|np[la]|fail\w*|"
    r"overdue|arrears|bankrupt\w*|foreclos\w*|repossess\w*|chargeoff"
)
GOOD = r"good|(?:re)?paid|repay|closed|settled|performing|ok|clean|success\w*|healthy"
Floats = NDArray[np.float64]
TENTHS = 10
OLDER = 7  # tenths of the loans that count as old
LOWER = 0.75  # of the older loans' bad rate
CHANCE = 0.001  # of so few bad loans, were the youngest as bad as the older
MONTHS = 12  # in which loans usually count as good or bad
YES, NO = {"1", "1.0", "y", "yes", "t", "true"}, {"0", "0.0", "n", "no", "f", "false"}


@dataclass(frozen=True)
class TargetCoding:
    """The coding of a target.

    Attributes
    ----------
    bad, good, unknown : the words of each; `unknown` is neither (the loan still runs, or blank).
    why : the evidence for the guess.
    y : (n,) 1 for bad, 0 for good, NaN for unknown.
    shares : the share of the rows of each word.
    """

    bad: list[str]
    good: list[str]
    unknown: list[str]
    why: str
    y: NDArray[np.float64]
    shares: dict[str, float]

    def describe(self, words: list[str]) -> str:
        """Return words of the target with their shares of the rows."""
        return ", ".join(f"{word!r} ({self.shares[word]:.1%})" for word in words)


@dataclass(frozen=True)
class Meaning:
    """What a person says of a target: the words that mean bad, and those that mean good.

    Words in neither have no outcome yet. Both are empty where nobody said so.
    """

    bad: Sequence[str] = ()
    good: Sequence[str] = ()


def code_target(column: Column, said: Meaning) -> TargetCoding:
    """Return the coding of a target: what a person said, else a guess.

    The guess follows the words, the column's name, or which of two values is rarer. Raises
    ContractError for a column that cannot have two outcomes, for a target of more values whose
    words do not say what they mean, and for words that are not in the column.
    """
    known = {w: int(n) for w, n in zip(column.known_words, column.known_counts, strict=True)}
    if not 2 <= len(known) <= 20:
        shown = sorted(known)[:5]
        raise ContractError(
            f"the target must have two outcomes (0/1, yes/no, good/bad, ...); {column.name!r} has "
            f"{len(known)} different values{f', such as {shown}' if shown else ''}"
        )
    shares = {w: known[w] / len(column.codes) for w in sorted(known, key=lambda w: -known[w])}
    if said.bad or said.good:
        bad, good = check_meaning(column.name, known, said)
        why = "as it was said"
    else:
        bad, good, why = guess_coding(column.name, known)
    if not bad:
        often = list(shares)
        raise ContractError(
            f"which values of {column.name!r} mean bad? Its {len(known)} words do not say: "
            f"{', '.join(f'{w!r} ({share:.1%} of the rows)' for w, share in shares.items())}. "
            f"Name them with --bad and --good, such as `--bad {often[-1]!r} --good {often[0]!r}`; "
            "values in neither, such as loans that still run, are left out"
        )
    places = dict.fromkeys(bad, 1.0) | dict.fromkeys(good, 0.0)
    y = column.to_rows(np.array([places.get(w, np.nan) for w in column.words], dtype=np.float64))
    return TargetCoding(bad, good, sorted(known.keys() - places.keys()), why, y, shares)


def check_meaning(name: str, known: dict[str, int], said: Meaning) -> tuple[list[str], list[str]]:
    """Return the words for bad and for good as a person says; of two words, one says both.

    Raises ContractError for a word that the column does not hold, that stands on both sides, or
    where a side has none.
    """
    bad, good = list(dict.fromkeys(said.bad)), list(dict.fromkeys(said.good))
    for word in (*bad, *good):
        if word not in known:
            near = did_you_mean(word, known)
            raise ContractError(f"{name!r} holds no {word!r}; it holds {sorted(known)}{near}")
    both = sorted({*bad} & {*good})
    if both:
        raise ContractError(f"--bad and --good of {name!r} must differ; got {both} in both")
    if len(known) == 2:
        bad = bad or [w for w in known if w not in good]
        good = good or [w for w in known if w not in bad]
    if not bad or not good:
        missing = "--good" if bad else "--bad"
        raise ContractError(f"{missing} is needed too, as {name!r} has {len(known)} values")
    return sorted(bad), sorted(good)


def guess_coding(name: str, known: dict[str, int]) -> tuple[list[str], list[str], str]:
    """Return the words for bad, those for good, and why; `known` has the rows of each word.

    Words that mean neither are on no side. Both sides are empty where more than two words do not
    say which is which: nobody should guess an outcome then.
    """
    lower = {w: w.lower() for w in known}
    meant = {w: meaning_of(lower[w]) for w in known}
    rarer = min(known, key=lambda w: (known[w], lower[w] not in YES))
    is_bad, why = {w: w == rarer for w in known}, "it is the rarer"
    by_name = meaning_of(words(name))
    if set(lower.values()) <= YES | NO and by_name:
        is_bad = {w: (lower[w] in YES) == (by_name == "bad") for w in known}
        why = "by the target's name"
    elif set(meant.values()) >= {"bad", "good"}:
        is_bad, why = {w: m == "bad" for w, m in meant.items() if m}, "by the words"
    elif len(known) > 2:
        is_bad, why = {}, ""
    elif len(set(meant.values())) == 2:
        one = next(m for m in meant.values() if m)
        is_bad, why = {w: (m == one) == (one == "bad") for w, m in meant.items()}, "by the word"
    return sorted(w for w in is_bad if is_bad[w]), sorted(w for w in is_bad if not is_bad[w]), why


def meaning_of(phrase: str) -> str:
    """Return "bad", "good" or "", by the words of a phrase in lower case."""
    if re.search(rf"{NOT}(?:{GOOD})", phrase):
        return "bad"
    if re.search(rf"{NOT}(?:{BAD})", phrase):
        return "good"
    if re.search(rf"\b(?:{BAD})\b", phrase):
        return "bad"
    return "good" if re.search(rf"\b(?:{GOOD})\b", phrase) else ""


def describe_fall(days: Floats, bad: Floats) -> str:
    """Say in words that the bad rate falls with the age of the book; "" where it does not.

    `days` (n,) are those of the decisions, `bad` (n,) is 1 or 0; NaN where unknown. The bad rate of
    the youngest tenth of the loans must lie a quarter below that of the oldest seven tenths, and
    further than chance explains.
    """
    known = ~np.isnan(days) & ~np.isnan(bad)
    order = np.argsort(days[known], kind="stable")
    if len(order) < TENTHS:
        return ""
    days, bad = days[known][order], bad[known][order]
    edge, start = len(bad) * OLDER // TENTHS, len(bad) * (TENTHS - 1) // TENTHS
    older, before, youngest = bad[:edge].mean(), bad[edge:start].mean(), bad[start:].mean()
    chance = bdtr(bad[start:].sum(), len(bad) - start, older)
    if youngest > min(before, LOWER * older) or chance > CHANCE:
        return ""
    since = np.datetime64(int(days[start]), "D")
    return f"the bad rate falls from {older:.1%} of the older loans to {youngest:.1%} since {since}"


def dates_defaults(days: Floats, bad: Floats) -> bool:
    """Return whether a date (n,), NaN where it is empty, is there for the bad loans alone."""
    there = ~np.isnan(days)
    if not (bad == 1).any() or not (bad == 0).any():
        return False
    return bool(there[bad == 1].mean() >= 0.9 and there[bad == 0].mean() <= 0.05)

"""Guesses what a raw column holds: booleans, dates, numbers, categories or text."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from stages.contract.draft.columns import column_names, dialect, quantities, word_order
from stages.contract.draft.columns.column import MAX_CATEGORIES, Column, Guess
from stages.contract.fields.written_values import BLANKS, BOOLEANS

RARE = 0.05  # of the rows of the word that is meant
SHARE, LEAST, COVERED = 0.01, 30, 0.5  # of a frequent word in the rows; its rows; of all such words
OTHER = "other"
NO_DATES = {"9999-12-31", "2999-12-31", "2099-12-31", "1900-01-01", "0001-01-01"}
DATED = re.compile(r"date|day|dt|issued|opened|closed")
TRUE, FALSE = {"true", "yes", "y", "t", "1", "1.0"}, {"false", "no", "n", "f", "0", "0.0"}


def guess(column: Column) -> Guess:
    """Guess what a contract says of a column, from all of its rows."""
    if not column.is_known.any():
        return Guess(values=np.full(len(column.words), np.nan), unused="every value is missing")
    result = next(g for kind in KINDS if (g := kind(column)))
    result.missing += column.words[~column.is_known & ~column.words.isin(BLANKS)].tolist()
    absent = column.to_rows(~column.is_known | column.words.isin(result.missing))
    result.required = not np.any(absent != 0)
    if (
        result.required
        and len(column.known_words) - len(result.repair) == 1
        and not result.left_out
    ):
        result.unused = f"constant: {column.known_words[0]!r} throughout"
    return result


def _boolean(column: Column) -> Guess | None:
    """Read two opposite words, in any spelling of them."""
    lower = {w: w.lower() for w in column.known_words}
    seen = set(lower.values())
    counted = seen <= {"0", "1"} and column_names.tells(column_names.QUANTITY, column.name)
    if counted or not seen <= TRUE | FALSE or seen <= TRUE or seen <= FALSE:
        return None
    words = [w for w in lower if w.removesuffix(".0") not in BOOLEANS]
    is_true = column.words.str.lower().isin(TRUE).to_numpy(dtype=np.float64)
    return Guess(
        "boolean",
        np.where(column.is_known, is_true, np.nan),
        true=[w for w in words if lower[w] in TRUE],
        false=[w for w in words if lower[w] in FALSE],
        example=lower[column.most_frequent] in TRUE,
    )


def _date(column: Column) -> Guess | None:
    """Read ISO 8601 dates, or dates of another pattern."""
    known = column.words[column.is_known]
    if known.str.fullmatch(r"[\d.]+").any() and not known.str.fullmatch(r"(?:19|20)\d{6}").all():
        six = known.str.fullmatch(r"\d{6}").all() and column_names.tells(DATED, column.name)
        return dialect.guess_dates(column) if six or known.str.count(r"\.").eq(2).all() else None
    days = pd.to_datetime(known, errors="coerce", format="ISO8601", utc=True)
    if not column.holds_mostly(days.notna().to_numpy()):
        return dialect.guess_dates(column)
    whole = days.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    values = np.full(len(column.words), np.nan)
    values[column.is_known] = np.where(np.isnat(whole), np.nan, whole.astype(np.float64))
    none = column.words.str[:10].isin(NO_DATES).to_numpy(dtype=bool)
    values[none] = np.nan
    return Guess(
        "date", values, missing=column.words[none].tolist(), example=column.most_frequent[:10]
    )


def _category(column: Column) -> Guess | None:
    """Read few different words, each of them frequent."""
    known = dict(zip(column.known_words, column.known_counts.tolist(), strict=True))
    repair = find_typos(known) if len(known) <= 2 * MAX_CATEGORIES else {}
    enum = sorted(w for w in known if w not in repair)
    if len(enum) > MAX_CATEGORIES or 5 * len(enum) > sum(known.values()):
        return None
    order = word_order.find_order(column.name, enum)
    place = {w: float(i) for i, w in enumerate(order or enum)}
    values = [place.get(repair.get(w, w), np.nan) for w in column.words]
    result = Guess("string", np.array(values), list(place), example=column.most_frequent)
    if order:
        result.ordered = True
        result.doubts["ordered"] = f"from {order[0]!r} up to {order[-1]!r}, by the words"
    if repair:
        result.repair.update(repair.items())
        rows = sum(known[w] for w in repair)
        result.doubts["repair"] = f"{rows:,} {'row looks' if rows == 1 else 'rows look'} misspelt"
    return result


def _frequent_words(column: Column) -> Guess | None:
    """Read many words of which some are frequent: those are categories, and all others are one."""
    known, rows = column.words[column.is_known], int(column.known_counts.sum())
    if len(known) > 0.5 * rows or column_names.tells(column_names.IDENTITY, column.name):
        return None
    often = column.is_known & (column.counts >= max(SHARE * rows, LEAST))
    share = column.counts[often].sum() / rows
    if often.sum() > MAX_CATEGORIES or share < COVERED:
        return None
    enum = sorted(w for w in column.words[often] if w != OTHER)
    place = {w: float(i) for i, w in enumerate(enum)}
    values = [place.get(w, float(len(enum))) for w in column.words]
    found = Guess("string", np.where(column.is_known, values, np.nan), [*enum, OTHER], other=OTHER)
    found.example = column.most_frequent
    rest = f"{len(known) - len(enum):,} others"
    found.doubts["other"] = (
        f"{len(enum)} words hold {share:.0%} of the rows; {rest} are one category"
    )
    return found


def _text(column: Column) -> Guess:
    """Describe words that are no categories: identifiers, names, free text."""
    known, rows = column.words[column.is_known], int(column.known_counts.sum())
    result = Guess("string", np.full(len(column.words), np.nan), example=column.most_frequent)
    if len(known) >= 0.95 * rows or column_names.tells(column_names.IDENTITY, column.name):
        result.left_out = "an identifier or free text: nearly every row has a different value"
        if len(known) < 0.95 * rows:
            result.left_out = "an identifier, by its name"
    else:
        result.unused = f"{len(known):,} different values"
    return result


def find_typos(counts: dict[str, int]) -> dict[str, str]:
    """Return the category that each misspelt one means, from the number of rows of each.

    Spellings that differ in case and spacing alone belong to the most frequent; beyond that a word
    is a typo of one that is 20 times as frequent, begins alike and is an edit away (two in long
    words). Words with digits are codes: `A11` is no typo of `A12`.
    """
    often = sorted(counts, key=lambda w: (-counts[w], w))
    first: dict[str, str] = {}
    for word in often:
        first.setdefault(fold_spelling(word), word)
    repairs = {w: first[fold_spelling(w)] for w in often if first[fold_spelling(w)] != w}
    kept = [w for w in often if w not in repairs]
    for word in reversed(kept):
        meant = next((w for w in kept if _is_typo(word, w, counts)), None)
        if meant is not None:
            repairs[word] = meant
    return {w: repairs.get(meant, meant) for w, meant in repairs.items()}


def fold_spelling(word: str) -> str:
    """Return a word without case and spacing, and without hyphens unless it has digits."""
    loose = r"\s+" if re.search(r"\d", word) else r"[\s_\-./]+"
    return re.sub(loose, "", word.casefold()) or word


def _is_typo(word: str, other: str, counts: dict[str, int]) -> bool:
    """Return whether a word is a rare misspelling of another."""
    if counts[word] > RARE * counts[other] or re.search(r"\d", word + other) or len(word) < 4:
        return False
    allowed = 1 if len(word) < 8 else 2
    a, b = word.casefold(), other.casefold()
    return a[0] == b[0] and abs(len(a) - len(b)) <= allowed and edit_distance(a, b) <= allowed


def edit_distance(a: str, b: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours between two words.

    This is the optimal string alignment distance (Damerau 1964).
    """
    rows = [list(range(len(b) + 1))]
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


KINDS = (
    _boolean,
    _date,
    quantities.guess,
    dialect.guess_numbers,
    _category,
    _frequent_words,
    _text,
)

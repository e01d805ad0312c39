"""Categories that are another one misspelt."""

from __future__ import annotations

import re

RARE = 0.05


def repairs(counts: dict[str, int]) -> dict[str, str]:
    """Each misspelt category → the one that was meant, from the rows of each.

    Spellings that differ in case and spacing alone belong to the most frequent; beyond that a word
    is a typo of one that is 20 times as frequent, begins alike and is an edit away (two in long
    words). Words with digits are codes: `A11` is no typo of `A12`.
    """
    often = sorted(counts, key=lambda w: (-counts[w], w))
    first: dict[str, str] = {}
    for word in often:
        first.setdefault(folded(word), word)
    found = {w: first[folded(w)] for w in often if first[folded(w)] != w}
    kept = [w for w in often if w not in found]
    for word in reversed(kept):
        meant = next((w for w in kept if _is_typo(word, w, counts)), None)
        if meant is not None:
            found[word] = meant
    return {w: found.get(meant, meant) for w, meant in found.items()}


def folded(word: str) -> str:
    """A word without what is a matter of spelling: case and spacing, and hyphens unless digits."""
    loose = r"\s+" if re.search(r"\d", word) else r"[\s_\-./]+"
    return re.sub(loose, "", word.casefold()) or word


def _is_typo(word: str, other: str, counts: dict[str, int]) -> bool:
    """Whether a word is a rare misspelling of another."""
    if counts[word] > RARE * counts[other] or re.search(r"\d", word + other) or len(word) < 4:
        return False
    allowed = 1 if len(word) < 8 else 2
    a, b = word.casefold(), other.casefold()
    return a[0] == b[0] and abs(len(a) - len(b)) <= allowed and edits(a, b) <= allowed


def edits(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours between two words.

    Optimal string alignment (Damerau 1964).
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

"""Tell whether the sentence of a reason is true, from raw values and from the training rows alone.

Nothing here calls the code that words reasons. A sentence is false where

- it calls a number high, and fewer than three quarters of the approved applicants in the training
  rows have a lower one, or half of all training rows have a higher one; the same for low;
- it calls a ratio high or low that has no denominator, or compares it with applicants whose ratio
  has none;
- it states a category, or why a value is missing, that is not the applicant's, or says that a
  value is missing that is there, or speaks of the value where it is missing;
- it quotes a number that is not the applicant's (to four digits), or says of approved applicants
  what is not true of three quarters of them, or quotes what the contract does not allow;
- it is neither a sentence of the contract nor one that claims nothing but that the field counted.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.contract.schema import Contract
from stages.features.matrix import Features, Floats, MissingReason

QUOTE = re.compile(
    r" \((\S+)(?: (.+))?; approved applicants usually have (?:at most (\S+)|(\S+) or more)\)$"
)
COUNTED = " counted against this application"
COUNTED_LESS = " counted less in favour of this application than is usual for approved applicants"


class SentenceChecker:
    """Checks sentences about one book; `train` (n, F) are features, `approved` (n,) marks rows."""

    def __init__(
        self, contract: Contract, features: Features, train: Floats, approved: Any
    ) -> None:
        self._contract = contract
        self._parts = {
            part.name: part for part in features.parts if not isinstance(part, MissingReason)
        }
        columns = dict(zip(features.names, train.T, strict=True))
        self._every = {name: self._without_empty(name, columns) for name in columns}
        self._approved = {name: values[approved] for name, values in self._every.items()}

    def _without_empty(self, name: str, columns: dict[str, Floats]) -> Floats:
        """Return a feature (n,), NaN where it is a ratio to 0: who was never late has no delay."""
        part = self._parts.get(name)
        ratio = part.ratio if isinstance(part, Derived) else None
        if ratio is None or ratio.denominator not in columns:
            return columns[name]
        return np.where(columns[ratio.denominator] == 0, np.nan, columns[name])

    def fault(self, reason: dict[str, str], raw: dict[str, Any]) -> str:
        """Return what is false about a reason of a raw application; "" where it is true."""
        part, text = self._parts[reason["field"]], reason["text"]
        value = self._value(part, raw)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        title = part.title or part.name
        if text in self._missing_sentences(part, raw, title):
            return "" if missing else "says that a value is missing"
        if missing:
            return "speaks of a missing value"
        if text.endswith((COUNTED, COUNTED_LESS)):
            about = text.removesuffix(COUNTED).removesuffix(COUNTED_LESS)
            return self._fault_of_shown(part, about, title, value)
        if isinstance(part, Field) and part.codes:
            sentences = {part.codes[v]: s for v, s in part.reason.categories.items()}
            return "" if sentences.get(part.codes[value]) == text else "another category"
        return self._fault_of_side(part, text, title, value)

    def _value(self, part: Field | Derived, raw: dict[str, Any]) -> Any:
        """Return the raw value, or the ratio by its formula; infinite without a denominator."""
        if isinstance(part, Field):
            return None if raw[part.name] in part.missing_codes else raw[part.name]
        formula = part.ratio
        over, under = (
            self._value(self._contract.fields[name], raw)
            for name in (formula.numerator, formula.denominator)
        )
        if any(v is None or math.isnan(v) for v in (over, under)):
            return None
        return formula.scale * over / under if under else math.inf

    def _missing_sentences(
        self, part: Field | Derived, raw: dict[str, Any], title: str
    ) -> set[str]:
        """Return the sentences that are true of a missing value."""
        words = part.reason.missing
        if isinstance(part, Field) and raw[part.name] in part.missing_meanings:
            code = raw[part.name]
            worded = words.get(code) if isinstance(words, dict) else None
            return {worded or f"{title}: {part.missing_meanings[code]}"}
        return {words if isinstance(words, str) and words else f"{title}: not known"}

    def _fault_of_shown(self, part: Field | Derived, about: str, title: str, value: Any) -> str:
        """Check a sentence that claims no direction: a category is named, a number may be."""
        shown = about.removeprefix(title).removeprefix(" (").removesuffix(")")
        if isinstance(part, Field) and part.codes:
            code = part.codes[value]
            names = {str(v) for v, code_of in part.codes.items() if code_of == code}
            if part.is_boolean:
                names = {"yes" if code else "no"}
            return "" if shown in names else "names another category"
        if not shown:
            return ""
        if not part.reason.quote:
            return "quotes without leave"
        return "" if same(shown.split()[0], value) else "quotes another number"

    def _fault_of_side(self, part: Field | Derived, text: str, title: str, value: float) -> str:
        """Check a sentence that calls a number high or low."""
        quoted = QUOTE.search(text)
        base = text[: quoted.start()] if quoted else text
        usual = "than is usual for approved applicants"
        signs = {
            part.reason.high or f"{title}: higher {usual}": 1,
            part.reason.low or f"{title}: lower {usual}": -1,
        }
        if base not in signs:
            return "is no sentence of the contract"
        if math.isinf(value):
            return "has no denominator"
        sign = signs[base]
        approved, every = (known[part.name] for known in (self._approved, self._every))
        if share(sign * approved < sign * value, approved) < 0.75:
            return "is not beyond three quarters of the approved"
        if sign * value < sign * np.nanmedian(every):
            return "is on the other side of the median"
        if bool(quoted) != part.reason.quote:
            return "quotes without leave, or does not quote"
        return self._fault_of_quote(quoted, sign, value, approved) if quoted else ""

    def _fault_of_quote(
        self, quoted: re.Match[str], sign: int, value: float, approved: Floats
    ) -> str:
        """Check the quoted number, and what is said of approved applicants."""
        number, _, most, least = quoted.groups()
        end = float((most or least).replace(",", ""))
        if not same(number, value) or sign * float(number.replace(",", "")) <= sign * end:
            return "quotes another number"
        is_usual = share(sign * approved <= sign * end, approved) >= 0.75
        return "" if is_usual and bool(most) == (sign > 0) else "says what is not usual"


def share(holds: Any, values: Floats) -> float:
    """Return the share of the known values (n,) of which something holds."""
    return float(np.mean(holds[~np.isnan(values)]))


def same(quoted: str, value: float) -> bool:
    """Tell whether a quoted number is a value, to four digits."""
    return math.isclose(float(quoted.replace(",", "")), value, rel_tol=6e-4)

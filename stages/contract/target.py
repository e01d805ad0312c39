"""The outcome of loans: the column that states it, and the time in which a loan can go bad."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field as Key

from stages.contract.fields.field import as_list
from stages.contract.fields.parts import ContractPart, Scalar
from stages.contract.fields.written_values import BOOLEANS, YAML_BOOLEANS, text


class Target(ContractPart):
    """The outcome column and the raw values that mean bad (1) and good (0).

    Loans without an outcome yet (`indeterminate`: still running, for example) are left out.
    """

    field: str
    """Column with the outcome."""
    bad: Scalar | list[Scalar]
    """Raw value, or values, of a loan that went bad."""
    good: Scalar | list[Scalar]
    """Raw value, or values, of a good loan."""
    indeterminate: list[Scalar] = Key(default=[])
    """Raw values of loans without an outcome yet, which are left out."""
    known_at: Literal["outcome"] = "outcome"
    """When the outcome is known: always `outcome`."""

    @cached_property
    def words(self) -> tuple[list[str], list[str]]:
        """The raw texts that mean good, and those that mean bad."""
        return [text(v) for v in as_list(self.good)], [text(v) for v in as_list(self.bad)]

    @cached_property
    def codes(self) -> dict[str, int]:
        """The outcome of each raw text of the column: 1 for bad, 0 for good.

        `true` and `false` stand for every way of writing them that files have (`True`, `1`), and
        for the words that YAML takes for them (`yes`).
        """
        good, bad = self.words
        stated = dict.fromkeys(good, 0) | dict.fromkeys(bad, 1)
        words = BOOLEANS | YAML_BOOLEANS
        truths = {truth: stated[text(truth)] for truth in (True, False) if self._is_stated(truth)}
        written = {word: truths[truth] for word, truth in words.items() if truth in truths}
        return written | stated

    def _is_stated(self, truth: bool) -> bool:
        """Return whether a boolean, and not its text, is one of the raw values."""
        return any(v is truth for side in (self.good, self.bad) for v in as_list(side))

    @property
    def indeterminate_words(self) -> list[str]:
        """The raw texts of loans without an outcome yet."""
        return [text(v) for v in self.indeterminate]

    @property
    def allowed_texts(self) -> list[str]:
        """The raw texts that the contract states, sorted."""
        return sorted({word for side in self.words for word in side})

    def problems(self) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the target: the keys of its place, and the problem."""
        good, bad = self.words
        for key, values in (("good", good), ("bad", bad)):
            if not values:
                yield [key], "needs at least one raw value"
        for value in sorted(set(good) & set(bad)):
            yield ["good"], f"{value!r} means bad too"
        for value in map(text, self.indeterminate):
            if value in self.codes:
                yield ["indeterminate"], f"{value!r} is already listed under bad or good"


class OutcomeWindow(ContractPart):
    """The time in which a loan can go bad, counted from the contract's `date`.

    A loan is ripe once `months` have passed by `observed_until`, which is a date or a column of
    the first table that holds one. Loans that are not ripe are left out. Where `event` names the
    column with the date of the default, a default after the window counts as good.
    """

    months: int = Key(ge=1)
    """Months from the loan's date in which it can go bad."""
    observed_until: dt.date | str
    """Date until which loans were observed, or the column that holds it."""
    event: str | None = None
    """Column with the date of the default."""

    @property
    def last_day(self) -> dt.date | None:
        """The day until which all loans were observed; None where a column says it."""
        if isinstance(self.observed_until, dt.date):
            return self.observed_until
        try:
            return dt.date.fromisoformat(self.observed_until)
        except ValueError:
            return None

    @property
    def columns(self) -> list[str]:
        """The columns of the first table that the window reads."""
        until = [] if self.last_day else [str(self.observed_until)]
        return until + ([self.event] if self.event else [])

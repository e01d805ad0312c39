"""Asks a person, one question after another, what the files of a book cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.contract.draft import outcome
from stages.contract.draft.book import DraftField, RawBook
from stages.contract.draft.columns.column import Column
from stages.contract.draft.outcome import Meaning
from stages.contract.fields.written_values import did_you_mean
from stages.contract.schema import ContractError

KNOWN = {"y": "application", "n": "outcome", "p": "pricing"}


@dataclass
class Interview:
    """Questions and answers in a terminal.

    Attributes
    ----------
    read : returns the answer to a prompt, as `input` does. say : shows a line.
    """

    read: Callable[[str], str] = input
    say: Callable[[str], None] = print

    def ask(self, question: str, default: str = "") -> str:
        """Return an answer without spaces around it; Enter alone takes the default.

        Raises ContractError where the answers end before the questions do.
        """
        try:
            answer = self.read(f"{question} [{default}]: " if default else f"{question}: ")
        except (EOFError, KeyboardInterrupt):
            raise ContractError("stopped before the last question; nothing is written") from None
        return answer.strip() or default

    def choose(self, question: str, among: Sequence[str], default: str) -> str:
        """Return one of several words, asked for again until it is one."""
        while True:
            answer = self.ask(question, default)
            if answer in among:
                return answer
            near = did_you_mean(answer, among)
            self.say(f"  one of {', '.join(among)}; got {answer!r}{near}")

    def choose_several(self, question: str, listed: Sequence[str], default: str) -> list[str]:
        """Return the words of a list that the answer names by their numbers, 1 for the first."""
        while True:
            answer = self.ask(question, default).replace(",", " ").split()
            if all(n.isdecimal() and 1 <= int(n) <= len(listed) for n in answer):
                return [listed[int(n) - 1] for n in dict.fromkeys(answer)]
            self.say(f"  numbers from 1 to {len(listed)}, such as `1 3`; got {' '.join(answer)!r}")


def ask_target(interview: Interview, frames: dict[str, pd.DataFrame]) -> str:
    """Ask which column holds the outcome of a loan."""
    for name, frame in frames.items():
        interview.say(f"{name} has the columns {', '.join(frame.columns)}.")
    columns = [column for frame in frames.values() for column in frame.columns]
    return interview.choose("The column with the outcome of the loan", columns, "")


def ask_meaning(interview: Interview, column: Column) -> Meaning:
    """Ask which values of the target mean bad and which good, and propose what their words say."""
    counts = dict(zip(column.known_words, column.known_counts.tolist(), strict=True))
    guess = Meaning(*outcome.guess_coding(column.name, counts)[:2])
    listed = sorted(counts, key=lambda word: (-counts[word], word))
    interview.say(f"\nThe outcome {column.name!r}:")
    for number, word in enumerate(listed, 1):
        interview.say(f"  {number:>2}  {word:<30} {counts[word] / len(column.codes):>7.1%}")
    interview.say("Values that are neither bad nor good, as of loans that still run, are left out.")
    while True:
        answers = []
        for side, words in (("bad", guess.bad), ("good", guess.good)):
            proposed = " ".join(str(listed.index(word) + 1) for word in words)
            question = f"Numbers of those that mean {side}"
            answers.append(interview.choose_several(question, listed, proposed))
        bad, good = answers
        if bad and good and not {*bad} & {*good}:
            return Meaning(bad, good)
        interview.say("  each side needs a value, and none may be on both")


def ask_date(interview: Interview, dates: Sequence[str], guess: str | None) -> str | None:
    """Ask for the date of the decision, which splits the book; None for none."""
    if not dates:
        return None
    interview.say("\nA date of the decision splits the book out of time, as it will be used.")
    answer = interview.choose("The date of the decision", [*dates, "none"], guess or "none")
    return None if answer == "none" else answer


def ask_suspects(interview: Interview, parts: list[DraftField]) -> None:
    """Ask when each suspected leak is known, and mark it so."""
    suspects = [p for p in parts if p.suspicion or p.late]
    if suspects:
        interview.say("\nFields that may be known too late to decide by:")
    for part in suspects:
        interview.say(f"- {part.name}: {'; '.join(filter(None, (part.why, part.evidence)))}")
        default = {"outcome": "n", "pricing": "p"}.get(part.known_at, "")
        question = f"  Is {part.name} known when the decision is made? y, n, or p: priced, later"
        part.known_at = KNOWN[interview.choose(question, list(KNOWN), default)]
        part.guess.doubts.pop("known_at", None)
        part.why, part.settled = "as it was said", True


def ask_protected(interview: Interview, parts: list[DraftField]) -> None:
    """Ask which protected attributes are none, and which other fields are protected."""
    named = [p.name for p in parts if p.protected]
    others = [p.name for p in parts if not p.protected and not p.guess.left_out]
    interview.say("\nProtected attributes (age, gender, ...) are never a model's input.")
    if named:
        interview.say(f"By their names: {', '.join(named)}")
    for question, among, protected in (
        ("Names of these that are none, Enter for no change", named, False),
        ("Names of others that are, Enter for none", others, True),
    ):
        for name in _ask_names(interview, question, among) if among else []:
            for part in parts:
                if part.name == name:
                    part.protected = protected


def _ask_names(interview: Interview, question: str, among: Sequence[str]) -> list[str]:
    """Return the names that an answer lists, asked for again until all exist."""
    while True:
        answer = [name.strip() for name in interview.ask(question).split(",") if name.strip()]
        wrong = [name for name in answer if name not in among]
        if not wrong:
            return answer
        near = did_you_mean(wrong[0], among)
        interview.say(f"  names from {', '.join(among)}, with commas; got {wrong[0]!r}{near}")


def find_dates(book: RawBook, parts: list[DraftField]) -> list[str]:
    """Return the names of the loans' dates that a book may be split by."""
    dates = [p for p in parts if p.table == book.base and p.guess.type == "date"]
    return [p.name for p in dates if not p.guess.left_out]

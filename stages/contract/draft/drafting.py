"""Drafts a contract: reads the files, asks or guesses what they cannot tell, and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.contract import reading as contracts
from stages.contract.draft import book as books
from stages.contract.draft import (
    contract_text,
    decision_date,
    doubts,
    economics,
    evidence,
    price,
    questions,
)
from stages.contract.draft.columns.column import Column
from stages.contract.draft.outcome import Meaning
from stages.contract.draft.questions import Interview
from stages.contract.schema import ContractError
from stages.policy.decisions import Policy

GUESSED = Meaning()


@dataclass
class DraftedContract:
    """A drafted contract: its text, and a list of what a person should confirm."""

    text: str
    confirm: list[str]


@dataclass(frozen=True)
class Wishes:
    """What a person says of a book.

    Attributes
    ----------
    target : the column of the outcome; asked for where it is None.
    date : the column of the decision's date; guessed where it is None.
    meaning : which values of the target mean bad and which good; guessed where it is empty.
    interview : asks what was not said; None where nobody is asked.
    policy : the lender's, for what it would do to this book; None where that is not asked.
    dataset : the name of the book's folder in `data`.
    """

    target: str | None
    date: str | None = None
    meaning: Meaning = GUESSED
    interview: Interview | None = None
    policy: Policy | None = None
    dataset: str = "DATASET"


def draft_contract(paths: list[Path], wishes: Wishes) -> DraftedContract:
    """Draft a contract from the files; raises ContractError where that is impossible."""
    book = read_book(paths, wishes)
    parts = [part for name in book.frames for part in books.describe_columns(book, name)]
    date, about = decision_date.choose_decision_date(book, parts, wishes.date)
    if wishes.interview and wishes.date is None:
        chosen = questions.ask_date(wishes.interview, questions.find_dates(book, parts), date)
        if chosen != date:
            date, about = (
                decision_date.choose_decision_date(book, parts, chosen) if chosen else (None, "")
            )
    books.rename_repeated(book, parts, date)
    decision_date.mark_later_dates(parts, date)
    price.doubt_price(parts)
    evidence.weigh(book, parts, date)
    if wishes.interview:
        questions.ask_suspects(wishes.interview, parts)
        questions.ask_protected(wishes.interview, parts)
    if all(part.guess.left_out for part in parts):
        why = "; ".join(f"{part.name}: {part.guess.left_out}" for part in parts)
        raise ContractError(f"no column is left for a field ({why})")
    source = contract_text.write_contract(book, parts, date, about)
    contracts.read(source, "the drafted contract")
    confirm = doubts.list_doubts(book, parts, date, about)
    if wishes.policy:
        confirm += economics.propose_policy(book, parts, wishes.policy, wishes.dataset)
    return DraftedContract(source, confirm)


def read_book(paths: list[Path], wishes: Wishes) -> books.RawBook:
    """Read and join the files, and settle the outcome: as was said, asked for, or guessed."""
    frames, forms = books.read_tables(paths)
    target, said = wishes.target, wishes.meaning
    if target is None and wishes.interview is None:
        raise ContractError("--target must name the column of the outcome, or --ask asks for it")
    if wishes.interview:
        target = target or questions.ask_target(wishes.interview, frames)
        if not said.bad and not said.good:
            loans = frames[books.find_loans(frames, target)]
            said = questions.ask_meaning(wishes.interview, Column.of(target, loans[target]))
    return books.join_tables(frames, forms, str(target), said)

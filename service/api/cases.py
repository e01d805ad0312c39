"""Read the reference of a case, and tell which decisions were made about it before.

The reference is the lender's application number. It stands beside the fields of an application, and
is no field of the contract.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from service.decision.applications import Applications, InvalidApplication
from service.decision.problems import Problem, as_text, quote
from service.ledger import Ledger

NAME = "reference"
LONGEST = 64
ALLOWED = f"a printable text of 1 to {LONGEST} characters that is not blank, or null"
MOST_EARLIER = 20  # decisions that an answer lists; `number` counts them all


def take_reference(row: object, applications: Applications) -> tuple[object, str | None]:
    """Return an application without its reference, and the reference; None where it has none.

    A field of the contract with this name stays what it is. Raises InvalidApplication.
    """
    if not isinstance(row, dict) or NAME not in row or NAME in applications.names:
        return row, None
    reference = row[NAME]
    if reference is not None and not is_reference(reference):
        got = quote(reference)
        message = f"{NAME} must be {ALLOWED}; got {as_text(got)}"
        raise InvalidApplication([Problem(NAME, message, ALLOWED, got)])
    return {name: value for name, value in row.items() if name != NAME}, reference


def is_reference(value: object) -> bool:
    """Tell whether a value may be the reference of a case."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST:
        return False
    return value.isprintable() and not value.isspace()


async def describe_cases(ledger: Ledger, references: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return for each reference what an answer says of its case: the decisions made before."""
    if not references:
        return {}
    found = await ledger.in_thread(ledger.earlier, references)
    return {
        reference: {
            "number": len(found.get(reference, ())) + 1,
            "earlier": [each._asdict() for each in found.get(reference, ())[-MOST_EARLIER:]],
        }
        for reference in references
    }

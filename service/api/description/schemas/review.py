"""The JSON objects of officers: overrides, proposals, approvals and notes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field as Key

from service.api.description.schemas.parts import Shape
from service.api.description.schemas.records import RecordedEntry

# Not blank, and without NUL, which PostgreSQL refuses. Python takes 1c to 1f for blanks as well;
# the engine of this pattern does not.
VISIBLE = r"^[^\x00]*[^\x00\s\x1c-\x1f][^\x00]*$"

Id = Annotated[str, Key(max_length=64, pattern=VISIBLE)]
Name = Annotated[str, Key(max_length=200, pattern=VISIBLE)]
Text = Annotated[str, Key(max_length=2000, pattern=VISIBLE)]


class Override(Shape):
    """An officer's decision about a referred case; with users, `author` is the caller's name."""

    prediction_id: Id
    decision: Literal["approve", "decline"]
    reason: Text
    author: Name | None = None


class Approval(Shape):
    """A second officer's answer to a proposal; a rejection needs a `reason`."""

    proposal_id: Id
    approved: bool
    reason: Text | None = None
    author: Name | None = None


class Note(Shape):
    """A note about a decision, which only officers see; with users, `author` is the caller's."""

    prediction_id: Id
    text: Text
    author: Name | None = None


class RecordedOverride(RecordedEntry):
    """An override, which decides; or, with status 202, a proposal, which another must approve."""

    refers_to: str
    decision: Literal["approve", "decline"]
    reason: str
    author: str
    limit: dict[str, Any] | None = None


class RecordedApproval(RecordedEntry):
    """The override that an approved proposal becomes, or the rejection of the proposal."""

    refers_to: str
    proposal: str


class RecordedNote(RecordedEntry):
    """The entry of a note."""

    refers_to: str
    text: str
    author: str

"""The drafts of what officers record: overrides, proposals, approvals, rejections and notes."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.ledger.storage.entries import Draft, Entry, draft

APPROVED = ("decision", "reason", "author")  # what an approval leaves as it was proposed
FINAL = ("approve", "decline")
OVERRIDING = ("override", "proposal", "rejection")  # kinds of entries about a referred case

Person = Mapping[str, Any] | None
"""What an entry states about its caller; None where no users are configured."""


def override(
    decided: Entry,
    decision: str,
    reason: str,
    author: str,
    caller: Person = None,
    limit: Mapping[str, Any] | None = None,
) -> Draft:
    """Return the draft of an officer's decision about a referred case.

    With the policy's `limit` that the application exceeds, it is the draft of a proposal. Raises
    ValueError when `decided` is not a decision to refer, when `decision` is neither approve nor
    decline, or when the reason or the author is empty.
    """
    if decided.kind != "decision" or decided.decision != "refer":
        was = decided.decision if decided.kind == "decision" else decided.kind
        raise ValueError(f"{decided.id}: only a decision to refer can be overridden; it is {was}")
    if decided.content.get("erased"):
        raise ValueError(f"{decided.id} was erased: nobody can decide about it any more")
    if decision not in FINAL:
        raise ValueError(f"decision must be {' or '.join(FINAL)}; got {decision!r}")
    content = {"decision": decision, **_with_caller(caller, reason=reason, author=author)}
    if limit is None:
        return draft("override", content, refers_to=decided.id)
    return draft("proposal", {**content, "limit": dict(limit)}, refers_to=decided.id)


def approval(proposal: Entry, approver: str, caller: Person, reason: str | None) -> Draft:
    """Return the draft of the override that a proposal becomes when another person approves it.

    It states the maker's decision, reason and name, and beside them the checker's. Raises
    ValueError when the checker is the maker.
    """
    proposed = proposal.content
    require_another(proposed, approver, caller)
    content = {name: proposed[name] for name in (*APPROVED, "limit")}
    signed = _with_caller(caller, approver=approver)
    more = {"proposal": proposal.id, "approval_reason": reason}
    return draft("override", {**content, **signed, **more}, refers_to=proposal.refers_to)


def rejection(proposal: Entry, author: str, caller: Person, reason: str | None) -> Draft:
    """Return the draft by which another person rejects a proposal, so that the case stays open.

    Raises ValueError when the checker is the maker, and when there is no reason.
    """
    require_another(proposal.content, author, caller)
    signed = _with_caller(caller, reason=reason or "", author=author)
    return draft("rejection", {**signed, "proposal": proposal.id}, refers_to=proposal.refers_to)


def note(decided: Entry, text: str, author: str, caller: Person = None) -> Draft:
    """Return the draft of a note about a decision; raises ValueError for a blank one."""
    return draft("note", _with_caller(caller, text=text, author=author), refers_to=decided.id)


def pending_proposal(later: Sequence[Entry]) -> Entry | None:
    """Return the proposal among the later entries of a decision that nobody has answered."""
    last = next((e for e in reversed(later) if e.kind in OVERRIDING), None)
    return last if last is not None and last.kind == "proposal" else None


def is_approval(override: Mapping[str, Any], proposed: Mapping[str, Any]) -> bool:
    """Tell whether the content of an override approves this proposal, by another person."""
    same = all(override.get(name) == proposed.get(name) for name in APPROVED)
    approver = override.get("approver")
    if not same or not isinstance(approver, str):
        return False
    return not is_same_person(proposed, approver, override.get("caller"))


def require_another(proposed: Mapping[str, Any], name: str, caller: Person) -> None:
    """Raise ValueError when the person who wants to answer a proposal has made it."""
    if is_same_person(proposed, name, caller):
        raise ValueError(f"another person than {proposed['author']} must answer this proposal")


def is_same_person(proposed: Mapping[str, Any], name: str, caller: Person) -> bool:
    """Tell whether a proposal was made by this person.

    Names are compared without case and blanks, and people of an identity provider by the
    identifier that never changes, too.
    """
    if _plain(proposed["author"]) == _plain(name):
        return True
    subject = (caller or {}).get("subject")
    return subject is not None and subject == (proposed.get("caller") or {}).get("subject")


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _with_caller(caller: Person, **texts: str) -> dict[str, Any]:
    """Return texts, none of which may be blank, with the caller that states them."""
    for name, text in texts.items():
        if not text.strip():
            raise ValueError(f"{name} must not be empty")
    return texts if caller is None else {**texts, "caller": dict(caller)}

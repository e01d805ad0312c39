"""Four eyes and the queue, in the ledger itself: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from service.ledger import AlreadyRecorded, Draft, Entry, Ledger, draft, override
from service.ledger.review import queue, steps
from service.ledger.storage import officer_drafts as drafts
from service.ledger.storage.decision_filters import Filters
from service.ledger.verify import verify
from tests.support.ledger_client import change, decided

pytest_plugins = ("tests.support.databases",)

LIMIT = {"field": "income", "above": 1000}


def refer(ledger: Ledger, **application: object) -> Entry:
    return ledger.append_many([decided("refer", **application)])[0]


def propose(ledger: Ledger, about: Entry, author: str = "A. Maker") -> Entry:
    wish = override(about, "approve", "A guarantor signed", author, None, LIMIT)
    return steps.decide(ledger, wish)


def approve(ledger: Ledger, proposal: Entry, approver: str = "B. Checker") -> Entry:
    return steps.answer(
        ledger, proposal, lambda pending: drafts.approval(pending, approver, None, None)
    )


def reject(ledger: Ledger, proposal: Entry) -> Entry:
    return steps.answer(
        ledger, proposal, lambda pending: drafts.rejection(pending, "B. Checker", None, "Too big")
    )


def open_ids(ledger: Ledger, **wanted: str) -> list[str]:
    page = queue.open_referrals(ledger.engine, 10, wanted=Filters(**wanted))
    return [record.entry.id for record in page.records]


def state(ledger: Ledger, entry: Entry) -> tuple[str | None, bool]:
    record = ledger.get(entry.id)
    assert record
    return record.final_decision, record.pending is not None


def test_a_proposal_decides_nothing_until_another_person_approves_it(ledger: Ledger) -> None:
    referred = refer(ledger)
    proposal = propose(ledger, referred)
    assert (proposal.kind, state(ledger, referred)) == ("proposal", ("refer", True))
    assert open_ids(ledger) == [referred.id]
    recorded = approve(ledger, proposal)
    assert state(ledger, referred) == ("approve", False)
    assert open_ids(ledger) == []
    stated = {n: recorded.content[n] for n in ("reason", "author", "approver", "proposal")}
    assert stated == {
        "reason": "A guarantor signed",
        "author": "A. Maker",
        "approver": "B. Checker",
        "proposal": proposal.id,
    }
    assert verify(ledger.engine).findings == []


@pytest.mark.parametrize("name", ["A. Maker", " a.  MAKER "])
def test_the_maker_is_not_the_checker(ledger: Ledger, name: str) -> None:
    proposal = propose(ledger, refer(ledger))
    with pytest.raises(ValueError, match=r"another person than A\. Maker"):
        approve(ledger, proposal, name)
    assert len(open_ids(ledger)) == 1


def test_a_person_is_the_same_under_a_new_name(ledger: Ledger) -> None:
    referred = refer(ledger)
    person = {"name": "A. Maker", "type": "person", "subject": "7"}
    wish = override(referred, "approve", "seen", "A. Maker", person, LIMIT)
    proposal = steps.decide(ledger, wish)
    renamed = person | {"name": "A. Married"}
    with pytest.raises(ValueError, match="another person"):
        drafts.approval(proposal, "A. Married", renamed, None)


def test_a_rejected_proposal_leaves_the_case_open_for_the_next(ledger: Ledger) -> None:
    referred = refer(ledger)
    first = propose(ledger, referred)
    reject(ledger, first)
    assert state(ledger, referred) == ("refer", False)
    assert open_ids(ledger) == [referred.id]
    with pytest.raises(AlreadyRecorded, match="has its answer already"):
        approve(ledger, first)
    approve(ledger, propose(ledger, referred, "C. Maker"))
    assert state(ledger, referred) == ("approve", False)
    assert verify(ledger.engine).findings == []


def test_while_a_proposal_waits_nobody_else_decides(ledger: Ledger) -> None:
    referred = refer(ledger)
    propose(ledger, referred)
    for limit in (None, LIMIT):
        with pytest.raises(AlreadyRecorded, match="waits for a second person"):
            steps.decide(ledger, override(referred, "decline", "no", "C. Other", None, limit))


def race(*attempts: Callable[[], Entry]) -> list[Entry]:
    """Return the entries of the attempts that were recorded, of all made at the same time."""

    def attempt(make: Callable[[], Entry]) -> list[Entry]:
        try:
            return [make()]
        except AlreadyRecorded:
            return []

    with ThreadPoolExecutor(len(attempts)) as people:
        return [entry for recorded in people.map(attempt, attempts) for entry in recorded]


def test_of_two_checkers_at_once_one_counts(ledger: Ledger, database: str) -> None:
    other = Ledger(database)  # as another process has it
    for _ in range(5):
        referred = refer(ledger)
        proposal = propose(ledger, referred)
        recorded = race(
            lambda proposal=proposal: approve(ledger, proposal, "B. Checker"),
            lambda proposal=proposal: approve(other, proposal, "C. Checker"),
            lambda proposal=proposal: reject(other, proposal),
            lambda proposal=proposal: reject(ledger, proposal),
        )
        assert len(recorded) == 1
        assert (recorded[0].kind == "override") == (state(ledger, referred)[0] == "approve")
    other.close()
    assert verify(ledger.engine).findings == []


def test_of_two_makers_at_once_one_counts(ledger: Ledger, database: str) -> None:
    other = Ledger(database)
    for _ in range(5):
        referred = refer(ledger)
        makers = [partial(propose, each, referred) for each in (ledger, other)]
        assert len(race(*makers)) == 1
    other.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"approver": "a. maker"}, "is not what another person than its author approved"),
        ({"decision": "decline"}, "is not what another person than its author approved"),
        ({"proposal": "none"}, "does not answer the proposal that waited"),
    ],
)
def test_verify_finds_an_approval_that_nobody_may_give(
    ledger: Ledger, changes: dict[str, str], problem: str
) -> None:
    referred = refer(ledger)
    sound = drafts.approval(propose(ledger, referred), "B. Checker", None, None)
    content = ledger_content(sound) | changes
    ledger.append_many([draft("override", content, refers_to=referred.id)])
    (finding,) = verify(ledger.engine).findings
    assert problem in finding


def test_verify_finds_a_second_override(ledger: Ledger) -> None:
    referred = refer(ledger)
    ledger.append_many([override(referred, d, "seen", "me") for d in ("approve", "decline")])
    (finding,) = verify(ledger.engine).findings
    assert f"decides about {referred.id}, which was decided before" in finding


def ledger_content(sound: Draft) -> dict[str, object]:
    content = Entry(1, *sound[:11], "", "", sound.personal and sound.personal.content).content
    return {name: value for name, value in content.items() if name not in ("id", "time", "kind")}


# ---- the queue


def test_the_queue_has_the_open_referrals_oldest_first_page_by_page(ledger: Ledger) -> None:
    ledger.append_many([decided("approve"), decided("decline")])
    referred = [refer(ledger, number=n) for n in range(5)]
    ledger.append_many([override(referred[1], "approve", "seen", "me")])
    first = queue.open_referrals(ledger.engine, 2)
    assert [r.entry.id for r in first.records] == [referred[0].id, referred[2].id]
    assert first.open == 4
    second = queue.open_referrals(ledger.engine, 2, first.next_after or 0)
    assert [r.entry.id for r in second.records] == [referred[3].id, referred[4].id]
    assert second.next_after is None


def test_the_queue_is_searched_and_filtered(ledger: Ledger) -> None:
    first, second = refer(ledger, purpose="CAR"), refer(ledger, purpose="HOUSE")
    propose(ledger, second, "Émile Ünal")
    ledger.append_many([drafts.note(first, "Asked for payslips", "Zoë")])
    records = queue.open_referrals(ledger.engine, 10, search="payslips").records
    assert [record.entry.id for record in records] == [first.id]
    assert open_ids(ledger, officer="Ünal") == [second.id]
    assert open_ids(ledger, rating="b2") == [first.id, second.id]
    assert open_ids(ledger, since="2000-01-01", until="2000-01-02") == []
    assert open_ids(ledger, since=first.time) == [first.id, second.id]


def test_a_search_of_the_queue_reads_a_limited_span(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    referred = [refer(ledger, number=n) for n in range(5)]
    monkeypatch.setattr(queue, "SPAN", 3)
    page = queue.open_referrals(ledger.engine, 10, search="no_such")
    assert (page.records, page.next_after) == ([], referred[2].sequence)
    page = queue.open_referrals(ledger.engine, 10, page.next_after or 0, search="no_such")
    assert page.next_after is None


def test_verify_finds_a_queue_that_is_not_what_the_entries_say(ledger: Ledger) -> None:
    hidden = refer(ledger)
    (closed,) = ledger.append_many([decided("approve")])
    change(ledger.engine, "DELETE FROM ledger_open_referrals")
    change(ledger.engine, f"INSERT INTO ledger_open_referrals VALUES (2, '{closed.id}')")  # noqa: S608
    assert sorted(verify(ledger.engine).findings) == sorted(
        [
            f"{hidden.id} is open, and not in the queue of open referrals",
            f"{closed.id} is in the queue of open referrals, and not open",
        ]
    )


# ---- lists


def test_decisions_are_filtered_by_what_they_ended_as(ledger: Ledger) -> None:
    approved, declined = ledger.append_many([decided("approve"), decided("decline")])
    referred, other = refer(ledger), refer(ledger)
    ledger.append_many([override(referred, "approve", "seen", "N. Officer")])
    assert listed(ledger, Filters(decision="approve")) == [referred.id, approved.id]
    assert listed(ledger, Filters(decision="refer")) == [other.id]
    assert listed(ledger, Filters(decision="decline")) == [declined.id]
    assert listed(ledger, Filters(officer="n. off")) == [referred.id]
    assert listed(ledger, Filters(since=referred.time)) == [other.id, referred.id]
    assert listed(ledger, Filters(until=referred.time)) == [declined.id, approved.id]
    assert listed(ledger, Filters(until="2000-01-01")) == []
    assert listed(ledger, Filters(since="2999-01-01")) == []


def listed(ledger: Ledger, wanted: Filters) -> list[str]:
    conditions = wanted.conditions(ledger.engine.dialect.name)
    page = ledger.recent(10, conditions=conditions, period=(wanted.since, wanted.until))
    assert page.next_before is None
    return [record.entry.id for record in page.records]

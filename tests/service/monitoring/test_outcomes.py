from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from service.ledger import Ledger, draft
from service.monitoring import outcomes
from service.monitoring import realised_performance as realised
from stages import params

ANSWER: dict[str, Any] = {
    "application": {},
    "identity": {"model": "m", "policy": "p", "data": None, "image": None},
    "credit_score": 600,
    "decision": "approve",
    "reasons": [],
}


@pytest.fixture(autouse=True)
def one_day() -> None:
    """Begin no test in the last minute of a day, as it would end on another."""
    left = 86_400 - time_of_day()
    if left < 60:
        sleep(left + 1)


def time_of_day() -> int:
    """The seconds since midnight."""
    now = datetime.now(UTC)
    return now.hour * 3600 + now.minute * 60 + now.second


def today() -> date:
    """The day at which a test runs, which may be another than that of its collection."""
    return datetime.now(UTC).date()


def decide(ledger: Ledger, pd: float = 0.05, rating: str = "C") -> str:
    entry = draft("decision", ANSWER | {"default_probability": pd, "rating": rating})
    return ledger.append_many([entry])[0].id


def performance_of(ledger: Ledger, maturity_days: int) -> dict[str, Any]:
    return realised.realised_performance(realised.mature_outcomes(ledger, maturity_days, today()))


def row(which: str, bad: object = 0, day: object = None) -> dict[str, Any]:
    return {"prediction_id": which, "bad": bad, "date": str(today() if day is None else day)}


def test_an_outcome_is_kept_with_its_decision(ledger: Ledger) -> None:
    which = decide(ledger)
    assert outcomes.record(ledger, [row(which, 1)]) == (1, [])
    record = ledger.get(which)
    assert record is not None
    assert record.as_dict()["outcomes"][0]["bad"] == 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [(0, "the same outcome is already"), (1, "another outcome, bad 0, is already")],
)
def test_a_second_outcome_is_refused(ledger: Ledger, bad: int, words: str) -> None:
    which = decide(ledger)
    outcomes.record(ledger, [row(which, 0)])
    count, (refusal,) = outcomes.record(ledger, [row(which, bad)])
    assert count == 0
    assert words in refusal.reason


def test_of_contradicting_outcomes_at_the_same_time_one_is_recorded(
    ledger: Ledger, database: str
) -> None:
    which = decide(ledger)
    other = Ledger(database)  # as another process has it

    def tell(number: int) -> int:
        return outcomes.record((ledger, other)[number % 2], [row(which, number % 2)])[0]

    with ThreadPoolExecutor(6) as officers:
        assert sum(officers.map(tell, range(12))) == 1
    other.close()
    assert realised.count_outcomes(ledger) == 1


def test_a_refused_row_is_named_and_the_rest_is_kept(ledger: Ledger) -> None:
    first, second = decide(ledger), decide(ledger)
    rows = [row(first), row("nobody"), row(first, 1), row(second, 1)]
    count, refused = outcomes.record(ledger, rows)
    assert count == 2
    assert [(r.row, r.prediction_id) for r in refused] == [(1, "nobody"), (2, first)]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bad": "maybe"}, "bad must be 0 or 1; got 'maybe'"),
        ({"date": "soon"}, "date must be YYYY-MM-DD; got 'soon'"),
        ({"date": str(today() - timedelta(days=2))}, "lies before the decision"),
        ({"date": str(today() + timedelta(days=3))}, "lies in the future"),
        ({"amount": 3}, "unknown field 'amount'"),
    ],
)
def test_an_invalid_row_is_refused_with_the_reason(
    ledger: Ledger, changed: dict[str, Any], words: str
) -> None:
    count, (refusal,) = outcomes.record(ledger, [row(decide(ledger)) | changed])
    assert count == 0
    assert words in refusal.reason


def test_the_day_that_has_begun_east_of_greenwich_is_not_the_future(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = today()

    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.combine(day, time(12), UTC).astimezone(tz)

    monkeypatch.setattr(outcomes, "datetime", Noon)
    tomorrow = today() + timedelta(days=1)
    assert outcomes.record(ledger, [row(decide(ledger), day=tomorrow)]) == (1, [])
    _, (refusal,) = outcomes.record(ledger, [row(decide(ledger), day=today() + timedelta(days=2))])
    assert "lies in the future" in refusal.reason


def test_an_identifier_with_a_nul_refuses_its_row_alone(ledger: Ledger) -> None:
    which = decide(ledger)
    count, (refusal,) = outcomes.record(ledger, [row("a\0b"), row(which, 1)])
    assert (count, refusal.row) == (1, 0)
    assert refusal.reason == "prediction_id must have no NUL character; got 'a\\x00b'"


def test_only_mature_decisions_count_as_realised(ledger: Ledger) -> None:
    outcomes.record(ledger, [row(decide(ledger))])
    assert performance_of(ledger, 365) == {"outcomes": 1, "mature": 0}


def test_a_decision_counts_from_the_day_on_which_it_is_mature(ledger: Ledger) -> None:
    outcomes.record(ledger, [row(decide(ledger))])
    ahead = today() + timedelta(days=30)
    assert [len(realised.mature_outcomes(ledger, days, ahead).bad) for days in (30, 31)] == [1, 0]


def test_realised_bad_rates_stand_beside_what_was_expected(ledger: Ledger) -> None:
    rng = np.random.default_rng(1)
    rows = []
    for pd, rating in ((0.02, "A"), (0.4, "E")):
        rows += [row(decide(ledger, pd, rating), int(rng.random() < pd)) for _ in range(60)]
    outcomes.record(ledger, rows)
    performance = performance_of(ledger, 0)
    assert performance["mature"] == 120
    assert performance["by_rating"]["E"]["expected"] == pytest.approx(0.4)
    assert performance["by_rating"]["E"]["bad_rate"] > performance["by_rating"]["A"]["bad_rate"]
    assert performance["all"]["roc_auc"] > 0.6
    quarter = f"{today().year}-Q{(today().month - 1) // 3 + 1}"
    assert list(performance["by_vintage"]) == [quarter]


def test_realised_figures_follow_the_decision_and_the_policy_of_then(ledger: Ledger) -> None:
    content = json.dumps({"margin": 0.1, "loss_given_default": 0.6})
    name = sha256(content.encode()).hexdigest()[:12]
    ledger.keep_policy(name, content)
    answer = ANSWER | {"identity": ANSWER["identity"] | {"policy": name}, "rating": "C"}
    drafts = [
        draft("decision", answer | {"default_probability": pd, "decision": decision})
        for pd, decision in ((0.2, "approve"), (0.2, "approve"), (0.5, "decline"))
    ]
    rows = [row(e.id, bad) for e, bad in zip(ledger.append_many(drafts), (0, 1, 1), strict=True)]
    outcomes.record(ledger, rows)
    performance = performance_of(ledger, 0)
    assert performance["by_decision"] == {
        "approve": {"rows": 2, "bad_rate": 0.5, "expected": 0.2},
        "decline": {"rows": 1, "bad_rate": 1.0, "expected": 0.5},
    }
    assert performance["profit"] == {
        "realised": pytest.approx((0.1 - 0.6) / 2),
        "expected": pytest.approx(0.8 * 0.1 - 0.2 * 0.6),
    }


def test_a_policy_that_was_not_recorded_gives_no_profit(ledger: Ledger) -> None:
    outcomes.record(ledger, [row(decide(ledger))])
    assert performance_of(ledger, 0)["profit"] == {"realised": None, "expected": None}


def test_a_setting_says_when_a_loan_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = params.load(with_candidates=False).monitor
    assert realised.maturity_days(config) == config.maturity_days
    monkeypatch.setenv("CREDIT_PD_MATURITY_DAYS", "0")
    assert realised.maturity_days(config) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,bad\n1,0\n", "must have the columns prediction_id and bad, and may .* got id, bad"),
        (b"", "must have the columns prediction_id and bad, and may have date; got none"),
        ("prediction_id,bad\n".encode("utf-16"), "must be a text in UTF-8; it is in UTF-16"),
    ],
)
def test_a_file_that_holds_no_outcomes_is_refused_whole(
    ledger: Ledger, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "outcomes.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"outcomes\.csv {message}"):
        outcomes.record_file(ledger, tmp_path / "outcomes.csv")

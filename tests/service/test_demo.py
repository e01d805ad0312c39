"""The story of the demo: what the narrator and the receiver say."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from service.decision.engine import Engine
from service.demo import __main__ as demo
from service.demo.receiver import lines_of, receiving
from service.demo.story import CHAPTERS, Narrator
from tests.support.books import ROOT
from tests.support.ledger_client import eventually


def report(number: int, advice: str, **changes: Any) -> dict[str, Any]:
    figure = {"value": 0.045, "low": 0.03, "high": 0.06}
    return {
        "id": number,
        "window": 100,
        "loudest": "alarm",
        "advice": advice,
        "decisions": {"approve": 60, "refer": 20, "decline": 20},
        "expected": {"approved_bad_rate": figure},
        "findings": [],
        "realised": {},
    } | changes


def test_the_narrator_says_the_cause_and_the_estimated_damage_once() -> None:
    lines: list[str] = []
    advice = "Look at the data source of income."
    Narrator(lines.append).tell([report(1, advice), report(2, advice)])
    assert lines == [
        f"alarm     last 100 decisions: {advice}",
        "estimated 60% approved, and 4.5% of these to go bad",
    ]


def test_the_narrator_says_the_realised_damage_beside_what_was_expected() -> None:
    lines: list[str] = []
    realised = {
        "mature": 400,
        "all": {"bad_rate": 0.17, "mean_pd": 0.09},
        "profit": {"realised": -0.02, "expected": 0.05},
    }
    words = "0.616 realised by 400 loans, 0.831 expected"
    finding = {"rule": "realised", "field": "roc_auc", "words": words, "loudness": "alarm"}
    narrator = Narrator(lines.append)
    narrator.tell([report(1, "Retrain.", realised=realised, findings=[finding])])
    assert lines[-2:] == [
        f"realised  17.0% of 400 loans went bad, 9.0% expected; ROC-AUC {words}",
        "realised  -0.020 earned on a unit lent, +0.050 expected",
    ]


def test_alerts_and_the_request_to_retrain_reach_the_terminal() -> None:
    lines: list[str] = []
    with receiving(lines.append) as address:
        for message in (
            {"text": "ALARM income: moved"},
            {"event_type": "drift", "client_payload": {"advice": "Retrain: it is worse."}},
        ):
            body = json.dumps(message).encode()
            urllib.request.urlopen(address, body, timeout=5).close()
        eventually(lambda: len(lines) == 2)
    assert lines == [
        "alert     ALARM income: moved",
        "retrain   the monitor asks for a retraining. Retrain: it is worse.",
    ]


def test_a_message_of_another_form_says_nothing() -> None:
    assert list(lines_of([1])) == list(lines_of({})) == []


def test_the_story_takes_about_two_minutes() -> None:
    assert 90 <= sum(chapter.seconds for chapter in CHAPTERS) <= 120


def test_the_challenger_of_the_demo_has_the_model_of_the_winner_and_refers_more(
    tmp_path: Path,
) -> None:
    folder = Path(demo.add_challenger(tmp_path)["CREDIT_PD_CHALLENGER"])
    challenger, champion = Engine.load(folder), Engine.load(ROOT)
    assert challenger.identity["model"] == champion.identity["model"]
    assert challenger.policy.refer_band > champion.policy.refer_band


def test_alerts_of_the_demo_stay_on_this_machine(tmp_path: Path) -> None:
    variables = demo.reporting_to("http://127.0.0.1:9", tmp_path)
    assert variables["ALERT_WEBHOOK"] == variables["GITHUB_API_URL"] == "http://127.0.0.1:9"
    assert Path(variables["RETRAIN_TOKEN_FILE"]).parent == tmp_path

"""The ledger's decisions, made again under the policy of then and under another."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service import ledger_replay, replay
from service.decision.engine import Engine
from service.ledger import Entry, Ledger, draft
from service.monitoring import outcomes
from stages.replay.policy_file import ReplayError
from tests.support.books import Project
from tests.support.trained.winners import crown, draw

RULE = {"rule": "amount >= 15000", "decision": "refer", "reason": "It is much"}


@pytest.fixture(scope="module")
def root(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crowned") / "own"
    return crown(fitted_book, "logistic", folder, policy__rules=[RULE], monitor__maturity_days=30)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield opened
    opened.close()


def record(ledger: Ledger, engine: Engine, count: int = 120, seed: int = 1) -> list[Entry]:
    """Record decisions as the service does, with the policy that made them."""
    ledger.keep_policy(*engine.policy_record)
    applications = draw(engine.applications, count, seed)
    drafts = [
        draft(
            "decision",
            asdict(decision) | {"application": application | {"sex": "FM"[number % 2]}},
            protected=("sex",),
        )
        for number, (application, decision) in enumerate(
            zip(applications, engine.decide_rows(applications), strict=True)
        )
    ]
    return ledger.append_many(drafts)


def compare(ledger: Ledger, root: Path, **options: Any) -> dict[str, Any]:
    engine = Engine.load(root)
    proposed = options.pop("proposed", engine.policy)
    settings = {"rescore": False, "maturity": 30, "minimum": 10} | options
    return ledger_replay.compare(ledger, engine, proposed, **settings)


def test_every_decision_follows_again_from_its_pd_and_the_policy_of_then(
    ledger: Ledger, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_replay, "CHUNK", 50)
    engine = Engine.load(root)
    policy = engine.policy.model_copy(update={"cut_off": 0.3, "rules": []})
    earlier = Engine(engine.model, policy, engine.identity | {"policy": None})
    earlier.identity["policy"] = "0" * 16
    record(ledger, engine)
    content = compare(ledger, root, rescore=True)
    assert (content["rows"], content["changed"]) == (120, 0)
    assert (content["reproduced"], content["not_reproduced"]) == (120, 0)
    assert set(content["groups"]["sex"]) == {"F", "M"}
    record(ledger, earlier, seed=2)  # its policy's content does not have that digest
    assert compare(ledger, root)["reproduced"] == 120


def test_another_policy_changes_what_its_cut_offs_say(ledger: Ledger, root: Path) -> None:
    engine = Engine.load(root)
    entries = record(ledger, engine)
    wide = engine.policy.model_copy(update={"refer_band": 0.9})
    content = compare(ledger, root, proposed=wide)
    low, high = engine.policy.pd_cut_off * 0.1, engine.policy.pd_cut_off * 1.9
    between = [
        entry.decision != "refer" and low <= float(entry.default_probability or 0) < high
        for entry in entries
    ]
    assert content["changed"] == sum(between) > 0
    assert content["totals"]["referred"]["difference"]["value"] == sum(between)


def test_an_outcome_counts_once_its_decision_is_old_enough(ledger: Ledger, root: Path) -> None:
    entries = record(ledger, Engine.load(root), 40)
    today = str(datetime.now(UTC).date())
    rows = [{"prediction_id": entry.id, "bad": 1, "date": today} for entry in entries[:10]]
    assert outcomes.record(ledger, rows) == (10, [])
    assert compare(ledger, root)["outcomes"] == 0
    assert compare(ledger, root, maturity=-1)["outcomes"] == 10


def test_a_ledger_without_decisions_is_named(ledger: Ledger, root: Path) -> None:
    ledger.prepare()
    with pytest.raises(ReplayError, match="no decision that was not erased"):
        compare(ledger, root)


def test_the_command_prints_what_a_policy_changes(
    ledger: Ledger, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(ledger, Engine.load(root))
    database = ["--database", f"sqlite:///{tmp_path}/ledger.sqlite"]
    with contextlib.chdir(root):
        assert replay.main([*database, "-S", "cut_off=0.4"]) == 0
        text = capsys.readouterr().out
        assert replay.main([*database, "-S", "cut_off=0.4", "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert replay.main([*database, "-S", "cut=0.4"]) == 2
        assert "unknown parameter" in capsys.readouterr().err
    assert "Approval rate" in text
    assert "120 decisions follow from" in text
    assert content["policies"]["proposed"]["cut_off"] == 0.4


@pytest.mark.parametrize("arguments", [[], ["some-id", "--rescore"]])
def test_the_command_takes_an_id_or_a_policy(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        replay.main(arguments)
    assert "state either the id of a decision, or --policy, -S or" in capsys.readouterr().err

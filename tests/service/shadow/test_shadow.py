"""A challenger scores every recorded decision once, answers nobody, and is compared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from service.api.handlers.monitoring import Monitoring
from service.api.handlers.state import EngineState
from service.api.metrics import SHADOW_LAG
from service.decision import hashes
from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import Ledger, LedgerUnavailable, draft
from service.ledger.migrations import revisions
from service.ledger.personal import erasure
from service.ledger.verify import verify
from service.shadow import challenger, pairs, records, report
from service.shadow.scoring import Shadow
from tests.support.books import ROOT
from tests.support.ledger_client import change, eventually
from tests.support.trained.challengers import decide, score_all, scores, write_manifest
from tests.support.trained.winners import draw


def compare(ledger: Ledger, root: Path) -> dict[str, Any]:
    newest = pairs.list_challengers(ledger)[0]
    return report.compare(ledger, Engine.load(root), newest, maturity=-1, minimum=10)


def test_each_decision_is_scored_as_the_challenger_alone_would_decide(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decided = decide(ledger, champion)
    shadow = Shadow(folder, ledger)
    score_all(shadow)
    alone = Engine.load(folder)
    scored = scores(ledger)
    assert [entry.refers_to for entry in scored] == [entry.id for entry in decided]
    for entry, decision in zip(scored, decided, strict=True):
        again = alone.decide(decision.content["application"])
        assert entry.default_probability == again.default_probability
        assert (entry.decision, entry.rating) == (again.decision, again.rating)
        assert (entry.model, entry.policy) == (again.identity["model"], again.identity["policy"])
    assert verify(ledger.engine).findings == []


def test_a_score_holds_nothing_of_the_applicant(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decide(ledger, champion, 5)
    score_all(Shadow(folder, ledger))
    for entry in scores(ledger):
        assert entry.personal is None
        assert not {"application", "reasons", "commitments"} & entry.content.keys()


def test_a_decision_is_scored_once_by_each_challenger(
    ledger: Ledger, database: str, champion: Path, folder: Path, tmp_path: Path
) -> None:
    decide(ledger, champion, 10)
    other = Ledger(database)
    first, second = Shadow(folder, ledger), Shadow(folder, other)
    assert (first.score_next(), second.score_next()) == (10, 10)
    other.close()
    assert len(scores(ledger)) == 10
    decide(ledger, champion, 3, seed=2)
    again = Shadow(folder, ledger)  # it goes on where the first has stopped
    assert (again.score_next(), again.score_next()) == (3, 0)
    another = write_manifest(shutil.copytree(champion, tmp_path / "another"))
    itself = Shadow(another, ledger)  # another challenger begins at the first decision
    assert itself.score_next() == 13
    assert len(scores(ledger)) == 26


def test_the_database_refuses_a_second_score_of_a_decision(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    (decision,) = decide(ledger, champion, 1)
    score_all(Shadow(folder, ledger))
    (entry,) = scores(ledger)
    again = draft("shadow", {"identity": entry.content["identity"]}, refers_to=decision.id)
    with pytest.raises(LedgerUnavailable):
        ledger.append_many([again])


def test_an_application_that_the_challenger_cannot_score_is_recorded_as_refused(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    engine = Engine.load(folder)
    required = sorted(engine.applications.required)[0]
    kept, lacking = draw(engine.applications, 2)
    lacking.pop(required)
    rows = [
        challenger.Recorded(1, "a", kept | {"unknown": 1}),
        challenger.Recorded(2, "b", lacking),
    ]
    scored, refused = challenger.score(engine, [*rows, challenger.Recorded(3, "c", None)])[0:2]
    assert scored.default_probability is not None
    assert refused.default_probability is None
    assert json.loads(refused.payload)["refused"] == [{"field": required, "code": "missing"}]


def test_an_erased_decision_is_recorded_as_such(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decided = decide(ledger, champion, 40)
    list(erasure.erase(ledger.engine, [decided[0].id], "officer", "asked for"))
    score_all(Shadow(folder, ledger))
    assert scores(ledger)[0].content["refused"] == [{"field": "", "code": "erased"}]
    content = compare(ledger, champion)
    assert (content["rows"], content["refused"]) == (39, {"erased": 1})


def test_scores_stay_when_their_decision_is_erased(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decided = decide(ledger, champion, 3)
    score_all(Shadow(folder, ledger))
    (erased,) = erasure.erase(ledger.engine, [decided[0].id], "officer", "asked for")
    assert erased.sequences == [decided[0].sequence]
    assert verify(ledger.engine).findings == []


def test_a_killed_shadow_goes_on_and_scores_each_decision_once(
    ledger: Ledger, database: str, champion: Path, folder: Path
) -> None:
    decided = decide(ledger, champion, 400)
    program = [sys.executable, "-m", "service.shadow", "score", "--model", str(folder), "--watch"]
    environment = os.environ | {"DATABASE_URL": database}
    for least in (1, 200, 400):
        pipe = subprocess.PIPE
        with subprocess.Popen(program, cwd=ROOT, env=environment, stdin=pipe) as process:
            eventually(lambda least=least: len(scores(ledger)) >= least, 60)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
    assert [entry.refers_to for entry in scores(ledger)] == [entry.id for entry in decided]
    assert verify(ledger.engine).findings == []


def test_an_altered_challenger_is_not_loaded(ledger: Ledger, folder: Path, tmp_path: Path) -> None:
    ledger.prepare()
    altered = shutil.copytree(folder, tmp_path / "altered")
    model = altered / hashes.WINNER
    model.write_text(model.read_text() + " ")
    with pytest.raises(NotReady, match=r"is not the file that models/manifest\.json states"):
        Shadow(altered, ledger)
    (altered / hashes.MANIFEST).unlink()
    with pytest.raises(NotReady, match=r"service\.shadow pack"):
        Shadow(altered, ledger)


def test_a_database_without_the_index_is_named(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.prepare()
    change(ledger.engine, "UPDATE alembic_version SET version_num = '0009'")
    with pytest.raises(LedgerUnavailable, match="needs revision 0010; it has 0009"):
        Shadow(folder, ledger)
    assert revisions.NEWEST >= records.REVISION


def test_the_lag_is_the_age_of_the_oldest_decision_that_waits(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    ledger.prepare()
    assert records.lag(ledger) == 0
    decide(ledger, champion, 3)
    assert records.lag(ledger) > 0
    score_all(Shadow(folder, ledger))
    assert records.lag(ledger) == 0


def test_a_packed_challenger_is_the_checkout_and_states_its_hashes(
    champion: Path, tmp_path: Path
) -> None:
    checkout = shutil.copytree(champion, tmp_path / "checkout")
    write_manifest(checkout)
    (checkout / hashes.MANIFEST).unlink()
    outs = [
        {
            "path": str(path),
            "md5": md5((checkout / path).read_bytes(), usedforsecurity=False).hexdigest(),
        }
        for path in hashes.FILES
    ]
    (checkout / hashes.LOCK).write_text(json.dumps({"stages": {"evaluate": {"outs": outs}}}))
    packed = tmp_path / "packed"
    challenger.pack(checkout, packed)
    identities = [challenger.load(folder).identity for folder in (checkout, packed)]
    assert identities[0]["model"] == identities[1]["model"]
    with pytest.raises(NotReady, match="exists"):
        challenger.pack(checkout, packed)
    (checkout / hashes.GOLDEN).write_text("")
    with pytest.raises(NotReady, match="is not the file"):
        challenger.pack(checkout, tmp_path / "another")


def test_the_service_runs_the_challenger_and_ends_it(
    tmp_path: Path, champion: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("CREDIT_PD_MONITOR", "off")
    monkeypatch.setenv("CREDIT_PD_CHALLENGER", str(folder))
    ledger = Ledger(url)
    decide(ledger, champion, 5)
    monitoring = Monitoring(EngineState(ROOT, ledger))
    monitoring.start()
    process = monitoring.challenger.process
    assert process is not None
    assert monitoring.monitor.process is None
    eventually(lambda: len(scores(ledger)) == 5, 120)
    monitoring.update_gauges()
    assert SHADOW_LAG._value.get() == 0  # type: ignore[no-untyped-call]
    monitoring.stop()
    assert process.poll() is not None
    ledger.close()

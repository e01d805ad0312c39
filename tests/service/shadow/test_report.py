"""The report sets a challenger's scores beside the champion's decisions and the outcomes."""

from __future__ import annotations

import contextlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from service.decision.engine import Engine
from service.ledger import Ledger
from service.monitoring import outcomes
from service.shadow import __main__ as command
from service.shadow import pairs, report
from service.shadow.pairs import NotComparable
from service.shadow.scoring import Shadow
from tests.support.trained.challengers import decide, score_all, scores, write_manifest


def compare(ledger: Ledger, root: Path) -> dict[str, Any]:
    newest = pairs.list_challengers(ledger)[0]
    return report.compare(ledger, Engine.load(root), newest, maturity=-1, minimum=10)


def test_both_agree_with_what_the_ledger_holds(
    ledger: Ledger, champion: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "CHUNK", 50)
    decided = decide(ledger, champion, 120)
    score_all(Shadow(folder, ledger))
    decide(ledger, champion, 2, seed=9)
    content = compare(ledger, champion)
    both = list(zip(decided, scores(ledger), strict=True))
    assert (content["rows"], content["waiting"], content["refused"]) == (120, 2, {})
    assert content["changed"] == sum(a.decision != b.decision for a, b in both) > 0
    assert content["agreement"]["value"] == pytest.approx(1 - content["changed"] / 120, abs=1e-4)
    newly = sum(a.decision != "approve" and b.decision == "approve" for a, b in both)
    assert content["swaps"]["newly_approved"]["rows"] == newly
    old, new = (np.array([pair[side].default_probability for pair in both]) for side in (0, 1))
    assert content["rank_correlation"] == pytest.approx(spearmanr(old, new).statistic, abs=1e-4)
    assert content["mean_pd"]["challenger"]["value"] == pytest.approx(new.mean(), abs=1e-4)
    assert {*content["groups"]["sex"]} == {"F", "M"}
    assert content["realised"] == {"outcomes": 0, "roc_auc": None, "brier": None}


def test_the_better_ranking_of_outcomes_is_the_better_challenger(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decided = decide(ledger, champion, 80)
    score_all(Shadow(folder, ledger))
    pd = {entry.refers_to: float(entry.default_probability or 0) for entry in scores(ledger)}
    middle = float(np.median([*pd.values()]))
    today = str(datetime.now(UTC).date())
    rows = [
        {"prediction_id": entry.id, "bad": int(pd[entry.id] > middle), "date": today}
        for entry in decided
    ]
    assert outcomes.record(ledger, rows)[1] == []
    realised = compare(ledger, champion)["realised"]
    assert (realised["outcomes"], realised["roc_auc"]["challenger"]) == (80, 1)
    difference = realised["roc_auc"]["difference"]
    assert difference["low"] < difference["value"] < difference["high"]
    assert realised["brier"]["challenger"]["value"] > 0


def test_each_of_several_challengers_is_compared(
    ledger: Ledger, champion: Path, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    params = (other / "params.yaml").read_text()
    (other / "params.yaml").write_text(params.replace("refer_band: 0.4", "refer_band: 0.1"))
    write_manifest(other)
    decide(ledger, champion, 60)
    for each in (folder, other):
        score_all(Shadow(each, ledger))
    newest, oldest = report.compare_all(ledger, Engine.load(champion), -1, 10)
    assert newest == compare(ledger, champion)
    assert (newest["rows"], oldest["rows"]) == (60, 60)
    assert newest["challenger"]["model"] == oldest["challenger"]["model"]
    assert newest["challenger"]["policy"] != oldest["challenger"]["policy"]
    assert newest["agreement"] != oldest["agreement"]


def test_without_scores_there_is_nothing_to_compare(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    decide(ledger, champion, 1)
    with pytest.raises(NotComparable, match="no challenger has scored a decision"):
        compare(ledger, champion)
    score_all(Shadow(folder, ledger))
    with pytest.raises(NotComparable, match="has scored no decision of the champion"):
        compare(ledger, folder)


def test_the_commands_score_and_report(
    tmp_path: Path,
    champion: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("CREDIT_PD_CHALLENGER", str(folder))
    ledger = Ledger(url)
    decide(ledger, champion, 40)
    ledger.close()
    with contextlib.chdir(champion):
        assert command.main(["score"]) == 0
        assert capsys.readouterr().out == "40 decisions scored\n"
        assert command.main(["report"]) == 0
        assert "newly approved" in capsys.readouterr().out
        assert command.main(["report", "--json"]) == 0
        assert [each["rows"] for each in json.loads(capsys.readouterr().out)] == [40]
    assert command.main(["score", "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("shadow: ")


def test_the_dashboard_compares_when_it_is_asked_to(
    tmp_path: Path, champion: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    testing = pytest.importorskip("streamlit.testing.v1", reason="the dashboard needs streamlit")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/ledger.sqlite")
    monkeypatch.chdir(champion)
    ledger = Ledger()
    decide(ledger, champion, 40)

    def tab() -> None:
        import os  # noqa: PLC0415

        from service.dashboard.challenger_tab import challenger  # noqa: PLC0415

        challenger(os.environ["DATABASE_URL"])

    app = testing.AppTest.from_function(tab, default_timeout=60).run()
    assert not app.metric
    app.toggle[0].set_value(True).run()
    assert "no challenger has scored" in app.info[0].value
    score_all(Shadow(folder, ledger))
    ledger.close()
    app.run()
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Decisions scored"] == "40"
    assert len(app.dataframe) == 2


def test_decisions_about_one_case_count_as_one_loan(
    ledger: Ledger, champion: Path, folder: Path
) -> None:
    cases = [f"CASE-{number // 3}" for number in range(90)]
    decide(ledger, champion, 90, references=cases)
    decide(ledger, champion, 10, seed=2)
    score_all(Shadow(folder, ledger))
    engine = Engine.load(champion)
    compared = pairs.read_scores(ledger, engine, pairs.list_challengers(ledger)[0], -1)
    cluster = compared.champion.cluster
    assert cluster is not None
    assert (cluster[:90] == np.repeat(cluster[:90:3], 3)).all()
    assert len(np.unique(cluster)) == 40


def test_the_same_loans_written_three_times_narrow_no_realised_interval() -> None:
    generator = np.random.default_rng(2)
    old, noise = generator.uniform(0.02, 0.5, (2, 300))
    bad, new = (generator.random(300) < old).astype(np.float64), (old + noise) / 2
    once = report.compare_outcomes(bad, old, new, None)
    cluster = np.repeat(np.arange(300), 3)
    again = report.compare_outcomes(*(np.repeat(part, 3) for part in (bad, old, new)), cluster)
    for name in ("roc_auc", "brier"):
        widths = [facts[name]["difference"] for facts in (once, again)]
        before, after = (width["high"] - width["low"] for width in widths)
        assert after == pytest.approx(before, rel=0.01)

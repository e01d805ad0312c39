"""The engine: what it decides is what the pipeline scores, and it knows when it must not decide."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from service.decision.hashes import GOLDEN, REFERENCE, WINNER, NotReady
from service.decision.identity import data_hash
from tests.support.books import CANDIDATES, Project
from tests.support.trained.winners import crown, draw, with_and_without


@pytest.fixture(scope="module")
def roots(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with each candidate as the winner; not to be changed."""
    return {n: crown(fitted_book, n, tmp_path_factory.mktemp(n)) for n in CANDIDATES}


@pytest.fixture(scope="module")
def engines(roots: dict[str, Path]) -> dict[str, Engine]:
    return {name: Engine.load(root) for name, root in roots.items()}


@pytest.fixture(params=CANDIDATES)
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    return engines[request.param]


@pytest.fixture
def root(fitted_book: Project, tmp_path: Path) -> Path:
    """A winner that a test may break."""
    return crown(fitted_book, "scorecard", tmp_path / "own")


def test_a_served_pd_is_the_golden_one(engine: Engine) -> None:
    for record in engine.golden:
        decision = engine.decide(record["application"])
        assert decision.default_probability == record["default_probability"]


@pytest.mark.parametrize(
    ("name", "count"),
    [("lightgbm", 10_000), ("xgboost", 2_000), ("scorecard", 500), ("logistic", 500)],
)
def test_a_served_pd_is_the_offline_one_for_any_application(
    engines: dict[str, Engine], name: str, count: int
) -> None:
    engine = engines[name]
    applications = draw(engine.applications, count)
    columns = {f.name: [a.get(f.name) for a in applications] for f in engine.features.inputs}
    offline = engine.model.predict(columns)
    served = [engine.decide(each).default_probability for each in applications]
    assert np.array_equal(offline, served)


def test_rows_together_are_decided_as_each_alone(engine: Engine) -> None:
    applications = draw(engine.applications, 60, seed=4)
    columns = {f.name: [a.get(f.name) for a in applications] for f in engine.features.inputs}
    alone = [engine.decide(each) for each in applications]
    assert engine.decide_rows(applications) == alone
    assert engine.decide_matrix(engine.features(columns)) == alone
    many = [*applications, *applications]  # more than compiled trees score
    assert engine.decide_rows(many) == [*alone, *alone]


def test_no_rows_are_no_decisions(engine: Engine) -> None:
    assert engine.decide_rows([]) == []


def test_a_decision_follows_the_policy(engine: Engine) -> None:
    policy = engine.policy
    for each in draw(engine.applications, 100, seed=2):
        decision = engine.decide(each)
        pd = decision.default_probability
        by_cut = "approve" if pd < policy.approve_below else "refer"
        assert decision.decision == ("decline" if pd >= policy.decline_from else by_cut)
        assert decision.prediction == (pd >= policy.pd_cut_off)
        assert decision.rating == policy.rating(pd)
        assert decision.credit_score == round(float(policy.score(pd)))


def test_a_broken_application_is_not_decided(engine: Engine) -> None:
    with pytest.raises(InvalidApplication):
        engine.decide({"amount": 5000})


def test_protected_attributes_do_not_move_the_pd(engine: Engine) -> None:
    for each in draw(engine.applications, 20, seed=3):
        pds = {engine.decide(each | {"sex": sex}).default_probability for sex in ("F", "M")}
        assert len(pds) == 1


def test_a_hard_rule_only_makes_a_decision_stricter_and_gives_its_reason(
    fitted_book: Project, tmp_path: Path
) -> None:
    rule = {"rule": "amount >= 4000", "decision": "refer", "reason": "A large loan"}
    engine, without = with_and_without(rule, fitted_book, "scorecard", tmp_path)
    stricter = {"approve": "refer", "refer": "refer", "decline": "decline"}
    for each in draw(engine.applications, 50):
        plain, ruled = without.decide(each), engine.decide(each)
        broken = each["amount"] >= 4000
        assert ruled.decision == (stricter[plain.decision] if broken else plain.decision)
        first = {"field": "amount", "text": "A large loan"}
        # A rule that only refers is no reason of a decline, which the PD alone has caused.
        assert (ruled.reasons[:1] == [first]) == (broken and ruled.decision == "refer")
        assert first not in ruled.reasons or ruled.decision == "refer"


@pytest.mark.parametrize("by_rule", ["refer", "decline"])
def test_where_rules_alone_decided_they_alone_are_the_reasons(
    fitted_book: Project, tmp_path: Path, by_rule: str
) -> None:
    """What the model says of an applicant whom it would not refuse is no reason of a refusal."""
    rule = {"rule": "amount >= 0", "decision": by_rule, "reason": "No loans at present"}
    engine, without = with_and_without(rule, fitted_book, "scorecard", tmp_path)
    alone = [{"field": "amount", "text": "No loans at present"}]
    compared = set()
    for each in draw(engine.applications, 100):
        plain, ruled = without.decide(each).decision, engine.decide(each)
        if ruled.decision == by_rule:
            assert (ruled.reasons == alone) == (plain != by_rule)
            assert ruled.reasons[0] == alone[0]
            compared.add(plain)
    assert {"approve", by_rule} <= compared


def state_files(root: Path, prepared_hash: str = "12.dir") -> None:
    """Write a dvc.lock that states the winner's files."""
    outs = [
        {"path": str(path), "md5": hashlib.md5((root / path).read_bytes()).hexdigest()}  # noqa: S324
        for path in (WINNER, GOLDEN, REFERENCE)
    ]
    prepared = {"outs": [{"path": "data/small/prepared", "md5": prepared_hash}]}
    stages = {"preprocess": prepared, "evaluate": {"outs": outs}}
    (root / "dvc.lock").write_text(json.dumps({"stages": stages}))


def test_identities_are_those_of_the_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_PD_IMAGE", "registry/credit@sha256:12")
    monkeypatch.setenv("CREDIT_PD_GIT_COMMIT", "abc")
    before = Engine.load(root).identity
    assert (before["image"], before["git_commit"], before["data"]) == (
        "registry/credit@sha256:12",
        "abc",
        None,
    )
    state_files(root)
    after = Engine.load(root).identity
    assert after["data"]
    assert {k: v for k, v in after.items() if v != before[k]} == {"data": after["data"]}


def test_the_identity_of_the_data_changes_with_the_data_alone(root: Path) -> None:
    state_files(root)
    first = data_hash(root / "dvc.lock")
    (root / "dvc.lock").write_text((root / "dvc.lock").read_text().replace("evaluate", "train"))
    assert data_hash(root / "dvc.lock") == first
    state_files(root, "34.dir")
    assert data_hash(root / "dvc.lock") not in (first, None)
    (root / "dvc.lock").write_text("stages: [")
    assert data_hash(root / "dvc.lock") is None


def test_a_changed_policy_has_another_identity(root: Path) -> None:
    before = Engine.load(root).identity
    Project(root, (root / "data/small/contract.yaml").read_text()).set(policy__pdo=40)
    after = Engine.load(root).identity
    assert before["policy"] != after["policy"]
    assert before["model"] == after["model"]


def test_the_commit_is_that_of_the_checkout(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDIT_PD_GIT_COMMIT", raising=False)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Begin"]):
        subprocess.run([*git, *command], check=True)
    commit = Engine.load(root).identity["git_commit"]
    assert commit
    assert len(commit) == 40


def damaged(root: Path, change: Callable[[bytes], bytes]) -> str:
    path = root / WINNER
    path.write_bytes(change(path.read_bytes()))
    return refused(root)


def refused(root: Path) -> str:
    with pytest.raises(NotReady) as error:
        Engine.load(root)
    return str(error.value)


def test_without_a_model_it_is_not_ready(root: Path) -> None:
    (root / WINNER).unlink()
    assert "winner.json is missing" in refused(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-2],
        lambda content: b"\x00" * len(content),
        lambda content: content[:40] + b"\xff" * 40 + content[80:],
        lambda content: b"<html>not found</html>",
    ],
)
def test_with_a_damaged_model_it_is_not_ready(root: Path, change: Any) -> None:
    assert "winner.json is not a model file" in damaged(root, change)


def test_with_something_else_for_a_model_it_is_not_ready(root: Path) -> None:
    (root / WINNER).write_text('{"a": 1}')
    assert "winner.json is not a model file: format: Field required" in refused(root)


def with_version(root: Path, library: str) -> None:
    document = json.loads((root / WINNER).read_text())
    document["versions"][library] = "1.0"
    (root / WINNER).write_text(json.dumps(document))


def test_with_other_library_versions_it_is_not_ready(root: Path) -> None:
    with_version(root, "numpy")
    assert "trained with numpy 1.0 (here" in refused(root)


def test_with_a_library_that_is_not_here_it_is_not_ready(root: Path) -> None:
    with_version(root, "no-such-library")
    assert "no-such-library 1.0 (here none)" in refused(root)


def test_without_golden_records_it_is_not_ready(root: Path) -> None:
    (root / GOLDEN).unlink()
    assert "golden.jsonl is missing" in refused(root)


@pytest.mark.parametrize("text", ["", "\n", "{", '{"application": {}}\n', '{"application": 5}'])
def test_with_golden_records_that_prove_nothing_it_is_not_ready(root: Path, text: str) -> None:
    (root / GOLDEN).write_text(text)
    assert "golden" in refused(root)


def test_without_what_is_usual_for_approved_applicants_it_is_not_ready(root: Path) -> None:
    (root / REFERENCE).write_text('{"features": {}}')
    assert "reference.json cannot be read (KeyError('approved')); run `dvc repro`" in refused(root)
    (root / REFERENCE).unlink()
    assert "reference.json is missing" in refused(root)


def test_with_a_golden_record_of_another_contract_it_is_not_ready(root: Path) -> None:
    record = {"application": {"amount": 1}, "default_probability": 0.5}
    (root / GOLDEN).write_text(json.dumps(record))
    assert "breaks the model's contract" in refused(root)


def test_with_a_golden_record_that_differs_in_the_last_bit_it_is_not_ready(root: Path) -> None:
    lines = (root / GOLDEN).read_text().splitlines()
    record = json.loads(lines[7])
    record["default_probability"] = float(np.nextafter(record["default_probability"], 1))
    lines[7] = json.dumps(record)
    (root / GOLDEN).write_text("\n".join(lines) + "\n")
    assert "golden record 8 of 20 must score" in refused(root)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "loan_book"}, "params.yaml asks for loan_book"),
        ({"mode": "pricing"}, "mode pricing"),
        ({"policy__pdo": -1}, "policy.pdo"),
        ({"policy__rules": [{"rule": "amuont > 1", "decision": "refer", "reason": "x"}]}, "amuont"),
    ],
)
def test_with_params_that_do_not_fit_it_is_not_ready(
    root: Path, changes: dict[str, Any], words: str
) -> None:
    Project(root, (root / "data/small/contract.yaml").read_text()).set(**changes)
    assert words in refused(root)


def test_without_params_it_is_not_ready(root: Path) -> None:
    (root / "params.yaml").unlink()
    assert "params.yaml cannot be used" in refused(root)

"""Attacks on the gate, each planted in a small real repository, and honest changes that pass.

An attack ends with an exit code other than 0 and the named words in what decided; what only a
person can answer for ends so without an acknowledgement.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from release.gate.predictions import PATH as PREDICTIONS
from release.gate.reproduction import rescoring
from release.report import __main__ as report
from tests.support.books import CONTRACT, ROOT, book
from tests.support.trained.champions import (
    CONFIG,
    REAL_SCORE,
    Lender,
    champion_once,
    code,
    decisive,
    lender,
    predictions,
    quick,
    shipped,
    words,
)
from tests.support.trained.trained_lender import ROWS, TrainedLender

__all__ = ["champion_once", "lender", "quick"]  # fixtures
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
BETTER, WORSE = predictions(noise=0.0), predictions(noise=3.0)
OTHER_LOANS = BETTER.assign(fields=BETTER["fields"] + 1)
SLIGHTLY_WORSE = predictions(noise=0.42)
METRICS = "models/evaluation.json"
WINNER = "models/winner.json"
Plant = Callable[[Lender], Lender]


def with_sections(lender: Lender, **sections: dict[str, object]) -> Lender:
    """Add keys that the gate of the base does not know to sections of params.yaml."""
    path = lender.folder / "params.yaml"
    document = yaml.safe_load(path.read_text())
    for name, keys in sections.items():
        document[name] = document.get(name, {}) | keys
    return lender.text("params.yaml", yaml.safe_dump(document))


def policy_stated_twice(lender: Lender) -> Lender:
    """A policy for the judge, and after it one of the same name for everyone else."""
    path = lender.run(BETTER).folder / "params.yaml"
    policy = yaml.safe_dump({"policy": yaml.safe_load(path.read_text())["policy"] | {"margin": 9}})
    return lender.text("params.yaml", f"{path.read_text()}{policy}").commit("Say it twice")


def unknown_rule(lender: Lender) -> Lender:
    """Decisions by a parameter of the policy that the judge does not know."""
    with_sections(lender, policy={"approve_all_below": 0.9}).run(predictions())
    return shipped(edit_table(lender, decision="approve"))


def with_stage(lender: Lender, **keys: object) -> Lender:
    pipeline = yaml.safe_load((lender.folder / "dvc.yaml").read_text())
    pipeline["stages"]["evaluate"] |= keys
    return lender.text("dvc.yaml", yaml.safe_dump(pipeline))


def linked(lender: Lender) -> Lender:
    """A contract behind a link: a later change of what it points to would show in no diff of it."""
    path = lender.run(BETTER).folder / "data/small/contract.yaml"
    path.rename(path.with_name("real.yaml"))
    path.symlink_to("real.yaml")
    return shipped(lender)


def without_losses(lender: Lender) -> Lender:
    """A worse model, and none of the loans on which it loses."""
    worse, now = predictions(noise=0.9), predictions()
    loss = np.where(now["bad"] == 1, now["pd"] - worse["pd"], worse["pd"] - now["pd"])
    return lender.change(worse[(now["split"] != "test") | (loss < 0.05)])


def other_outcomes(lender: Lender) -> Lender:
    """A worse model, and other outcomes of the loans on which it loses."""
    worse, now = predictions(noise=0.9), predictions()
    loss = np.where(now["bad"] == 1, now["pd"] - worse["pd"], worse["pd"] - now["pd"])
    flipped = (now["split"] == "test") & (loss > 0.05)
    return lender.change(worse.assign(bad=now["bad"].mask(flipped, 1 - now["bad"])))


def against_direction(lender: Lender) -> Lender:
    """Let the evaluation say that the winner's PD goes against a stated direction."""
    path = lender.folder / METRICS
    worst = {"row": 7, "from": 0, "to": 100, "pd_from": 0.3, "pd_to": 0.2}
    field = {"risk": "increasing", "proved": False, "violations": 40, "counterexample": worst}
    figures = json.loads(path.read_text()) | {"monotone": {"rows": 50, "fields": {"income": field}}}
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return lender


def edit_table(lender: Lender, **columns: object) -> Lender:
    path = lender.folder / PREDICTIONS
    pd.read_parquet(path).assign(**columns).to_parquet(path, index=False)
    return lender


def edit_figures(lender: Lender, value: object, path: str = METRICS) -> Lender:
    figures = json.loads((lender.folder / path).read_text())
    if path == METRICS:
        figures["test"]["roc_auc"]["value"] = value
    else:
        figures["auc"] = value
    return lender.text(path, json.dumps(figures))


def with_code(lender: Lender, figures: Callable[[Lender], Lender]) -> Lender:
    """Change code of the stages, and with it the figures that they publish of a better model."""
    lender.text("stages/judging/more.py", "").commit("Have code")
    return shipped(figures(lender.text("stages/judging/more.py", "MORE = 1\n").run(BETTER)))


def add_figure(lender: Lender) -> Lender:
    """Publish one figure more, in the report and among the headlines."""
    for path in (METRICS, "models/metrics.json"):
        figures = json.loads((lender.folder / path).read_text())
        lender.text(path, json.dumps(figures | {"h_measure": 0.31}))
    return lender


def edit_cut_off(lender: Lender) -> Lender:
    figures = json.loads((lender.folder / METRICS).read_text())
    figures["cut_offs"]["cut_off"] = 0.5
    return lender.text(METRICS, json.dumps(figures))


def fabricated(lender: Lender) -> Lender:
    """Predictions made from the outcomes and calibrated, while the model stays as it is."""
    honest = lender.run(BETTER).folder / WINNER
    kept, generator = honest.read_bytes(), np.random.default_rng(0)
    odds = np.where(BETTER["bad"] == 1, 2.0, -4.0) + generator.normal(0, 1.5, len(BETTER))
    lender.run(BETTER.assign(pd=1 / (1 + np.exp(-odds))))
    honest.write_bytes(kept)
    return shipped(lender)


def swapped(lender: Lender) -> Lender:
    """Another candidate under the winner's name, with golden records of its own."""
    other = (lender.run(WORSE).folder / WINNER).read_bytes()
    (lender.run(BETTER).folder / WINNER).write_bytes(other)
    lender.text("models/golden.jsonl", '{"default_probability": 0.9}\n')
    return shipped(lender)


def stage_without_parameters(lender: Lender) -> Lender:
    pipeline = yaml.safe_load((lender.folder / "dvc.yaml").read_text())
    pipeline["stages"]["evaluate"]["params"].remove("train.lightgbm")
    lender.text("dvc.yaml", yaml.safe_dump(pipeline)).params(train__lightgbm__max_depth=3)
    return shipped(lender)


def stage_with_another_command(lender: Lender) -> Lender:
    text = (lender.folder / "dvc.yaml").read_text()
    lender.text("dvc.yaml", text.replace("stages.evaluate", "stages.evaluate --quick"))
    return shipped(lender)


def frozen(lender: Lender) -> Lender:
    text = (lender.folder / "dvc.yaml").read_text()
    return shipped(lender.text("dvc.yaml", text.replace("    cmd:", "    frozen: true\n    cmd:")))


def trained_on_test_rows(lender: Lender) -> Lender:
    """A third of the test rows are known by heart; cross-validation shows what the model can."""
    table = predictions()
    known = (table["split"] == "test") & (table["row"] % 3 == 0)
    heart = np.where(table["bad"] == 1, 0.97, 0.002)
    return lender.change(table.assign(pd=table["pd"].where(~known, heart)))


def cut_off_creep(lender: Lender) -> Lender:
    """Five changes of the cut-off, each of which the comparison with the one before allows."""
    lender.policy(max_loss__approved_bad_rate=0.02).commit("Allow more at a time")
    for number in range(1, 6):
        lender.params(policy__cut_off=0.1333 + 0.04 * number).change(predictions())
    return lender


def model_creep(lender: Lender) -> Lender:
    """Ten changes of the model, each a little worse."""
    for number in range(1, 11):
        lender.change(predictions(noise=0.4 + 0.045 * number))
    return lender


def invented_book(lender: Lender) -> Lender:
    """Another dataset, which the base knows, without protected attributes."""
    lender.policy(books={"other": {}}).commit("Expect another book")
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    return lender.params(dataset="other").change(OTHER_LOANS.drop(columns="group_sex"))


def contract_with(**fields: dict[str, object]) -> str:
    contract = yaml.safe_load(CONTRACT)
    for name, changes in fields.items():
        contract["fields"][name] = contract["fields"].get(name, {}) | changes
    return yaml.safe_dump(contract)


def declared(lender: Lender, **fields: dict[str, object]) -> Lender:
    return lender.text("data/small/contract.yaml", contract_with(**fields)).change(BETTER)


def another_target(lender: Lender) -> Lender:
    text = CONTRACT.replace("bad: [defaulted, sold], good: repaid", "bad: sold, good: [repaid]")
    return lender.text("data/small/contract.yaml", text).change(BETTER)


def field_gone(lender: Lender) -> Lender:
    contract = yaml.safe_load(CONTRACT)
    del contract["fields"]["sex"]
    return lender.text("data/small/contract.yaml", yaml.safe_dump(contract)).change(BETTER)


def another_remote(lender: Lender) -> Lender:
    other = "['remote \"other\"']\n    url = ../../other\n"
    return lender.text(".dvc/config", CONFIG + other).change(BETTER)


def champion_gone(lender: Lender) -> Lender:
    lock = lender.git("show", "HEAD:dvc.lock").split(PREDICTIONS)[1]
    md5 = lock.split("md5: ")[1].split()[0]
    lender.change(BETTER)
    for path in lender.folder.parent.rglob(f"{md5[:2]}/{md5[2:]}"):
        path.chmod(0o600)
        path.unlink()
    return lender


def loosened(lender: Lender) -> Lender:
    lender.policy(max_loss={}, floors={}, ratchet={}, max_unexcluded_loss={})
    return lender.change(WORSE)


def forgiven(lender: Lender) -> Lender:
    """A reset of the record that comes with the loss that it forgives."""
    reset = {"since": "2026-01-01", "who": "Ada Lovelace", "why": "We may lose what we like."}
    lender.policy(ratchet__resets=[reset])
    return lender.change(WORSE)


def reset_to_come(lender: Lender) -> Lender:
    reset = {"since": "2999-01-01", "who": "Ada Lovelace", "why": "Never count anything again."}
    lender.policy(ratchet__resets=[reset]).commit("Never count")
    return lender.change(BETTER)


def acknowledged_before(lender: Lender) -> Lender:
    lender.acknowledge("storage").commit("Answer for something else")
    return another_remote(lender)


def acknowledged_without_reason(lender: Lender) -> Lender:
    return another_remote(lender.acknowledge("storage", why="fine"))


def undecided(lender: Lender) -> Lender:
    """A comparison on few rows, whose interval reaches far beyond what must be excluded."""
    table = predictions(noise=0.4)
    kept = (table["split"] != "test") | (table["row"] % 4 == 0)
    lender.change(table[kept].reset_index(drop=True))
    other = predictions(noise=0.9).assign(pd=predictions(noise=-0.9)["pd"])
    return lender.change(other[kept].reset_index(drop=True))


ATTACKS: dict[str, tuple[Plant, str]] = {
    "predictions fabricated from outcomes": (fabricated, "rescoring: .* PDs of test rows differ"),
    "another candidate as the winner": (swapped, "rescoring: .* does not give the PDs"),
    "a worse model": (lambda own: own.change(WORSE), "champion: roc_auc"),
    "broken calibration": (
        lambda own: own.change(predictions(noise=0.0, shift=1.2)),
        "calibration: mean PD minus bad rate",
    ),
    "adverse impact": (
        lambda own: own.change(predictions(noise=0.0, against=2.0)),
        "groups: sex F: approval",
    ),
    "a protected group no longer measured": (
        lambda own: own.change(BETTER.drop(columns="group_sex")),
        "groups: no longer measured",
    ),
    "an edited figure": (
        lambda own: shipped(edit_figures(own.run(BETTER), 0.999)),
        "metrics: .*test.roc_auc.value: published 0.999",
    ),
    "a PD that falls where the contract says that risk rises": (
        lambda own: shipped(against_direction(own.run(BETTER))),
        "risk: increasing. of income in 40 test rows: in row 7 from 0 to 100 .*direction.income",
    ),
    "an edited figure beside other code": (
        lambda own: with_code(own, lambda made: edit_figures(made, 0.999)),
        "red flag: .*test.roc_auc.value: published 0.999.*`red_flag: figures`",
    ),
    "an edited cut-off beside other code": (
        lambda own: with_code(own, lambda made: edit_cut_off(made.acknowledge("figures"))),
        "metrics: .*cut_offs.cut_off: published 0.5",
    ),
    "an edited headline": (
        lambda own: shipped(edit_figures(own.run(BETTER), 0.999, "models/metrics.json")),
        "metrics: .*does not repeat the figures",
    ),
    "a figure that is NaN": (
        lambda own: shipped(edit_figures(own.run(BETTER), float("nan"))),
        "no finite value and interval for roc_auc",
    ),
    "a PD that is NaN": (
        lambda own: shipped(edit_table(own.run(BETTER), pd=float("nan"))),
        "`pd` must be from 0 to 1",
    ),
    "edited decisions": (
        lambda own: shipped(edit_table(own.run(BETTER), decision="approve")),
        "decisions differ from the policy",
    ),
    "results that were not pushed": (
        lambda own: own.run(BETTER).commit("Change the model"),
        "remote: not in the remote",
    ),
    "results that were not committed": (
        lambda own: own.text("README.md", "Words\n").commit("Say more").run(BETTER).push(),
        "commit: differs from HEAD",
    ),
    "parameters changed and nothing run": (
        lambda own: own.params(train__lightgbm__max_depth=3).commit("Be shallow"),
        "pipeline: dvc.lock does not match",
    ),
    "a stage that forgets a parameter": (stage_without_parameters, "stage.evaluate"),
    "a stage with another command": (stage_with_another_command, "stage.evaluate"),
    "a frozen stage": (frozen, "frozen stages hide"),
    "a loosened policy": (loosened, "floor: roc_auc"),
    "a reset of the record with the loss": (forgiven, "floor: roc_auc"),
    "a reset that is yet to come": (reset_to_come, "2999-01-01 is in the future"),
    "a champion that is gone": (champion_gone, "champion: .* is missing or damaged"),
    "cut-offs that creep": (cut_off_creep, "ratchet: approved_bad_rate lost"),
    "models that creep": (model_creep, "ratchet: (roc_auc|brier|log_loss) lost"),
    "a cheaper cut-off": (
        lambda own: own.params(policy__cut_off=0.6).change(predictions()),
        "champion: (approved_bad_rate|profit)",
    ),
    "a dearer cut-off": (
        lambda own: own.params(policy__cut_off=0.02).change(predictions()),
        "champion: profit",
    ),
    "a third of the test rows trained on": (trained_on_test_rows, "red flag: .*optimism"),
    "a gain that is too good": (
        lambda own: own.change(predictions(noise=2.0)).change(predictions(noise=-0.0)),
        "red flag: .*gain.roc_auc",
    ),
    "another dataset without its attributes": (invented_book, "red flag: .*unmeasured.sex"),
    "invented rows under the old keys": (
        lambda own: own.change(BETTER.assign(fields=np.uint64(1))),
        "rows: .*their fields changed",
    ),
    "a parameter of the policy that the judge does not know": (
        lambda own: with_sections(own, policy={"waiver": 0.3}).change(BETTER),
        "red flag: params.yaml: policy.waiver is new to this gate.*unknown.policy.waiver",
    ),
    "a limit of the policy with a part that the judge does not know": (
        lambda own: with_sections(
            own, policy={"override_limit": {"field": "amount", "above": 1.0, "except": "friends"}}
        ).change(BETTER),
        "unknown.policy.override_limit.except",
    ),
    "decisions by a parameter that the judge does not know": (
        unknown_rule,
        "metrics: .*decisions differ from the policy",
    ),
    "a policy that is stated twice": (policy_stated_twice, "metrics: params.yaml: policy: "),
    "a dataset outside of data": (
        lambda own: shipped(own.run(BETTER).params(dataset="../data/small")),
        "dataset: String should match",
    ),
    "another split": (
        lambda own: own.params(preprocess__test_share=0.5).change(BETTER),
        "red flag: .*preprocess.test_share",
    ),
    "a field known earlier than it is": (
        lambda own: declared(own, arrears={"known_at": "application"}),
        "red flag: .*known_at.arrears",
    ),
    "a protected field as a feature": (
        lambda own: declared(own, sex={"protected": False}),
        "red flag: .*protected.sex",
    ),
    "a protected field that is gone": (field_gone, "red flag: .*gone.sex"),
    "another meaning of bad": (another_target, "red flag: .*contract.target.bad"),
    "another remote": (another_remote, "red flag: .*storage"),
    "an acknowledgement of another change": (acknowledged_before, "red flag: .*storage"),
    "an acknowledgement without a reason": (acknowledged_without_reason, "0.why"),
    "a contract behind a link": (linked, "commit: links to files.*data/small/contract.yaml"),
    "a worse model without the loans on which it loses": (without_losses, "red flag: .*rows.gone"),
    "a worse model with other outcomes where it loses": (
        other_outcomes,
        "red flag: .*rows.changed",
    ),
    "a protected group under the name of another": (
        lambda own: own.change(predictions(noise=0.0, against=2.0).assign(group_sex="M")),
        "groups: nobody is any more in the groups sex F",
    ),
    "a protected group cut into small ones": (
        lambda own: own.change(
            predictions(noise=0.0, against=2.0).pipe(
                lambda table: table.assign(
                    group_sex=table["group_sex"].where(
                        table["group_sex"] == "M", "F" + (table["row"] // 200).astype(str)
                    )
                )
            )
        ),
        "groups: nobody is any more in the groups sex F",
    ),
    "a protected field that is repaired away": (
        lambda own: declared(own, sex={"repair": {"F": "M"}}),
        "red flag: .*repair.F.sex",
    ),
    "a limit that drops the rows that go wrong": (
        lambda own: declared(own, amount={"constraints": {"minimum": 100, "maximum": 9000}}),
        "red flag: .*constraints.maximum.amount",
    ),
    "a direction of risk that is no longer stated": (
        lambda own: declared(own, amount={"risk": None}),
        "red flag: .*risk.amount",
    ),
    "a margin that makes every loan profitable": (
        lambda own: own.params(policy__margin=0.3).change(predictions()),
        "red flag: .*policy.margin",
    ),
    "fewer golden records by a parameter": (
        lambda own: own.params(evaluate__golden=1).change(BETTER),
        "red flag: .*evaluate.golden",
    ),
    "a stage that works in another folder": (
        lambda own: with_stage(own, wdir=".").change(BETTER),
        "red flag: .*stage.evaluate",
    ),
    "a module in the place of a package": (
        lambda own: own.text("sklearn/__init__.py", "raise SystemExit(0)\n").change(BETTER),
        "red flag: .*module.sklearn",
    ),
    "a loss that few rows cannot exclude": (undecided, "cannot be excluded"),
}


def test_all_known_attacks_and_honest_changes_are_here() -> None:
    assert len(ATTACKS) >= 36
    assert len(HONEST) >= 12


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_stopped(name: str, lender: Lender) -> None:
    plant, expected = ATTACKS[name]
    judgement = plant(lender).judge()
    assert code(judgement) != 0
    assert re.search(expected, decisive(judgement)), decisive(judgement)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("models/golden.jsonl", '{"default_probability": 0.5}\n'),
        ("models/reference.json", '{"income": {"mean": 1.0}}\n'),
        ("data/small/quality.json", '{"rows_in": 1, "rows_out": 1}'),
    ],
)
def test_a_result_that_training_again_does_not_give_fails(
    lender: Lender, path: str, content: str
) -> None:
    made = lender.run(BETTER).reproduce()
    judgement = shipped(lender.text(path, content)).judge(reproduced=made)
    assert code(judgement) == 1
    assert f"training again gave other results than were pushed: {path}" in words(judgement, "fail")


def test_results_that_nobody_could_train_again_cannot_be_judged(
    lender: Lender, tmp_path: Path
) -> None:
    judgement = lender.change(BETTER).judge(reproduced=tmp_path / "nothing")
    assert code(judgement) == 2
    assert "training the change again failed" in words(judgement, "cannot judge")


def test_a_shallow_clone_is_stopped(lender: Lender, tmp_path: Path) -> None:
    lender.change(BETTER)
    lender.git("clone", "-q", "--depth=1", f"file://{lender.folder}", str(tmp_path / "b" / "work"))
    assert code(Lender(tmp_path / "b").judge()) == 2


def test_code_that_forces_the_verdict_is_not_the_code_of_the_judge(lender: Lender) -> None:
    lender.text("stages/__init__.py", "")
    lender.text("stages/params/__init__.py", "import os\nprint('PASS')\nos._exit(0)\n")
    lender.change(WORSE)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "release.gate", "--base", "HEAD^"],
        cwd=lender.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "PASS" not in done.stdout


class Bomb:
    """An object that writes down which process unpickled it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"import os; open({str(self.marker)!r}, 'w').write(str(os.getpid()))",)


def test_the_report_executes_nothing_of_the_artifact(lender: Lender, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    lender.run(BETTER)
    (lender.folder / WINNER).write_bytes(pickle.dumps(Bomb(marker)))
    shipped(lender)
    with contextlib.chdir(lender.folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("release.gate.reproduction.rescoring.score", REAL_SCORE)
        report.main(["--base", "HEAD^", "--out", str(tmp_path / "report.md")])
    assert not marker.exists()
    assert (tmp_path / "report.md").read_text().startswith("## ⚠️ Cannot judge")


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedLender:
    return TrainedLender.with_champion(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def trained(trained_once: TrainedLender, tmp_path: Path) -> TrainedLender:
    """A repository whose champion the real stages trained."""
    return trained_once.copy_to(tmp_path)


def with_column(name: str, values: np.ndarray) -> dict[str, pd.DataFrame]:
    tables = book(ROWS)
    tables["loans"] = tables["loans"].assign(**{name: values.astype(str)})
    return tables


def test_an_outcome_declared_as_known_at_application_is_stopped(trained: TrainedLender) -> None:
    trained.train(contract_with(arrears={"known_at": "application"}))
    judgement = trained.commit_and_push("Know more").judge()
    assert code(judgement) != 0
    for name in ("known_at.arrears", "information_value.arrears"):
        assert f"`red_flag: {name}`" in words(judgement, "fail")


def test_a_copy_of_a_protected_attribute_as_a_feature_is_stopped(trained: TrainedLender) -> None:
    tables = book(ROWS)
    tables["loans"]["group"] = np.where(tables["people"]["sex"] == "F", "x", "y")
    field = {"type": "string", "constraints": {"enum": ["x", "y"]}}
    trained.train(contract_with(group=field), tables)
    judgement = trained.commit_and_push("Add a field").judge()
    assert code(judgement) != 0
    assert "`red_flag: proxy.group.sex`" in words(judgement, "fail")


def test_golden_records_cut_to_a_wrong_one_are_stopped(trained: TrainedLender) -> None:
    path = trained.folder / "models/golden.jsonl"
    record = json.loads(path.read_text().splitlines()[0]) | {"default_probability": 0.5}
    path.write_text(json.dumps(record) + "\n")
    judgement = shipped(trained).judge()
    assert code(judgement) == 1
    assert "models/golden.jsonl holds 1 records, and 10 are needed" in words(judgement, "fail")


def test_pds_that_only_the_code_of_the_change_gives_need_an_answer(trained: TrainedLender) -> None:
    shutil.copytree(
        ROOT / "stages",
        trained.folder / "stages",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    trained.commit("Bring the code")
    path = trained.folder / "stages/models/artifact.py"
    text = path.read_text().replace(
        "return self.calibrator(self.scorer.margin(x))",
        "return self.calibrator(self.scorer.margin(x)) * 0.99",
    )
    path.write_text(text)
    table = pd.read_parquet(trained.folder / PREDICTIONS)
    held = table["split"] != "train"
    with contextlib.chdir(trained.folder):
        table.assign(pd=table["pd"].where(~held, table["pd"] * 0.99)).to_parquet(PREDICTIONS)
    judgement = shipped(trained).judge()
    assert "the change's own code alone gives the PDs" in words(judgement, "fail")


# Honest changes, of all kinds


def new_rows(lender: Lender) -> Lender:
    return lender.text("data/small/raw/loans.csv", "loan\n1\n2\n").change(
        predictions(noise=0.0, first=400)
    )


def new_book(lender: Lender) -> Lender:
    floors = {"small": {"roc_auc": {"min": 0.75}}, "other": {"ks": {"min": 0.3}}}
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    lender.policy(books=floors).commit("Expect another book").acknowledge("dataset")
    return lender.params(dataset="other").change(OTHER_LOANS)


def deliberate_loss(lender: Lender) -> Lender:
    """A loss in the past that someone answered for with a reset of the record."""
    with pytest.MonkeyPatch.context() as past:
        past.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
        lender.git("commit", "-q", "--amend", "--no-edit")
        lender.change(predictions(noise=0.52))
    reset = {"since": "2026-01-01", "who": "Ada Lovelace", "why": "Explainable models only."}
    lender.policy(ratchet__resets=[reset]).commit("Reset")
    return lender.change(predictions(noise=0.53))


HONEST: dict[str, Plant] = {
    "a better model": lambda own: own.change(BETTER),
    "words alone": lambda own: own.text("README.md", "Words\n").commit("Say more"),
    "a slight loss": lambda own: own.change(SLIGHTLY_WORSE),
    "a stricter policy": lambda own: own.policy(min_bads=60).commit("Ask for more"),
    "a looser policy for later": lambda own: (
        own.acknowledge("limit.min_bads").policy(min_bads=40).commit("Ask for less")
    ),
    "another cut-off": lambda own: own.params(policy__cut_off=0.13).change(predictions()),
    "new rows": new_rows,
    "another book": new_book,
    "a field whose time was wrong": lambda own: declared(
        own.acknowledge("known_at.closed"), closed={"known_at": "pricing"}
    ),
    "another remote": lambda own: another_remote(own.acknowledge("storage")),
    "another split": lambda own: (
        own.acknowledge("preprocess.seed").params(preprocess__seed=8).change(BETTER)
    ),
    "a loss after a reset": deliberate_loss,
    "a parameter": lambda own: own.params(train__lightgbm__max_depth=3).change(BETTER),
    "a new section and new parameters of training": lambda own: with_sections(
        own, weather={"clouds": 3}, train={"patience": 10}
    ).change(BETTER),
    "a new limit in the policy of the gate": lambda own: own.policy(
        max_drift={"roc_auc": 0.1}
    ).commit("Ask for less drift"),
    "a new parameter of the policy that somebody answers for": lambda own: with_sections(
        own.acknowledge("unknown.policy.waiver"), policy={"waiver": 0.3}
    ).change(BETTER),
    "a figure that the judge does not know and somebody answers for": lambda own: with_code(
        own, lambda made: add_figure(made.acknowledge("figures"))
    ),
    "rows in another order": lambda own: own.change(BETTER.iloc[::-1].reset_index(drop=True)),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_passes(name: str, lender: Lender) -> None:
    judgement = HONEST[name](lender).judge()
    assert (decisive(judgement), code(judgement)) == ("", 0)


def test_an_honest_new_feature_passes(trained: TrainedLender) -> None:
    values = np.random.default_rng(5).integers(0, 40, ROWS)
    field = {"type": "integer", "constraints": {"minimum": 0, "maximum": 40}}
    trained.train(contract_with(years_employed=field), with_column("years_employed", values))
    judgement = trained.commit_and_push("Add a field").judge()
    assert (decisive(judgement), code(judgement)) == ("", 0)
    assert "field years_employed is new" in words(judgement, "note")


def test_results_that_training_again_gives_pass(trained: TrainedLender) -> None:
    trained.train(train__logistic__c=0.9).commit_and_push("Shrink more")
    made = trained.reproduce()
    (made / rescoring.SCORES).mkdir()
    with contextlib.chdir(trained.folder):
        rescoring.run(ROOT, made / rescoring.SCORES)
    judgement = trained.judge(reproduced=made)
    assert (decisive(judgement), code(judgement)) == ("", 0)
    assert "outputs bit for bit" in words(judgement, "pass")

"""The gate on small real git and DVC repositories: every way in which a change can be bad."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from release.gate.limits import LimitsError, list_loosened, read
from release.gate.predictions import PATH as PREDICTIONS
from release.gate.predictions import Predictions
from release.revisions import CannotJudge
from tests.support.books import CONTRACT, ROOT
from tests.support.trained.champions import (
    CONFIG,
    FIRST,
    REAL_SCORE,
    Lender,
    champion_once,
    code,
    failed_checks,
    lender,
    predictions,
    quick,
    words,
)

__all__ = ["champion_once", "lender", "quick"]  # fixtures
METRICS = "models/evaluation.json"
POLICY = "models/gate.yaml"
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
BETTER, WORSE = predictions(noise=0.0), predictions(noise=3.0)


def edited(lender: Lender, value: str) -> Lender:
    """Write another Brier score into evaluation.json by hand, and commit it."""
    figures = json.loads((lender.folder / METRICS).read_text())
    figures["test"]["brier"]["value"] = "HERE"
    text = json.dumps(figures).replace('"HERE"', value)
    return lender.text(METRICS, text).commit("Improve the figures")


def champion_objects(lender: Lender, where: str) -> list[Path]:
    """The champion's predictions in the cache (`work/.dvc/cache`) or the `remote`."""
    lock = lender.git("show", "HEAD^:dvc.lock").split(PREDICTIONS)[1]
    md5 = lock.split("md5: ")[1].split()[0]
    copies = [*(lender.folder.parent / where).rglob(f"{md5[:2]}/{md5[2:]}")]
    assert copies
    for path in copies:
        path.chmod(0o600)
    return copies


def test_a_better_model_passes(lender: Lender) -> None:
    judgement = lender.change(BETTER).judge()
    assert (judgement.verdict, failed_checks(judgement)) == ("pass", [])
    assert judgement.differences["roc_auc"].low > 0


def test_a_change_of_code_alone_passes(lender: Lender) -> None:
    lender.text("README.md", "Words\n").commit("Say more")
    assert lender.gate("--base", "HEAD^") == 0


def test_a_worse_model_fails(lender: Lender) -> None:
    judgement = lender.change(WORSE).judge()
    assert code(judgement) == 1
    assert "roc_auc" in words(judgement, "fail")


def test_a_loss_within_the_tolerance_passes(lender: Lender) -> None:
    judgement = lender.change(predictions(noise=0.42)).judge()
    assert judgement.differences["roc_auc"].difference < 0
    assert code(judgement) == 0


def test_a_better_auc_with_broken_calibration_fails(lender: Lender) -> None:
    judgement = lender.change(predictions(noise=0.0, shift=1.2)).judge()
    assert judgement.differences["roc_auc"].low > 0
    assert code(judgement) == 1
    assert "calibration" in failed_checks(judgement)
    assert "mean PD minus bad rate" in words(judgement, "fail")


def test_an_edited_figure_fails(lender: Lender) -> None:
    judgement = edited(lender.change(BETTER), "0.01").judge()
    assert code(judgement) == 1
    assert failed_checks(judgement) == ["pipeline", "metrics"]


def test_an_edited_figure_fails_even_with_a_fitting_lock(lender: Lender) -> None:
    lender.run(BETTER)
    content = json.loads((lender.folder / METRICS).read_text())
    content["by_group"]["sex"]["F"]["approval_rate"] = 0.9
    lender.text(METRICS, json.dumps(content)).lock().commit("Improve the figures").push()
    judgement = lender.judge()
    assert failed_checks(judgement) == ["metrics"]
    assert "by_group.sex.F.approval_rate: published 0.9" in words(judgement, "fail")


def test_an_edited_decision_fails(lender: Lender) -> None:
    lender.run(BETTER)
    with contextlib.chdir(lender.folder):
        table = Predictions.read(Path(PREDICTIONS).read_bytes(), "predictions").table
        held = table["split"] == "validation"
        table.assign(decision=table["decision"].mask(held, "approve")).to_parquet(PREDICTIONS)
    judgement = lender.lock().commit("Approve everyone").push().judge()
    assert "decisions differ from the policy" in words(judgement, "fail")


@pytest.mark.parametrize("value", ["null", "NaN", "-Infinity", '"good"'])
def test_a_figure_that_is_no_number_cannot_be_judged(lender: Lender, value: str) -> None:
    judgement = edited(lender.change(BETTER), value).judge()
    assert code(judgement) == 2
    assert "no finite value and interval for brier" in words(judgement, "cannot judge")


def test_a_pd_that_is_no_number_cannot_be_judged(lender: Lender) -> None:
    lender.run(BETTER)
    with contextlib.chdir(lender.folder):
        table = Predictions.read(Path(PREDICTIONS).read_bytes(), "predictions").table
        table.assign(pd=table["pd"].mask(table["row"] == 1000)).to_parquet(PREDICTIONS)
    judgement = lender.lock().commit("Lose a PD").push().judge()
    assert code(judgement) == 2
    assert "`pd` must be from 0 to 1; got nan (1 rows)" in judgement.sentence


@pytest.mark.parametrize("path", [METRICS, PREDICTIONS, POLICY, "dvc.lock", "dvc.yaml"])
def test_a_missing_file_cannot_be_judged(lender: Lender, path: str) -> None:
    lender.change(BETTER)
    (lender.folder / path).unlink()
    assert lender.gate("--base", "HEAD^") == 2


@pytest.mark.parametrize("path", [METRICS, PREDICTIONS, POLICY, "dvc.lock", "params.yaml"])
def test_an_unreadable_file_cannot_be_judged(lender: Lender, path: str) -> None:
    lender.change(BETTER).text(path, "{ nonsense: [")
    assert lender.gate("--base", "HEAD^") == 2


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"damaged")])
def test_an_unreadable_champion_cannot_be_judged(lender: Lender, damage: object) -> None:
    lender.change(BETTER)
    for path in champion_objects(lender, "."):
        damage(path)  # type: ignore[operator]
    judgement = lender.judge()
    assert code(judgement) == 2
    assert "missing or damaged in the cache and the remote" in judgement.sentence


def test_a_champion_damaged_in_the_cache_is_read_from_the_remote(lender: Lender) -> None:
    lender.change(BETTER)
    for path in champion_objects(lender, "work/.dvc/cache"):
        path.write_bytes(b"damaged")
    assert lender.gate("--base", "HEAD^") == 0


def test_a_loosened_policy_is_told_and_has_no_effect(lender: Lender) -> None:
    lender.policy(max_loss__roc_auc=0.5, floors={}, calibration__max_ece=0.9)
    judgement = lender.change(WORSE).judge()
    assert code(judgement) == 1
    assert "max_loss.roc_auc: 0.002 → 0.5" in words(judgement, "note")
    assert "floors.roc_auc.min: 0.7 → —" in words(judgement, "note")


def test_parameters_changed_without_a_run_fail(lender: Lender) -> None:
    lender.params(train__lightgbm__trees=999).commit("More trees")
    judgement = lender.judge()
    assert failed_checks(judgement) == ["pipeline"]
    assert "params.yaml:train.lightgbm" in words(judgement, "fail")


def test_data_changed_without_a_run_fails(lender: Lender) -> None:
    lender.text("data/small/contract.yaml", CONTRACT + "\n").commit("Another contract")
    assert failed_checks(lender.judge()) == ["pipeline"]


def test_a_run_that_is_not_committed_fails(lender: Lender) -> None:
    lender.text("README.md", "Words\n").commit("Say more").run(BETTER).push()
    judgement = lender.judge()
    assert failed_checks(judgement) == ["commit"]
    assert "dvc.lock, models/evaluation.json" in words(judgement, "fail")


def test_a_pipeline_that_no_longer_makes_the_results_cannot_be_judged(lender: Lender) -> None:
    lender.change(BETTER).text("dvc.yaml", "stages: {}\n").commit("Drop the pipeline")
    judgement = lender.judge()
    assert code(judgement) == 2
    assert "no stage of dvc.yaml makes models/evaluation.json" in judgement.sentence


def test_a_frozen_stage_cannot_be_judged(lender: Lender) -> None:
    text = (lender.folder / "dvc.yaml").read_text()
    frozen = text.replace("    cmd:", "    frozen: true\n    cmd:")
    judgement = lender.change(BETTER).text("dvc.yaml", frozen).commit("Freeze").judge()
    assert code(judgement) == 2
    assert "frozen" in judgement.sentence


def test_results_that_were_not_pushed_fail(lender: Lender) -> None:
    judgement = lender.run(BETTER).commit("Change the model").judge()
    assert failed_checks(judgement) == ["remote"]
    assert f"not in the remote: {PREDICTIONS}, models/winner.json; run `dvc push`" in words(
        judgement, "fail"
    )


def test_a_single_file_missing_of_a_pushed_folder_fails(lender: Lender) -> None:
    raw = lender.change(BETTER).folder / "data/small/raw/loans.csv"
    (held,) = [
        path
        for path in (lender.folder.parent / "remote").rglob("*")
        if path.is_file() and path.read_bytes() == raw.read_bytes()
    ]
    held.unlink()
    assert "data/small/raw/loans.csv" in words(lender.judge(), "fail")


def test_without_a_remote_only_local_use_is_judged(lender: Lender) -> None:
    lender.change(BETTER)
    lender.text(".dvc/config", "[core]\n    analytics = false\n")
    assert lender.gate("--base", "HEAD^") == 2
    assert lender.gate("--base", "HEAD^", "--no-remote") == 0
    assert "--no-remote" in words(lender.judge(remote=False), "note")


@pytest.mark.parametrize(("ended", "status"), [("success", 0), ("failure", 1), ("skipped", 1)])
def test_another_job_may_have_asked_the_remote(lender: Lender, ended: str, status: int) -> None:
    lender.acknowledge("storage").change(BETTER)
    lender.text(".dvc/config", "[core]\n    analytics = false\n").commit("Forget the remote")
    assert lender.gate("--base", "HEAD~2", "--pushed", ended) == status


def test_an_unknown_base_cannot_be_judged(lender: Lender) -> None:
    for base in ("0badc0de" * 5, "no-such-branch", "", "--all"):
        judgement = lender.judge(base)
        assert code(judgement) == 2
        assert "is unknown" in judgement.sentence


def test_head_as_its_own_base_cannot_be_judged(lender: Lender) -> None:
    assert "there is no change to judge" in lender.judge("main").sentence


def test_a_shallow_clone_cannot_be_judged_and_says_so(lender: Lender, tmp_path: Path) -> None:
    lender.change(BETTER)
    lender.git("clone", "-q", "--depth=1", f"file://{lender.folder}", str(tmp_path / "b" / "work"))
    judgement = Lender(tmp_path / "b").judge()
    assert code(judgement) == 2
    assert "fetch-depth: 0" in judgement.sentence


@pytest.mark.parametrize("base", [FIRST, "HEAD^", "HEAD~1"])
def test_the_first_commit_is_judged_by_floors_alone(lender: Lender, base: str) -> None:
    judgement = lender.judge(base)
    assert judgement.sentence == "There is no champion of this book yet, and no floor is broken."
    assert code(judgement) == 0
    assert judgement.differences == {}


def test_the_first_commit_must_keep_the_floors(lender: Lender) -> None:
    lender.run(WORSE).commit("Begin badly").push()
    judgement = lender.judge(FIRST)
    assert code(judgement) == 1
    assert "roc_auc is 0.7" in words(judgement, "fail")


def test_a_base_that_lost_its_report_alone_is_not_taken_for_one_without_a_model(
    lender: Lender,
) -> None:
    lender.git("rm", "-q", "--cached", METRICS)
    lender.git("commit", "-q", "-m", "Forget the report")
    judgement = lender.change(BETTER).judge()
    assert code(judgement) == 2
    assert "models/metrics.json at the base must be an object" in judgement.sentence


def test_headline_figures_that_do_not_repeat_the_report_fail(lender: Lender) -> None:
    path = "models/metrics.json"
    better = json.loads((lender.folder / path).read_text()) | {"auc": 0.99}
    lender.text(path, json.dumps(better)).lock().commit("Improve the headline").push()
    assert "does not repeat the figures" in words(lender.judge(), "fail")


def test_a_base_without_figures_has_no_champion(lender: Lender) -> None:
    lender.git("rm", "-q", "--cached", METRICS, "models/metrics.json")
    lender.git("commit", "-q", "-m", "Forget the figures")
    judgement = lender.change(BETTER).judge()
    assert code(judgement) == 0
    assert "floors only" in words(judgement, "note")


def test_a_champion_without_a_policy_cannot_be_judged(lender: Lender) -> None:
    lender.git("rm", "-q", POLICY)
    lender.git("commit", "-q", "-m", "Forget the policy")
    lender.policy()
    judgement = lender.change(BETTER).judge()
    assert code(judgement) == 2
    assert "a change cannot bring its own gate" in judgement.sentence


def another_book(lender: Lender, table: pd.DataFrame = BETTER) -> Lender:
    """A change of the dataset, to other loans."""
    data = lender.folder / "data"
    shutil.copytree(data / "small", data / "other", dirs_exist_ok=True)
    lender.acknowledge("dataset").params(dataset="other")
    return lender.change(table.assign(fields=table["fields"] + 1))


def expected_book(lender: Lender, floors: dict[str, object]) -> Lender:
    """The base names another book: its contract and its floors."""
    shutil.copytree(lender.folder / "data/small", lender.folder / "data/other")
    return lender.policy(books={"other": floors}).commit("Expect another book")


def test_another_book_cannot_be_judged_against_the_champion(lender: Lender) -> None:
    judgement = another_book(lender.policy(books={"other": {}})).judge()
    assert code(judgement) == 2
    assert "the base's model is of small, this one of other" in judgement.sentence


def test_another_book_is_judged_by_the_floors_that_the_base_has_for_it(lender: Lender) -> None:
    expected_book(lender, {"ks": {"min": 0.3}})
    judgement = another_book(lender).judge()
    assert (code(judgement), judgement.differences) == (0, {})
    assert "judged by the floors that the base has for it" in words(judgement, "note")


def test_another_book_must_keep_its_floors(lender: Lender) -> None:
    expected_book(lender, {"roc_auc": {"min": 0.99}})
    assert "≥ 0.99 is needed" in words(another_book(lender, WORSE).judge(), "fail")


def test_the_floors_of_one_book_do_not_bind_another(lender: Lender) -> None:
    lender.policy(books={"other": {"roc_auc": {"min": 1.0}}}).commit("Expect more of another")
    assert code(lender.change(BETTER).judge()) == 0


def test_a_floor_of_the_book_stands_in_for_that_of_every_book(lender: Lender) -> None:
    rules = read((lender.policy(books={"small": {"ks": {"min": 0.1}}}).folder / POLICY).read_text())
    assert str(rules.of("small").floors["ks"]) == "≥ 0.1"
    assert rules.of("small").floors["roc_auc"] == rules.of("other").floors["roc_auc"]


def test_new_data_is_judged_on_the_common_rows(lender: Lender) -> None:
    judgement = lender.change(predictions(noise=0.0, first=400)).judge()
    assert code(judgement) == 0
    assert "1,200 test rows are common to both sides, 75% of the larger" in words(judgement, "note")


def test_too_few_common_rows_cannot_be_judged(lender: Lender) -> None:
    judgement = lender.change(predictions(noise=0.0, first=1200)).judge()
    assert code(judgement) == 2
    assert "25% of the larger; 50% are needed" in judgement.sentence


def test_rows_whose_outcome_changed_are_left_out_and_reported(lender: Lender) -> None:
    table = BETTER.assign(bad=BETTER["bad"].mask(BETTER["row"] == 1500, 1 - BETTER["bad"]))
    assert "1 were left out" in words(lender.change(table).judge(), "note")


def renumbered(lost: int, **changes: object) -> pd.DataFrame:
    """The champion's book, of which the first loans are gone from its file."""
    table = predictions().iloc[lost:]
    return table.assign(row=table["row"] - lost, **changes)


def newly_approved(lender: Lender, table: pd.DataFrame) -> tuple[int, int]:
    """How many common loans there are, and how many the change approves newly."""
    paired = lender.change(table).judge().paired
    assert paired is not None
    return paired.rows, int((~paired.champion.approved & paired.challenger.approved).sum())


def test_rows_are_paired_by_the_key_of_their_loan(lender: Lender) -> None:
    assert newly_approved(lender, renumbered(1)) == (1600, 0)


def test_without_a_key_rows_are_paired_by_their_fields(lender: Lender) -> None:
    lender.change(predictions().assign(loan=None))
    assert newly_approved(lender, renumbered(1, loan=None)) == (1600, 0)


def test_loans_whose_fields_changed_are_left_out_and_reported(lender: Lender) -> None:
    table = BETTER.assign(fields=BETTER["fields"].mask(BETTER["row"] >= 1900, 1))
    judgement = lender.change(table).judge()
    assert "1,500 test rows are common" in words(judgement, "note")
    assert "100 were left out: their fields changed" in words(judgement, "note")


def test_invented_rows_under_the_old_keys_cannot_be_judged(lender: Lender) -> None:
    judgement = lender.change(BETTER.assign(fields=np.uint64(1))).judge()
    assert code(judgement) == 2
    assert "1,600 were left out: their fields changed; 50% are needed" in judgement.sentence


def test_a_key_that_repeats_cannot_be_judged(lender: Lender) -> None:
    lender.run(BETTER)
    with contextlib.chdir(lender.folder):
        pd.read_parquet(PREDICTIONS).assign(loan="L1").to_parquet(PREDICTIONS)
    judgement = lender.lock().commit("Repeat a key").push().judge()
    assert code(judgement) == 2
    assert "`loan` must be unique" in words(judgement, "cannot judge")


def test_what_a_person_should_look_at_is_named(lender: Lender) -> None:
    contract = yaml.safe_load(CONTRACT)
    first, second = list(contract["fields"])[:2]
    contract["fields"][first]["known_at"] = "pricing"
    contract["fields"][second]["protected"] = True
    contract["fields"]["score_of_today"] = {"title": "Score", "type": "number"}
    lender.text("data/small/contract.yaml", yaml.safe_dump(contract))
    lender.params(preprocess__test_share=0.3)
    lender.text(".dvc/config", CONFIG + "['remote \"other\"']\n    url = ../../other\n")
    judgement = lender.change(BETTER).judge()
    assert "attention: field score_of_today is new: known at application" in words(
        judgement, "note"
    )
    named = words(judgement, "fail")
    assert f"red flag: field {first}: known_at unset → pricing" in named
    assert f"red flag: field {second}: protected unset → True" in named
    assert "red flag: params.yaml: preprocess.test_share" in named
    assert "red flag: .dvc/config: data may come from another place" in named
    assert "add to models/acknowledgements.yaml an entry `red_flag: storage`" in named


def test_nothing_is_named_where_only_the_model_changed(lender: Lender) -> None:
    judgement = lender.change(BETTER).judge()
    assert "attention" not in words(judgement, "note")
    assert judgement.red_flags == []


def test_a_small_group_is_written_for_machines(lender: Lender, tmp_path: Path) -> None:
    sex = BETTER["group_sex"].mask(BETTER["row"] % 50 == 0, "X")
    lender.change(BETTER.assign(group_sex=sex))
    assert lender.gate("--base", "HEAD^", "--json", str(tmp_path / "gate.json")) == 0
    groups = json.loads((tmp_path / "gate.json").read_text())["groups"]
    [small] = [group for group in groups if group["group"] == "X"]
    assert (small["rows"], small["approval_rate"]) == (32, None)


def test_predictions_fabricated_from_outcomes_and_calibrated_fail(lender: Lender) -> None:
    honest = lender.run(BETTER).folder / "models/winner.json"
    kept = honest.read_bytes()
    generator = np.random.default_rng(0)
    told = np.where(BETTER["bad"] == 1, 2.0, -4.0) + generator.normal(0, 1.5, len(BETTER))
    lender.run(BETTER.assign(pd=1 / (1 + np.exp(-told))))
    honest.write_bytes(kept)
    judgement = lender.lock().commit("Leap ahead").push().judge()
    assert "rescoring" in failed_checks(judgement)
    assert "1,600 PDs of test rows differ" in words(judgement, "fail")


def test_another_winner_than_the_one_that_was_judged_fails(lender: Lender) -> None:
    lender.run(WORSE)
    swapped = (lender.folder / "models/winner.json").read_bytes()
    lender.run(BETTER)
    (lender.folder / "models/winner.json").write_bytes(swapped)
    judgement = lender.lock().commit("Ship another").push().judge()
    assert failed_checks(judgement) == ["rescoring"]
    assert "models/winner.json does not give the PDs of the predictions" in words(judgement, "fail")


def test_an_artifact_that_cannot_score_cannot_be_judged(lender: Lender) -> None:
    lender.run(BETTER)
    (lender.folder / "models/winner.json").write_bytes(b"nonsense")
    pushed = lender.lock().commit("Ship nonsense").push()
    with (
        contextlib.chdir(pushed.folder),
        pytest.raises(CannotJudge, match="scoring the prepared rows"),
    ):
        REAL_SCORE()


def test_a_test_part_with_few_defaults_cannot_be_judged(lender: Lender) -> None:
    lender.policy(min_bads=500).commit("Ask for more defaults")
    judgement = lender.change(BETTER).judge()
    assert code(judgement) == 2
    assert "defaults among 1,600 test rows; 500 are needed" in judgement.sentence


def test_adverse_impact_fails_the_gate(lender: Lender) -> None:
    judgement = lender.change(predictions(noise=0.0, against=2.0)).judge()
    assert "groups" in failed_checks(judgement)
    assert "sex F: approval" in words(judgement, "fail")


def test_a_protected_attribute_that_is_no_longer_measured_fails(lender: Lender) -> None:
    judgement = lender.change(BETTER.drop(columns="group_sex")).judge()
    assert "no longer measured by protected group: sex" in words(judgement, "fail")


def test_the_judgement_is_written_for_machines(lender: Lender, tmp_path: Path) -> None:
    lender.change(WORSE)
    assert lender.gate("--base", "HEAD^", "--json", str(tmp_path / "gate.json")) == 1
    held = json.loads((tmp_path / "gate.json").read_text())
    assert (held["verdict"], held["exit_code"]) == ("fail", 1)
    assert held["figures"]["roc_auc"]["difference"] < 0


def test_the_committed_winner_keeps_the_floors_of_its_book() -> None:
    figures = json.loads((ROOT / METRICS).read_text())
    rules = read((ROOT / POLICY).read_text())
    assert figures["dataset"] in rules.books
    floors = rules.of(figures["dataset"]).floors
    assert {
        n: f.broken_limit(figures["test"][n]["value"]) for n, f in floors.items()
    } == dict.fromkeys(floors, "")


def test_a_policy_names_what_it_does_not_allow(lender: Lender) -> None:
    text = (lender.folder / POLICY).read_text()
    with pytest.raises(LimitsError, match="gini_index"):
        read(text.replace("\nmax_loss:", "\nmax_loss:\n  gini_index: 0.1"))
    with pytest.raises(LimitsError, match="min_bads: Input should be greater"):
        read(text.replace("min_bads: 50", "min_bads: 0"))


def test_only_a_wider_limit_is_loosened(lender: Lender) -> None:
    held = read((lender.policy().folder / POLICY).read_text())
    stricter = read((lender.policy(min_bads=60, groups__max_ece=0.01).folder / POLICY).read_text())
    assert list_loosened(held, stricter) == []
    assert list_loosened(stricter, held) == ["min_bads: 60 → 50", "groups.max_ece: 0.01 → 0.05"]


def test_a_floor_that_a_book_loses_is_loosened(lender: Lender) -> None:
    held = read((lender.policy().folder / POLICY).read_text())
    assert "books.small.roc_auc.min: 0.75 → 0.7" in list_loosened(
        held, held.model_copy(update={"books": {}})
    )


def test_a_release_that_does_not_contain_what_is_live_fails(lender: Lender) -> None:
    """An old run of the workflow that is run again would bring an old commit back as a new one."""
    before = lender.git("rev-parse", "HEAD").strip()
    lender.change(BETTER)
    lender.git("checkout", "--quiet", "--detach")
    live = lender.text("note.txt", "live").commit("Go live").git("rev-parse", "HEAD").strip()
    lender.git("checkout", "--quiet", "-")
    lender.text("note.txt", "an old run").commit("Release from another line")
    assert lender.gate("--base", live, "--no-remote") == 0
    assert lender.gate("--base", live, "--no-remote", "--forward") == 1
    assert lender.gate("--base", before, "--no-remote", "--forward") == 0

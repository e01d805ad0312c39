"""Experiments: `dvc exp`, its queue and the diffs, with real git and DVC on a small book."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.support.books import ROOT
from tests.support.clone import Clone, stages_run

LEAVES = "train.lightgbm.num_leaves"
LOSS = "policy.loss_given_default"
PLOTS = {
    "ROC",
    "Precision and recall",
    "Calibration",
    "Score distribution",
    "KS",
    "Confusion",
    "Importance",
    "Vintages",
    "Origins",
    "Candidates",
}


@dataclass
class Story:
    """What a user did, one thing after another, and what came of each."""

    clone: Clone
    said: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def params(self) -> Any:
        """What stands in params.yaml."""
        return yaml.safe_load((self.clone.folder / "params.yaml").read_text())

    def experiment(self, name: str, *changes: str) -> None:
        """Run an experiment in the workspace."""
        flags = [flag for change in changes for flag in ("-S", change)]
        self.said[name] = self.clone.dvc("exp", "run", "--name", name, *flags)

    def diffs(self, name: str) -> None:
        """Compare what an experiment left with what is committed."""
        self.facts[name] = {
            kind: self.clone.facts(kind, "diff") for kind in ("params", "metrics", "plots")
        }


def applications(rows: int) -> pd.DataFrame:
    """Rows with the columns of the single-table data; the outcome hangs on income and amount."""
    rng = np.random.default_rng(3)
    income, amount = rng.integers(20_000, 120_000, rows), rng.integers(1_000, 25_000, rows)
    odds = 6 * amount / income - 3
    columns = {
        "person_age": rng.integers(40, 70, rows),
        "person_income": income,
        "person_home_ownership": rng.choice(["RENT", "OWN", "MORTGAGE"], rows),
        "person_emp_length": rng.integers(0, 20, rows),
        "loan_intent": rng.choice(["EDUCATION", "MEDICAL", "VENTURE"], rows),
        "loan_grade": rng.choice(["A", "B", "C"], rows),
        "loan_amnt": amount,
        "loan_int_rate": rng.uniform(6, 18, rows).round(2),
        "loan_status": (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int),
        "loan_percent_income": (amount / income).round(2),
        "cb_person_default_on_file": rng.choice(["Y", "N"], rows),
        "cb_person_cred_hist_length": rng.integers(2, 20, rows),
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A first run, an experiment, another policy, a queue, and another dataset."""
    clone = Clone(
        tmp_path_factory.mktemp("experiments") / "clone",
        **{
            r"candidates: \[.*\]": "candidates: [logistic, lightgbm]",
            "monotone: true": "monotone: false",
        },
    )
    clone.simulate(2000)
    written = Story(clone)
    written.said["first"] = clone.dvc("repro")
    clone.commit("The first run")
    written.said["again"] = clone.dvc("repro")

    written.experiment("leaves", f"{LEAVES}=3")
    written.diffs("leaves")
    written.said["plots"] = clone.dvc("plots", "show", "--out", "drawn")
    clone.run("git", "checkout", "--quiet", "--", ".")
    written.experiment("policy", f"{LOSS}=0.6")
    written.diffs("policy")

    for leaves in (7, 15):
        clone.dvc("exp", "run", "--queue", "--name", f"leaves-{leaves}", "-S", f"{LEAVES}={leaves}")
    written.said["waiting"] = clone.dvc("queue", "status")
    # The worker holds the output open, so this comes back once the queue is empty.
    written.said["start"] = clone.dvc("queue", "start")
    written.said["queue"] = clone.dvc("queue", "status")
    written.facts["shown"] = clone.facts("exp", "show")
    [table] = re.findall(r"@dvc (exp show .*)", (ROOT / "Makefile").read_text())
    clone.environment["COLUMNS"] = "160"
    written.said["table"] = clone.dvc(*shlex.split(table), "--no-pager")
    clone.dvc("exp", "apply", "leaves-7")
    written.facts["applied"] = written.params(), clone.facts("status")

    raw = clone.folder / "data" / "loan_applications" / "raw"
    raw.mkdir(parents=True)
    applications(1500).to_csv(raw / "credit_risk_dataset.csv", index=False)
    written.experiment("dataset", "dataset=loan_applications")
    written.facts["dataset"] = clone.metrics
    written.experiment("back", "dataset=loan_book", f"{LEAVES}=15")
    written.facts["back"] = clone.metrics, clone.facts("status")
    return written


def names(shown: Any) -> dict[str, Any]:
    """The experiments of `dvc exp show`, by name, each with its parameters and metrics."""
    [base] = [row for row in shown if row["rev"] != "workspace"]
    revisions = [row["revs"][0] for row in base["experiments"]]
    return {row["name"]: row["data"] for row in revisions}


def test_the_first_run_runs_every_stage(story: Story) -> None:
    assert stages_run(story.said["first"]) == [
        "check",
        "preprocess",
        "featurize",
        "search@logistic",
        "search@lightgbm",
        "train@logistic",
        "train@lightgbm",
        "evaluate",
        "dossier",
    ]


def test_a_second_run_runs_nothing(story: Story) -> None:
    assert stages_run(story.said["again"]) == []


def test_an_experiment_trains_its_candidate_alone(story: Story) -> None:
    assert stages_run(story.said["leaves"]) == [
        "search@lightgbm",
        "train@lightgbm",
        "evaluate",
        "dossier",
    ]


def test_a_changed_parameter_shows_in_the_diff_of_parameters(story: Story) -> None:
    assert story.facts["leaves"]["params"] == {
        "params.yaml": {LEAVES: {"old": 31, "new": 3, "diff": -28}}
    }


def test_what_an_experiment_changes_shows_in_the_diff_of_metrics(story: Story) -> None:
    changed = story.facts["leaves"]["metrics"]["models/metrics.json"]
    assert "lightgbm" in changed
    assert "logistic" not in changed


def test_every_plot_is_drawn(story: Story) -> None:
    page = Path(story.clone.folder / "drawn" / "index.html").read_text()
    assert [name for name in PLOTS if name not in page] == []


def test_every_plot_shows_both_sides_of_a_diff(story: Story) -> None:
    drawn = story.facts["leaves"]["plots"]["data"]
    assert set(drawn) == PLOTS
    assert all(set(plots[0]["revisions"]) == {"HEAD", "workspace"} for plots in drawn.values())
    assert not story.facts["leaves"]["plots"].get("errors")


def test_another_policy_trains_nothing(story: Story) -> None:
    assert stages_run(story.said["policy"]) == ["evaluate", "dossier"]


def test_another_policy_shows_in_the_diff_of_parameters(story: Story) -> None:
    [(name, change)] = story.facts["policy"]["params"]["params.yaml"].items()
    assert (name, change["old"], change["new"]) == (LOSS, 0.52, 0.6)


def test_another_policy_changes_decisions_and_no_ranking(story: Story) -> None:
    changed = story.facts["policy"]["metrics"]["models/metrics.json"]
    assert "profit" in changed
    assert not {"auc", "lightgbm", "logistic"} & set(changed)


def test_a_queue_waits_until_it_is_started(story: Story) -> None:
    assert story.said["waiting"].count("Queued") == 2


def test_a_queue_that_was_started_ends_well(story: Story) -> None:
    assert story.said["queue"].count("Success") == 2


def test_every_experiment_is_shown_with_its_parameters_and_metrics(story: Story) -> None:
    shown = names(story.facts["shown"])
    leaves = {
        name: figure["params"]["params.yaml"]["data"]["train"]["lightgbm"]["num_leaves"]
        for name, figure in shown.items()
    }
    assert leaves == {"leaves": 3, "policy": 31, "leaves-7": 7, "leaves-15": 15}
    for figure in shown.values():
        assert 0.5 < figure["metrics"]["models/metrics.json"]["data"]["auc"] < 1


def test_the_table_of_experiments_has_the_columns_that_differ_and_no_files(story: Story) -> None:
    heading = story.said["table"].splitlines()[1].split()
    assert heading[:2] == ["Experiment", "Created"]
    assert {LEAVES, LOSS} == {name for name in heading if "." in name}
    assert not [name for name in heading if "/" in name or "…" in name]


def test_an_experiment_that_is_applied_is_in_the_workspace_and_up_to_date(story: Story) -> None:
    params, status = story.facts["applied"]
    assert params["train"]["lightgbm"]["num_leaves"] == 7
    assert status == {}


def test_another_dataset_is_another_experiment(story: Story) -> None:
    assert story.facts["dataset"]["dataset"] == "loan_applications"
    assert stages_run(story.said["dataset"])[:2] == ["check", "preprocess"]


def test_an_experiment_on_the_first_dataset_brings_all_of_it_back(story: Story) -> None:
    metrics, status = story.facts["back"]
    assert metrics["dataset"] == "loan_book"
    assert status == {}


def test_an_experiment_on_the_first_dataset_trains_nothing_again(story: Story) -> None:
    assert stages_run(story.said["back"]) == [
        "check",
        "preprocess",
        "featurize",
        "search@logistic",
        "search@lightgbm",
        "evaluate",
        "dossier",
    ]

"""The workflows, executed here: which steps run, with what, and what comes of it.

GitHub's expression engine decides; `uses:` is recorded after a look at the job's rights (see
tests/workflows/run.mjs). Commands that are tested elsewhere are recorded stand-ins; the registry
and the deployment are real, on a real git repository and SSM's stand-in; `gh` is
tests/support/fakes/gh_fake.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node import runner
from tests.e2e.processes import ROOT
from tests.support.fakes import gh_fake
from tests.support.fakes.ssm_fake import SSM, Host

__all__ = ["runner"]  # a fixture
pytestmark = pytest.mark.e2e

SUMMARY = "SUMMARY"  # the path of a step's summary, which is another in every run
OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")
KEY = "awskms:///alias/credit-pd-release"
JUDGED = "e" * 64
REAL = ("release.registry", "release.deploy")
STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys
words = [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]
folder = pathlib.Path(os.environ["STAND_INS"])
plan = json.loads((folder / "plan.json").read_text())
line = " ".join(words)
with (folder / "calls.jsonl").open("a") as file:
    file.write(json.dumps({{"job": os.environ["GITHUB_JOB"], "line": line}}) + "\\n")
if words[1:2] == ["-m"] and words[2] in plan["real"]:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
if words[0] == "dvc" and " ".join(words[:2]) in plan["real"]:
    os.execv(sys.executable, [sys.executable, "-m", *words])
if words[0] in plan["real"]:
    os.execv("/usr/bin/env", ["env", "cp", "--archive", words[-2] + ".", words[-1]])
if words[0] == "gh":
    os.execv(sys.executable, [sys.executable, "{gh_fake.__file__}", *sys.argv[1:]])
answer = next((plan["answers"][key] for key in plan["answers"] if key in line), {{}})
for flag, text in answer.get("files", {{}}).items():
    if flag not in words:
        continue
    path = pathlib.Path(words[words.index(flag) + 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
print(answer.get("prints", ""))
sys.exit(answer.get("status", 0))
"""
ANSWERS: dict[str, dict[str, Any]] = {
    "gate.reproduction": {"files": {"collect": "", "blind": ""}},
    "release.gate": {"files": {"--json": "{}", "--output": f"judgement={JUDGED}\n"}},
    "release.report": {"files": {"--out": "the report\n", "--summary": "the report\n"}},
    "dvc plots": {"files": {"--out": ""}},
    "release.image save": {"files": {"credit-pd:candidate": "the image\n"}},
    "release.image publish": {"files": {"--output": f"digest={NEW}\n"}},
    "release.attestation": {"files": {"--predicate": "{}", "--bom": "{}", "--file": "{}"}},
}


def git(folder: Path, *words: str) -> str:
    environment = {**os.environ}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with this project's release/ and stages/ and two commits on main."""
    folder = tmp_path / "origin"
    unwanted = shutil.ignore_patterns("__pycache__")
    for package in ("release", "stages"):
        shutil.copytree(ROOT / package, folder / package, ignore=unwanted)
    (folder / ".dvc/cache").mkdir(parents=True)
    (folder / ".dvc/cache/object").write_text("data")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(2):
        (folder / "change").write_text(str(number))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "change")
    return folder


@dataclass
class GitHub:
    """One repository at GitHub, whose events start a workflow here."""

    runner: Path
    origin: Path
    folder: Path
    answers: dict[str, Any] = field(default_factory=lambda: dict(ANSWERS))
    actions: dict[str, Any] = field(default_factory=dict)
    real: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)

    def commit(self, revision: str = "main") -> str:
        return git(self.origin, "rev-parse", revision)

    def run(self, workflow: str, event_name: str, **more: Any) -> dict[str, str]:
        """Let an event start a workflow; returns the result of each job."""
        stand_ins = self.folder / "stand-ins"
        stand_ins.mkdir(parents=True)
        for name in ("python", "python3", "dvc", "make", "gh", "sudo", "rsync"):
            (stand_ins / name).write_text(STAND_IN)
            (stand_ins / name).chmod(0o755)
        plan = {"answers": self.answers, "real": self.real}
        (stand_ins / "plan.json").write_text(json.dumps(plan))
        (stand_ins / "calls.jsonl").touch()
        scenario = {
            "folder": str(self.folder),
            "origin": f"file://{self.origin}",
            "fork": more.get("fork", False),
            "github": self.context(event_name, more),
            "vars": {"AWS_REGION": "eu-central-1", "ECR_REPOSITORY": "registry/credit-pd"}
            | {"RELEASE_KEY": KEY, **self.variables},
            "secrets": {},
            "actions": self.actions,
            "environment": {
                "PATH": f"{stand_ins}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "STAND_INS": str(stand_ins),
                gh_fake.STORE: str(self.folder.parent / "gh.json"),
                "DVC_NO_ANALYTICS": "1",
                **self.environment,
            },
        }
        (self.folder / "scenario.json").write_text(json.dumps(scenario))
        file = ROOT / f".github/workflows/{workflow}.yml"
        done = subprocess.run(
            [
                "node",
                "--import",
                "./json_modules.mjs",
                "run.mjs",
                file,
                self.folder / "scenario.json",
            ],
            cwd=self.runner,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.jobs = json.loads(done.stdout)
        return {name: job["result"] for name, job in self.jobs.items()}

    def context(self, event_name: str, more: dict[str, Any]) -> dict[str, Any]:
        """GitHub's own context."""
        return {
            "repository": "lender/credit",
            "server_url": "https://github.com",
            "run_id": "1",
            "event_name": event_name,
            "ref": more.get("ref", "refs/heads/main"),
            "sha": more.get("sha", self.commit()),
            "actor": "ada",
            "actor_id": "1",
            "token": "token",
            "event": {"repository": {"visibility": "public"}, **more.get("event", {})},
        }

    def pull_request(self, head: str = "lender/credit") -> dict[str, str]:
        """A pull request of main's last commit against the one before."""
        pull = {
            "number": 7,
            "base": {"sha": self.commit("main~1")},
            "head": {"repo": {"full_name": head}},
        }
        fork = head != "lender/credit"
        return self.run("pipeline", "pull_request", event={"pull_request": pull}, fork=fork)

    def calls(self, *parts: str) -> list[str]:
        """The commands that ran, all or those with one of some parts."""
        lines = (self.folder / "stand-ins/calls.jsonl").read_text().splitlines()
        all_lines = [
            re.sub(r"--summary \S+", f"--summary {SUMMARY}", json.loads(line)["line"])
            for line in lines
        ]
        return [line for line in all_lines if not parts or any(part in line for part in parts)]

    def step(self, job: str, name: str) -> dict[str, Any]:
        """The one step of a job whose action or command has a name in it."""
        [only] = [step for step in self.jobs[job]["steps"] if name in step["name"]]
        return dict(only)

    @property
    def written(self) -> Any:
        """The comments and issues of the repository."""
        return gh_fake.read_store(self.folder.parent / "gh.json")

    def tags(self) -> list[str]:
        return git(self.origin, "tag").splitlines()


@pytest.fixture
def github(runner: Path, origin: Path, tmp_path: Path) -> GitHub:
    return GitHub(runner, origin, tmp_path / "run")


@pytest.fixture
def production(github: GitHub, tmp_path: Path) -> Iterator[SSM]:
    """A serving host, and the real registry and deployment."""
    ssm = SSM([Host.install("i-one", tmp_path / "host")])
    with ssm.running() as address:
        github.real = REAL
        github.environment = {
            "AWS_ENDPOINT_URL_SSM": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        yield ssm


def served(ssm: SSM) -> str:
    state = json.loads((ssm.hosts[0].state / "state.json").read_text())
    return str(state["live"]["image"]).rpartition("@")[2]


def released(github: GitHub, version: str, image: str, revision: str = "main~1") -> None:
    """A version that is live by its tags."""
    number = len([tag for tag in github.tags() if "#" in tag]) + 1
    commit = github.commit(revision)
    git(github.origin, "tag", "--annotate", f"credit-pd@{version}", commit, "-m", "registered")
    live = f"credit-pd#prod#{number}"
    git(github.origin, "tag", "--annotate", live, commit, "-m", f"Image: {image}")


def test_a_good_pull_request_is_reproduced_judged_and_commented(github: GitHub) -> None:
    results = github.pull_request()
    assert results == dict.fromkeys(("data", "reproduce", "judge", "comment"), "success")
    base = github.commit("main~1")
    report = f"--out ../build/report.md --summary {SUMMARY}"
    given = "--reproduced ../build/reproduced --blind ../blind --pushed success"
    install = "python -m pip install --quiet --require-hashes -r"
    settings = "rsync --archive --delete base/.dvc/ change/.dvc/"
    assert github.calls() == [
        f"{install} base/requirements/pipeline.txt",
        settings,
        "dvc fetch",
        "dvc fetch --all-commits models/predictions.parquet",
        "dvc fetch",
        "python -m release.remote check",
        "rsync --archive base/.dvc/cache/ change/.dvc/cache/",
        f"{install} change/requirements/pipeline.txt",
        "dvc checkout",
        "python -m release.gate.reproduction blind ../blind",
        "python -m release.gate.reproduction score ../build/reproduced",
        "dvc repro --force",
        "python -m release.gate.reproduction collect ../build/reproduced",
        "dvc plots show --out ../build/plots",
        f"{install} base/requirements/pipeline.txt",
        settings,
        "dvc checkout",
        f"python -m release.gate --base {base} --json ../build/judgement.json {given}",
        f"python -m release.report --base {base} {report} {given}",
        "gh pr comment 7 --edit-last --create-if-none --body-file build/report.md",
    ]
    assert github.written["comments"] == [{"pull": 7, "body": "the report\n"}]


def test_the_next_report_takes_the_place_of_the_one_before(github: GitHub, tmp_path: Path) -> None:
    github.pull_request()
    github.answers["release.report"] = {"files": {"--out": "another report\n"}}
    github.folder = tmp_path / "again"
    github.pull_request()
    assert github.written["comments"] == [{"pull": 7, "body": "another report\n"}]


def test_the_job_that_may_comment_runs_nothing_of_the_repository(github: GitHub) -> None:
    github.pull_request()
    names = [step["name"].split()[0] for step in github.jobs["comment"]["steps"]]
    assert names == ["actions/download-artifact", "gh"]
    assert [path.name for path in (github.folder / "jobs/comment").iterdir()] == ["build"]


def test_a_bad_pull_request_fails_and_is_told_why(github: GitHub) -> None:
    github.answers["release.gate"] = {"status": 1, "files": {"--json": "{}"}}
    assert github.pull_request()["judge"] == "failure"
    assert github.jobs["comment"]["result"] == "success"
    assert (github.folder / "artifacts/report/report.md").read_text() == "the report\n"


def test_a_pipeline_that_cannot_be_reproduced_fails_and_is_reported(github: GitHub) -> None:
    github.answers["dvc repro"] = {"status": 255}
    github.answers["release.gate"] = {"status": 2, "files": {"--json": "{}"}}
    results = github.pull_request()
    assert (results["reproduce"], results["judge"]) == ("failure", "failure")
    assert results["comment"] == "success"
    assert len(github.calls("release.gate --base", "release.report")) == 2


def test_what_trains_the_change_stands_apart_from_what_judges_it(github: GitHub) -> None:
    github.pull_request()
    ran = github.calls("dvc repro", "release.gate --base")
    assert [line.split()[0] for line in ran] == ["dvc", "python"]
    assert not any(
        "repro" in step["name"] for step in github.jobs["judge"]["steps"] if "run" in step
    )
    assert github.step("judge", "release.gate")["status"] == "success"


def test_what_was_not_pushed_is_for_the_gate_to_say(github: GitHub) -> None:
    github.answers["release.remote check"] = {"status": 1}
    assert github.pull_request()["judge"] == "success"
    assert all(
        "--pushed failure" in line for line in github.calls("release.gate --base", "release.report")
    )


def test_both_sides_of_a_pull_request_stand_beside_each_other(github: GitHub) -> None:
    github.pull_request()
    for job in ("data", "reproduce", "judge"):
        folders = {name: github.folder / f"jobs/{job}" / name for name in ("base", "change")}
        commits = {name: git(folder, "rev-parse", "HEAD") for name, folder in folders.items()}
        assert commits == {"base": github.commit("main~1"), "change": github.commit()}


def test_a_fork_gets_its_report_in_the_summary_without_any_credential(github: GitHub) -> None:
    results = github.pull_request("stranger/credit")
    assert results == {
        "data": "skipped",
        "reproduce": "success",
        "judge": "success",
        "comment": "skipped",
    }
    fetched = ["python -m stages.fetch", "dvc repro preprocess", "dvc repro --force"]
    assert github.calls("stages.fetch", "dvc ")[:3] == fetched
    judging = github.calls("release.gate --base", "release.report")
    assert len(judging) == 2
    assert all("--no-remote" in line for line in judging)
    assert github.step("judge", "release.report")["summary"] == "the report\n"


def test_a_fork_that_cannot_be_judged_fails(github: GitHub) -> None:
    github.answers["release.gate"] = {"status": 2, "files": {"--json": "{}"}}
    assert github.pull_request("stranger/credit")["judge"] == "failure"


def test_the_first_push_is_judged_by_floors_and_becomes_the_first_version(
    github: GitHub, production: SSM
) -> None:
    results = github.run("release", "push")
    wanted = ("data", "gate", "build", "image", "deploy", "promote")
    assert [results[job] for job in wanted] == ["success"] * 6
    [gate] = github.calls("release.gate --base")
    assert f"--base {'0' * 40} " in gate
    assert served(production) == NEW
    assert github.tags() == ["credit-pd#prod#1", "credit-pd@v0.0.1"]


def test_a_release_is_judged_against_what_is_live_and_not_against_the_push_before(
    github: GitHub,
) -> None:
    github.real = ("release.registry",)
    released(github, "v0.1.0", OLD, "main~1")
    (github.origin / "change").write_text("a push that the gate refused")
    git(github.origin, "commit", "--all", "--quiet", "--message", "refused")
    github.run("release", "push", event={"before": github.commit("main~1")})
    [gate] = github.calls("release.gate --base")
    assert f"--base {github.commit('main~2')} " in gate


def test_a_release_is_proven_before_it_is_published_and_live_before_it_is_named(
    github: GitHub, production: SSM
) -> None:
    released(github, "v0.1.0", OLD)
    serve(production, OLD)
    assert github.run("release", "push")["promote"] == "success"
    calls = github.calls(
        "image run-check", "image publish", "attestation", "release.deploy", "promote"
    )
    assert [line.partition(" --output")[0] for line in calls] == [
        "python -m release.image run-check credit-pd:candidate",
        "python -m release.image publish credit-pd:candidate registry/credit-pd",
        f"python -m release.attestation attest registry/credit-pd@{NEW} --key {KEY} "
        f"--judgement build/judged/judgement.json --judgement-sha256 {JUDGED} "
        "--file build/evidence/sbom.cdx.json --file build/judged/report.md "
        "--bom build/evidence/model.cdx.json --predicate build/evidence/predicate.json",
        f"python -m release.deploy --image {NEW} --git-commit {github.commit()} --replaces {OLD}",
        f"python -m release.deploy --verify {NEW}",
        f"python -m release.registry promote next --image {NEW} --push",
    ]
    assert github.tags()[-1] == "credit-pd@v0.1.1"
    assert NEW in git(github.origin, "tag", "--list", "-n9", "credit-pd#prod#2")


def test_what_is_published_is_attested_by_its_digest(github: GitHub) -> None:
    github.answers["release.registry live"] = {"files": {"--output": f"commit={'0' * 40}\n"}}
    github.run("release", "push")
    steps = [each for each in github.jobs["image"]["steps"] if each["name"] == "actions/attest"]
    assert [each["status"] for each in steps] == ["success"] * 2
    assert {each["inputs"]["subject-digest"] for each in steps} == {NEW}


def test_report_judgement_and_evidence_are_kept_with_the_tag(
    github: GitHub, production: SSM
) -> None:
    released(github, "v0.1.0", OLD)
    serve(production, OLD)
    assert github.run("release", "push")["keep"] == "success"
    [release] = github.written["releases"]
    assert release["tag"] == "credit-pd@v0.1.1"
    assert release["notes"] == "the report\n"
    names = {"report.md", "judgement.json", "sign-off.json"}
    assert set(release["assets"]) == names | {"model.cdx.json", "sbom.cdx.json", "predicate.json"}
    (pull,) = json.loads(release["assets"]["sign-off.json"])
    assert (pull["author"]["login"], pull["mergedBy"]["login"]) == ("ada", "grace")
    assert pull["reviews"][0]["state"] == "APPROVED"


def serve(production: SSM, image: str) -> None:
    """Let the host serve an image, as another release that somebody approved would."""
    production.hosts[0].run(production.script({"Release": [image]}), 60)


def test_what_waited_while_another_became_live_is_not_deployed_until_it_is_judged_again(
    github: GitHub, production: SSM, tmp_path: Path
) -> None:
    (github.origin / "change").write_text("after another one that waits too")
    git(github.origin, "commit", "--all", "--quiet", "--message", "change")
    released(github, "v0.1.0", OLD, "main~2")
    serve(production, OTHER)
    results = github.run("release", "push")
    assert (results["deploy"], results["promote"]) == ("failure", "skipped")
    assert "run all jobs of this release again" in github.step("deploy", "--image")["message"]
    assert served(production) == OTHER
    released(github, "v0.2.0", OTHER)
    github.folder = tmp_path / "again"
    assert github.run("release", "push")["promote"] == "success"
    assert served(production) == NEW


def test_a_release_that_waits_for_its_approval_holds_up_no_other() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    group = "release-${{ github.event_name == 'push' && github.sha || 'rollback' }}"
    assert f"  group: {group}\n  cancel-in-progress: false\n" in text


def test_tags_are_written_with_the_token_of_an_app_where_there_is_one(
    github: GitHub, production: SSM
) -> None:
    app = "actions/create-github-app-token"
    github.actions[app] = {"outputs": {"token": "of-the-app"}}
    github.variables = {"RELEASE_APP": "Iv1.app"}
    assert github.run("release", "push")["promote"] == "success"
    assert github.step("promote", app)["status"] == "success"
    assert github.step("promote", "actions/checkout")["inputs"]["token"] == "of-the-app"


def test_without_an_app_tags_are_written_with_the_workflows_token(
    github: GitHub, production: SSM
) -> None:
    assert github.run("release", "push")["promote"] == "success"
    assert github.step("promote", "create-github-app-token")["status"] == "skipped"
    assert github.step("promote", "actions/checkout")["inputs"]["token"] == "token"


def test_a_judgement_that_was_exchanged_on_the_way_is_not_signed(
    github: GitHub, production: SSM
) -> None:
    """An artifact may be anybody's: its digest comes as the output of the job that judged."""
    github.run("release", "push")
    [attest] = github.calls("release.attestation")
    assert f"--judgement-sha256 {JUDGED}" in attest


def test_an_image_that_cannot_be_attested_is_not_deployed(github: GitHub, production: SSM) -> None:
    github.answers["release.attestation"] = {"status": 1}
    results = github.run("release", "push")
    assert (results["image"], results["deploy"]) == ("failure", "skipped")
    assert github.tags() == []


def test_after_a_failed_gate_nothing_is_built_and_the_summary_says_why(github: GitHub) -> None:
    github.real = ("release.registry",)
    github.answers["release.gate"] = {"status": 1, "files": {"--json": "{}"}}
    results = github.run("release", "push")
    assert results["gate"] == "failure"
    assert {results[job] for job in ("build", "image", "deploy", "promote")} == {"skipped"}
    assert github.step("gate", "release.report")["summary"] == "the report\n"


def test_an_image_that_fails_its_proof_is_not_published(github: GitHub) -> None:
    github.answers["run-check"] = {"status": 1}
    assert github.run("release", "push")["build"] == "failure"
    assert github.calls("image publish", "release.deploy") == []


def test_a_release_that_a_host_refuses_is_not_named_live(github: GitHub, production: SSM) -> None:
    (production.hosts[0].state / "fault").write_text("the golden records do not score identically")
    results = github.run("release", "push")
    assert (results["deploy"], results["promote"]) == ("failure", "skipped")
    assert "golden records" in github.step("deploy", "--image")["message"]
    assert github.tags() == []


def test_a_manual_rollback_takes_hosts_and_registry_back_together(
    github: GitHub, production: SSM
) -> None:
    for version, image, revision in (("v0.1.0", OLD, "main~1"), ("v0.2.0", NEW, "main")):
        production.hosts[0].run(production.script({"Release": [image]}), 60)
        released(github, version, image, revision)
    results = github.run("release", "workflow_dispatch")
    assert {name: result for name, result in results.items() if result != "skipped"} == {
        "rollback": "success",
        "rename": "success",
    }
    assert served(production) == OLD
    assert OLD in git(github.origin, "tag", "--list", "-n9", "credit-pd#prod#3")


def test_a_rollback_from_another_branch_does_nothing(github: GitHub) -> None:
    results = github.run("release", "workflow_dispatch", ref="refs/heads/mine")
    assert set(results.values()) == {"skipped"}


def retraining(
    github: GitHub, new: str = "true", improved: str = "true", **event: Any
) -> dict[str, str]:
    for verb, facts in (("collect", f"new={new}\n"), ("decide", f"improved={improved}\n")):
        known = github.answers.get(f"retrain {verb}", {})
        github.answers[f"retrain {verb}"] = {"files": {"--output": facts}, **known}
    return github.run("retrain", event.pop("name", "schedule"), event=event)


def test_a_better_challenger_is_pushed_judged_again_and_proposed(github: GitHub) -> None:
    assert retraining(github) == {"challenge": "success", "notify": "skipped"}
    base = github.commit()
    assert github.calls("release.remote push", "release.gate", "release.report") == [
        f"python -m release.gate --base {base} --no-remote --json build/judgement.json",
        "python -m release.remote push",
        f"python -m release.gate --base {base}",
        f"python -m release.report --base {base} --out build/report.md --summary {SUMMARY}",
    ]
    proposed = github.step("challenge", "create-pull-request")
    assert proposed["status"] == "success"
    assert proposed["inputs"]["body-path"] == "build/report.md"


def test_drift_that_the_monitor_reports_leads_to_a_proposal(github: GitHub) -> None:
    asked = {"action": "drift", "client_payload": {"advice": "Retrain: income moved."}}
    results = retraining(github, name="repository_dispatch", **asked)
    assert results == {"challenge": "success", "notify": "skipped"}
    assert github.step("challenge", "create-pull-request")["status"] == "success"


def test_a_challenger_that_is_no_better_is_reported_and_goes_no_further(github: GitHub) -> None:
    github.answers["release.gate"] = {"status": 1, "files": {"--json": "{}"}}
    assert retraining(github, improved="false")["challenge"] == "success"
    assert github.calls("release.remote push") == []
    assert github.calls("release.report")[0].endswith("--no-remote")
    assert github.step("challenge", "create-pull-request")["status"] == "skipped"


def test_without_new_tables_nothing_is_trained(github: GitHub) -> None:
    assert retraining(github, new="false")["challenge"] == "success"
    assert github.calls("dvc repro", "release.gate", "release.remote push") == []


def test_a_dispatch_of_the_monitor_without_new_tables_says_so(github: GitHub) -> None:
    github.answers["retrain collect"] = {"files": {"--summary": "Nothing was trained\n"}}
    asked = {"action": "drift", "client_payload": {"advice": "Retrain: income moved."}}
    retraining(github, new="false", name="repository_dispatch", **asked)
    [collect] = github.calls("retrain collect")
    assert collect.endswith(f"--summary {SUMMARY} --asked Retrain: income moved.")
    assert github.step("challenge", "retrain collect")["summary"] == "Nothing was trained\n"


def test_a_repository_that_forbids_pull_requests_of_workflows_is_told_in_clear_words(
    github: GitHub,
) -> None:
    github.actions["peter-evans/create-pull-request"] = {"fail": True}
    github.answers["retrain unproposed"] = {"status": 1}
    assert retraining(github) == {"challenge": "failure", "notify": "success"}
    assert github.calls("unproposed") == [
        f"python -m release.retrain unproposed --summary {SUMMARY}"
    ]


@pytest.mark.parametrize(
    "command", ["retrain collect", "dvc repro", "retrain decide", "release.remote push"]
)
def test_a_retraining_that_fails_is_reported(github: GitHub, command: str) -> None:
    github.answers[command] = {"status": 1}
    assert retraining(github) == {"challenge": "failure", "notify": "success"}
    run = "https://github.com/lender/credit/actions/runs/1"
    bodies = [f"Retraining failed, see {run}"]
    assert github.written["issues"] == [{"title": "Retraining failed", "bodies": bodies}]
    assert github.step("challenge", "create-pull-request")["status"] == "skipped"


def test_a_retraining_that_fails_again_is_told_in_the_same_issue(
    github: GitHub, tmp_path: Path
) -> None:
    for number in range(3):
        github.answers["dvc repro"] = {"status": 1}
        github.folder = tmp_path / str(number)
        retraining(github)
    [issue] = github.written["issues"]
    assert len(issue["bodies"]) == 3


def test_ci_needs_no_right_but_to_read(github: GitHub) -> None:
    assert github.run("ci", "pull_request", fork=True) == {"lint": "success", "test": "success"}
    assert github.calls() == ["make lint", "make test"]


def test_every_night_all_is_checked_with_real_parts(github: GitHub) -> None:
    assert github.run("e2e", "schedule") == {"e2e": "success"}
    assert github.calls()[-1].endswith(".ci/run")


def test_a_command_of_gh_needs_its_right(github: GitHub, tmp_path: Path) -> None:
    assert github.pull_request()["comment"] == "success"
    same = {"event": {"pull_request": {"head": {"repo": {"full_name": "lender/credit"}}}}}
    github.folder = tmp_path / "again"
    assert github.run("pipeline", "pull_request", fork=True, **same)["comment"] == "failure"
    assert "needs pull-requests: write" in github.step("comment", "gh pr")["message"]


def test_a_job_without_the_right_for_an_action_fails_here_too(
    github: GitHub, tmp_path: Path
) -> None:
    github.pull_request()
    fork = {"event": {"pull_request": {"head": {"repo": {"full_name": "lender/credit"}}}}}
    github.folder = tmp_path / "again"
    github.run("pipeline", "pull_request", fork=True, **fork)
    assert "needs id-token: write" in github.step("data", "aws-actions")["message"]

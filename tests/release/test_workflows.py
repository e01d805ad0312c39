"""What the workflows name is there: files, modules, flags, targets, inputs, variables, roles."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from dvc.cli import parse_args

from tests.support import templates

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEXTS = {path.stem: path.read_text() for path in PATHS}
WORKFLOWS = {name: yaml.load(text, yaml.BaseLoader) for name, text in TEXTS.items()}  # noqa: S506
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
ACTIONS = json.loads((ROOT / "tests/workflows/actions.json").read_text())
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
COMMAND = re.compile(r"(python3? -m|make|dvc|gh|sudo|rsync) [^\n;&|]+")
SAMPLES = {"$IMAGE": f"sha256:{'0' * 64}", "$PUSHED": "success", "$LIVE": ""}
MADE = (
    "build",
    "again",
    "blind",
    "build/",
    "../again/",
    "../blind",
    "../build/",
    ".dvc/cache",
    "models/predictions.parquet",
)  # by jobs and stages
SIDES = re.compile(r"^(base|change)(/|$)(\.dvc/(cache/?)?)?")  # two checkouts of a job


def steps(kind: str) -> list[Any]:
    """Every step with `run` or `uses`, named WORKFLOW-JOB-NUMBER."""
    return [
        pytest.param(step, id=f"{name}-{job}-{number}")
        for name, job in JOBS
        for number, step in enumerate(WORKFLOWS[name]["jobs"][job]["steps"])
        if kind in step
    ]


def commands() -> Iterator[list[str]]:
    """The words of every project command, those inside of $(...) too."""
    for step in steps("run"):
        text = step.values[0]["run"]
        yield from (shlex.split(inner) for inner in re.findall(r"\$\((.+?)\)", text))
        yield shlex.split(re.sub(r"\$\{\w+:\+(.+?)\}", r"\1", text.splitlines()[0]))


OURS = {tuple(words[2:]) for words in commands() if words[0].startswith("python")}
MODULES = sorted(words for words in OURS if words[0].split(".")[0] in ("release", "stages"))


@pytest.mark.parametrize("step", steps("run"))
def test_a_step_is_one_command_of_the_project(step: dict[str, Any]) -> None:
    assert COMMAND.fullmatch(step["run"])


@pytest.mark.parametrize("words", MODULES, ids=" ".join)
def test_a_module_knows_the_verbs_and_flags_that_it_gets(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    runnable = f"{words[0]}.__main__"
    package = importlib.import_module(words[0]).__spec__.submodule_search_locations
    module = importlib.import_module(runnable if package else words[0])
    assert Path(module.__file__ or "").is_relative_to(ROOT)
    if words[1:]:
        with pytest.raises(SystemExit, match="0"):
            module.main([*(SAMPLES.get(word, word) for word in words[1:]), "--help"])
        known = capsys.readouterr().out
        assert [word for word in words if word.startswith("--") and word not in known] == []


def needs() -> dict[tuple[str, ...], set[str]]:
    """By the locks that a job installs: the modules that such jobs run."""
    modules: dict[tuple[str, ...], set[str]] = {}
    for name, job in JOBS:
        lines = " ".join(step.get("run", "") for step in WORKFLOWS[name]["jobs"][job]["steps"])
        locks = tuple(sorted(set(re.findall(r"requirements/\S+\.txt", lines))))
        modules.setdefault(locks, set()).update(re.findall(r"-m ((?:release|stages)\.\w+)", lines))
        if "dvc " in lines:
            modules[locks] |= {"dvc.cli", "dvc_s3"}
    return modules


@pytest.mark.parametrize("locks", needs(), ids=" ".join)
def test_a_job_runs_only_packages_of_the_locks_that_it_installs(locks: tuple[str, ...]) -> None:
    modules = ", ".join(sorted({"sys", *needs()[locks]}))
    command = (
        f"import sys; old = set(sys.modules); import {modules}; print(*sys.modules.keys() - old)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    owners = packages_distributions()
    loaded = {owners[top][0] for name in printed.split() if (top := name.split(".")[0]) in owners}
    text = "\n".join((ROOT / lock).read_text() for lock in locks)
    held = {name.lower() for name in re.findall(r"^([\w.-]+)(?:\[.+\])?==", text, re.MULTILINE)}
    loaded -= {"credit-pd", "brotli"}  # the project itself; what urllib3 takes where it is there
    assert {re.sub("[-_.]+", "-", name).lower() for name in loaded} <= held


def test_every_other_module_is_pip() -> None:
    assert {words[0] for words in OURS} - {words[0] for words in MODULES} == {"pip"}


def test_dvc_takes_the_arguments_that_it_gets() -> None:
    for words in commands():
        if words[0] == "dvc":
            parse_args(words[1:])


def test_the_targets_of_make_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {words[1] for words in commands() if words[0] == "make"} <= set(targets)


def test_the_files_that_are_named_exist() -> None:
    named = {
        word for words in commands() for word in words if re.fullmatch(r"[\w.]+/[\w./-]+", word)
    }
    given = [step.values[0].get("with", {}) for step in steps("uses")]
    named |= {
        each[key] for each in given for key in ("path", "cache-dependency-path") if key in each
    }
    named = {SIDES.sub("", name) for name in named} - {""}
    assert [name for name in named if name not in TRACKED and not name.startswith(MADE)] == []


@pytest.mark.parametrize("pattern", WORKFLOWS["release"]["on"]["push"]["paths"])
def test_a_path_that_starts_a_release_matches_a_file(pattern: str) -> None:
    regex = re.escape(pattern).replace(r"\*\*", ".+")
    assert any(re.fullmatch(regex, name) for name in TRACKED)


def test_a_change_of_a_packed_file_starts_a_release() -> None:
    patterns = WORKFLOWS["release"]["on"]["push"]["paths"]
    for needed in (
        "params.yaml",
        "dvc.lock",
        "stages/**",
        "service/**",
        "requirements/service.txt",
    ):
        assert needed in patterns


def test_the_end_to_end_tests_start_every_night_and_with_every_release() -> None:
    started = WORKFLOWS["e2e"]["on"]
    assert started["push"] == WORKFLOWS["release"]["on"]["push"]
    [schedule] = started["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])


def test_a_program_that_a_workflow_runs_as_root_exists() -> None:
    named = [words[-1] for words in commands() if words[0] == "sudo" and "/" in words[-1]]
    assert named == [".ci/run"]
    assert os.access(ROOT / named[0], os.X_OK)


@pytest.mark.parametrize("step", steps("uses"))
def test_an_action_is_pinned_and_gets_inputs_that_it_has(step: dict[str, Any]) -> None:
    name, _, commit = step["uses"].partition("@")
    assert ACTIONS[name]["pin"].split()[0] == commit
    assert [key for key in step.get("with", {}) if key not in ACTIONS[name]["inputs"]] == []


def test_every_pin_states_its_version() -> None:
    for text in TEXTS.values():
        for name, pin in re.findall(r"uses: ([^@\s]+)@(.+)", text):
            assert pin == ACTIONS[name]["pin"]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_has_its_own_permissions_and_a_timeout(name: str, job: str) -> None:
    held = WORKFLOWS[name]["jobs"][job]
    assert WORKFLOWS[name]["permissions"] == {}
    assert isinstance(held["permissions"], dict)
    assert int(held["timeout-minutes"]) <= 120


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_limits_its_concurrency(name: str) -> None:
    assert WORKFLOWS[name]["concurrency"]["group"]


def test_only_jobs_that_need_it_may_write() -> None:
    rights = {
        (name, job, right)
        for name, job in JOBS
        for right, level in WORKFLOWS[name]["jobs"][job]["permissions"].items()
        if level == "write" and right != "id-token"
    }
    assert rights == {
        ("pipeline", "comment", "pull-requests"),
        ("release", "image", "attestations"),
        ("release", "promote", "contents"),
        ("release", "keep", "contents"),
        ("release", "rename", "contents"),
        ("retrain", "challenge", "contents"),
        ("retrain", "challenge", "pull-requests"),
        ("retrain", "notify", "issues"),
    }


@pytest.mark.parametrize("job", ["deploy", "rollback"])
def test_a_person_approves_what_changes_production(job: str) -> None:
    assert WORKFLOWS["release"]["jobs"][job]["environment"] == "production"


@pytest.mark.parametrize("job", ["promote", "rename"])
def test_tags_are_written_from_an_environment_that_holds_the_key_of_the_app(job: str) -> None:
    held = WORKFLOWS["release"]["jobs"][job]
    assert held["environment"] == "tagging"
    app, checkout = held["steps"][:2]
    assert app["with"]["private-key"] == "${{ secrets.RELEASE_APP_KEY }}"
    assert checkout["with"]["token"] == "${{ steps.app.outputs.token || github.token }}"


@pytest.mark.parametrize("name", ["pipeline", "release"])
def test_where_judging_may_mint_a_token_nothing_of_a_change_is_executed(name: str) -> None:
    jobs = WORKFLOWS[name]["jobs"]
    with_token = [each for each, job in jobs.items() if "id-token" in job["permissions"]]
    assert "data" in with_token
    assert not {"gate", "judge", "reproduce"} & {*with_token}
    assert jobs["data"]["env"] == {"PYTHONSAFEPATH": "1", "PYTHONPATH": "../base"}
    runs = [step for step in jobs["data"]["steps"] if "run" in step]
    settings = next(n for n, step in enumerate(runs) if "--delete base/.dvc/" in step["run"])
    change = [n for n, step in enumerate(runs) if step.get("working-directory") == "change"]
    assert settings < min(change)
    harmless = {"dvc fetch", "dvc fetch --all-commits models/predictions.parquet"}
    harmless |= {"python -m release.remote check"}
    harmless |= {'python -m release.registry live --output "$GITHUB_OUTPUT"'}
    assert {runs[n]["run"] for n in change} <= harmless


@pytest.mark.parametrize(("name", "job"), [("pipeline", "judge"), ("release", "gate")])
def test_a_change_is_judged_by_the_code_and_the_packages_of_its_base(name: str, job: str) -> None:
    held = WORKFLOWS[name]["jobs"][job]
    assert held["env"]["PYTHONSAFEPATH"] == "1"
    assert held["env"]["PYTHONPATH"] == "../base"
    runs = [step for step in held["steps"] if "run" in step]
    assert runs[0]["run"].endswith("-r base/requirements/pipeline.txt")
    assert runs[1]["run"] == "rsync --archive --delete base/.dvc/ change/.dvc/"
    assert [step["run"].split(" --")[0] for step in runs[2:]] == [
        "dvc checkout",
        "python -m release.gate",
        "python -m release.report",
    ]
    assert {step["working-directory"] for step in runs[2:]} == {"change"}


def test_the_image_is_built_and_run_without_a_token_and_published_without_being_run() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read"}
    runs = [step["run"] for step in jobs["image"]["steps"] if "run" in step][1:]
    assert [" ".join(run.split()[2:4]) for run in runs] == [
        "release.image load",
        "release.image publish",
        "release.attestation attest",
    ]
    code = jobs["data"]["steps"][0]["with"]["ref"]
    assert {jobs[job]["steps"][0]["with"]["ref"] for job in ("image", "deploy")} == {code}


@pytest.mark.parametrize(("name", "judge"), [("pipeline", "judge"), ("release", "gate")])
def test_the_job_that_trains_a_change_again_has_no_token_and_trusts_no_stored_run(
    name: str, judge: str
) -> None:
    held, judging = (WORKFLOWS[name]["jobs"][job] for job in ("reproduce", judge))
    assert held["permissions"] == {"contents": "read"}
    assert "dvc repro --force" in [step.get("run") for step in held["steps"]]
    assert judging["needs"] == ["data", "reproduce"]
    gate = next(s["run"] for s in judging["steps"] if "release.gate" in s.get("run", ""))
    assert re.search(r"--reproduced \S+/reproduced --blind \.\./blind", gate)


@pytest.mark.parametrize("name", ["pipeline", "release"])
def test_what_is_trained_without_the_test_part_is_handed_on_before_the_change_runs(
    name: str,
) -> None:
    steps = WORKFLOWS[name]["jobs"]["reproduce"]["steps"]
    used = [each.get("run") or each["uses"].partition("@")[0] for each in steps]
    blind = used.index("python -m release.gate.reproduction blind ../blind")
    assert used[blind + 1] == "actions/upload-artifact"
    assert steps[blind + 1]["with"]["path"] == "blind"
    for_forks = [each.get("if") == "${{ env.FORK }}" for each in steps]
    ours = [
        words
        for words, of_fork in zip(used[:blind], for_forks, strict=False)
        if not of_fork and not words.startswith("actions/")
    ]
    install = "python -m pip install --quiet --require-hashes -r change/requirements/pipeline.txt"
    assert ours == [install, "dvc checkout"]


@pytest.mark.parametrize("name", ["ci", "pipeline"])
def test_a_pull_request_gets_no_secret(name: str) -> None:
    assert "secrets." not in TEXTS[name]
    assert "pull_request_target" not in TEXTS[name]


def test_the_retraining_is_on_sundays_at_three_in_cairo() -> None:
    [schedule] = WORKFLOWS["retrain"]["on"]["schedule"]
    assert schedule == {"cron": "0 3 * * 0", "timezone": "Africa/Cairo"}
    assert ZoneInfo(schedule["timezone"])


def test_each_role_is_an_output_of_the_foundation() -> None:
    used = set(re.findall(r"vars\.((?:AWS|ECR)_\w+)", "".join(TEXTS.values()))) - {"AWS_REGION"}
    foundation = templates.load(templates.INFRA / "foundation.yaml")["Outputs"].values()
    descriptions = " ".join(output.get("Description", "") for output in foundation)
    assert [name for name in used if name not in descriptions] == []


def test_every_variable_and_secret_is_explained() -> None:
    used = set(re.findall(r"(?:vars|secrets)\.(\w+)", "".join(TEXTS.values())))
    variables = re.findall(r"`([A-Z_]+)`", (templates.INFRA / "README.md").read_text())
    assert used <= set(variables)
    assert {name for name in variables if name.startswith("AWS")} <= used


@pytest.mark.parametrize(
    ("name", "job", "role", "subject"),
    [
        ("pipeline", "data", "ReadRole", "pull_request"),
        ("release", "data", "ReadRole", "ref:refs/heads/main"),
        ("release", "image", "PublishRole", "environment:publishing"),
        ("release", "deploy", "DeployRole", "environment:production"),
        ("release", "rollback", "DeployRole", "environment:production"),
        ("retrain", "challenge", "WriteRole", "environment:retraining"),
    ],
)
def test_a_role_admits_the_job_that_takes_it(name: str, job: str, role: str, subject: str) -> None:
    held = WORKFLOWS[name]["jobs"][job]
    environment = held.get("environment")
    assert subject.removeprefix("environment:") == environment or environment is None
    variable = re.sub(r"(\w+)Role", lambda match: f"AWS_{match[1].upper()}_ROLE", role)
    taken = [step.get("with", {}).get("role-to-assume") for step in held["steps"]]
    assert f"${{{{ vars.{variable} }}}}" in taken
    trust = dict(templates.resources("AWS::IAM::Role"))[f"foundation/{role}"]
    condition = trust["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
    subjects = condition["token.actions.githubusercontent.com:sub"]
    assert {"Fn::Sub": f"${{SubjectPrefix}}:{subject}"} in subjects


@pytest.mark.parametrize("readme", ["docs/how-to/release.md", "release/deploy/infra/README.md"])
def test_the_checks_that_protect_main_are_names_of_jobs(readme: str) -> None:
    names = {WORKFLOWS[name]["jobs"][job]["name"]: name for name, job in JOBS}
    named = {name for name in names if f"`{name}`" in " ".join((ROOT / readme).read_text().split())}
    assert named == {"Reproduce and judge", "Style, types, import rules", "Tests"}
    assert all("pull_request" in WORKFLOWS[names[name]]["on"] for name in named)


# What decides about models and production, and what git or DVC obey; some are not there yet.
OWNED = (
    *(".ci/run", ".dvc/config", ".dvc/plots/counts.json", ".dvcignore", ".gitattributes"),
    *(".github/CODEOWNERS", ".github/workflows/pipeline.yml", ".gitignore", ".gitmodules"),
    *("Makefile", "data/loan_book/contract.yaml", "data/loan_book/raw.dvc", "data/dvc.yaml"),
    *("dvc.lock", "dvc.yaml", "models/acknowledgements.yaml", "models/approvals.yaml"),
    *("models/gate.yaml", "models/search/lightgbm.json", "params.yaml", "pyproject.toml"),
    *("release/gate/__main__.py", "requirements/pipeline.txt", "service/service.py"),
    *("stages/train.py", "stages/__pycache__/train.cpython-311.pyc"),
)


def test_one_team_owns_what_decides_about_models_and_production() -> None:
    lines = (ROOT / ".github/CODEOWNERS").read_text().splitlines()
    owners = dict(line.split() for line in lines if line[0] != "#")
    assert len({*owners.values()}) == 1
    for path in OWNED:
        assert any(
            f"/{path}".startswith(each) if each.endswith("/") else f"/{path}" == each
            for each in owners
        ), path


def test_updates_wait_a_week() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    for update in updates:
        assert update["cooldown"]["default-days"] >= 7
        assert (ROOT / update["directory"].lstrip("/")).is_dir()

"""Workflows and templates before those who know them best, offline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.node import runner
from tests.e2e.processes import ROOT, missing
from tests.release.test_workflows import PATHS, steps
from tests.support import templates

__all__ = ["runner"]  # a fixture
pytestmark = pytest.mark.e2e

Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check() -> Check:
    """Runs a program of this environment in the repository; returns its status and output."""

    def run(program: str, *words: str) -> tuple[int, str]:
        path = Path(sys.executable).with_name(program)
        if not path.exists():
            missing(f"the program {program}")
        done = subprocess.run([path, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def files() -> list[str]:
    return [str(path) for path in PATHS]


def test_zizmor_finds_no_weakness(check: Check) -> None:
    status, text = check("zizmor", "--offline", "--no-progress", ".github")
    assert status == 0, text


def test_zizmor_finds_a_planted_weakness(check: Check, tmp_path: Path) -> None:
    weak = PATHS[0].read_text().replace("make test", "echo ${{ github.head_ref }}")
    (tmp_path / "weak.yml").write_text(weak)
    status, text = check("zizmor", "--offline", "--no-progress", str(tmp_path / "weak.yml"))
    assert status != 0
    assert "template-injection" in text


def test_workflows_keep_githubs_schema(check: Check) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")
    status, text = check("check-jsonschema", *schema, *files())
    assert status == 0, text


def test_dependabots_settings_keep_their_schema(check: Check) -> None:
    schema = ("--builtin-schema", "vendor.dependabot")
    status, text = check("check-jsonschema", *schema, ".github/dependabot.yml")
    assert status == 0, text


def test_yaml_is_in_form(check: Check) -> None:
    status, text = check("yamllint", "--strict", ".github", "release", ".yamllint.yaml", "dvc.yaml")
    assert status == 0, text


@pytest.mark.parametrize("step", steps("run"))
def test_a_step_is_sound_shell(check: Check, step: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "step.sh"
    script.write_text(f"#!/bin/bash\n{step['run']}\n")
    status, text = check("shellcheck", str(script))
    assert status == 0, text


def test_the_hosts_start_is_sound_shell(check: Check, tmp_path: Path) -> None:
    text, _ = templates.only("AWS::EC2::Instance")["UserData"]["Fn::Base64"]["Fn::Sub"]
    script = text[text.index("#!/bin/sh") : text.index("--part--")].replace("${AWS::", "${AWS_")
    (tmp_path / "start.sh").write_text(script)
    unset = "--exclude=SC2154"  # the values of the stack
    status, text = check("shellcheck", unset, str(tmp_path / "start.sh"))
    assert status == 0, text


def test_the_templates_are_what_cloudformation_takes(check: Check) -> None:
    status, text = check("cfn-lint", *map(str, templates.TEMPLATES))
    assert status == 0, text


def service(runner: Path, *names: str) -> tuple[int, str]:
    command = ["node", "--import", "./json_modules.mjs", "check.mjs", *names]
    done = subprocess.run(command, cwd=runner, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_githubs_language_service_has_nothing_against_them(runner: Path) -> None:
    assert service(runner, *files()) == (0, "")


def test_githubs_language_service_finds_planted_mistakes(runner: Path, tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    broken = text.replace("needs.image.outputs.digest", "needs.imag.outputs.digest", 1)
    (tmp_path / "broken.yml").write_text(broken.replace("runs-on", "runs-onn", 1))
    status, complaints = service(runner, str(tmp_path / "broken.yml"))
    assert status == 1
    assert "imag" in complaints
    assert "runs-onn" in complaints

"""What the README says is there: commands, files, endpoints, settings."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.api.asgi import HANDED_ON
from service.api.handlers import Desk
from service.api.monitoring import Watch
from service.ledger import Ledger
from stages import params
from stages.contract import reading as contracts
from tests.support.books import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
CODE = "".join(p.read_text() for p in [*(ROOT / "service").rglob("*.py"), ROOT / "Makefile"])


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_a_make_target_exists(command: str) -> None:
    target = command.split()[1] if " " in command else "all"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m")])
def test_a_module_can_be_run(command: str) -> None:
    module = command.split()[2]
    assert find_spec(module) or find_spec(f"{module}.__main__")


@pytest.mark.parametrize("command", [c for c in COMMANDS if " -S " in c])
def test_a_parameter_that_is_set_exists(command: str) -> None:
    for name in re.findall(r"-S ([\w.]+)=", command):
        value = params.load(ROOT / "params.yaml").model_dump()
        for key in name.split("."):
            value = value[key]


@pytest.mark.parametrize("path", re.findall(r"\]\((\w[\w./-]+)\)", README))
def test_a_file_that_is_shown_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_endpoint_is_served_and_every_served_one_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Ledger(f"sqlite:///{tmp_path}/l.sqlite"))
    served = set(desk.routes | Watch(desk).routes)
    table = README[README.index("| endpoint |") : README.index("`/` is the page")]
    told = set(re.findall(r"`(?:GET |POST )?(/[\w./{}-]+)`", table))
    assert told == served | {p for p in HANDED_ON if p in ("/livez", "/metrics")}


@pytest.mark.parametrize("name", re.findall(r"`((?:CREDIT_PD|ALERT|DATABASE)_[A-Z_]+)", README))
def test_a_setting_is_read_by_the_service(name: str) -> None:
    assert name in CODE


def test_the_example_is_an_application_of_the_default_contract() -> None:
    example = json.loads((ROOT / "docs" / "application.json").read_text())
    assert example.keys() <= contracts.load("loan_book", ROOT / "data").fields.keys()

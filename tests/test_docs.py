"""What the README and the documentation say is there: commands, files, endpoints, settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from service.api.application.asgi import FORWARDED
from service.api.handlers.api import Api
from service.ledger import Ledger
from stages import params
from stages.contract import reading as contracts
from tests.support.books import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TEXT = {str(page.relative_to(ROOT)): page.read_text() for page in sorted(PAGES)}
BLOCKS = re.findall(r"```sh\n(.*?)```", "\n".join(TEXT.values()), re.DOTALL)
LINES = (line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines())
COMMANDS = sorted({line for line in LINES if line})
LINKS = [
    (page, link)
    for page, text in TEXT.items()
    for link in re.findall(r"\]\(([\w.][\w./-]+)(?:#[\w-]+)?\)", text)
]
SETTINGS = sorted(
    set(re.findall(r"`((?:CREDIT_PD|ALERT|DATABASE|RETRAIN)_[A-Z_]+)", "\n".join(TEXT.values())))
)
CODE = "".join(
    path.read_text()
    for path in [
        *(ROOT / "service").rglob("*.py"),
        *(ROOT / "release").rglob("*.py"),
        ROOT / "Makefile",
    ]
)


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


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_file_that_is_linked_is_there(page: str, link: str) -> None:
    assert (ROOT / Path(page).parent / link).exists()


def test_the_readme_is_short() -> None:
    assert len(TEXT["README.md"].splitlines()) <= 150


def test_the_architecture_names_every_package() -> None:
    tree = TEXT["docs/explanation/architecture.md"].split("```")[1]
    packages = {
        path.parent.name
        for name in ("stages", "service", "release")
        for path in (ROOT / name).glob("*/__init__.py")
    }
    assert sorted(p for p in packages if not re.search(rf"^  {p}/ ", tree, re.MULTILINE)) == []


def test_the_architecture_names_every_module_of_the_stages_and_no_other() -> None:
    tree = TEXT["docs/explanation/architecture.md"].split("```")[1].partition("\n  compute/")[0]
    lines = [line.removeprefix("stages/").strip() for line in tree.strip().splitlines()]
    named = {name for line in lines for name in re.split(" {4,}", line)[0].split()}
    stages = ROOT / "stages"
    assert {path.stem for path in stages.glob("[!_]*.py")} <= named
    assert [n for n in named if not ((stages / f"{n}.py").exists() or (stages / n).is_dir())] == []


def test_every_page_stands_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [page.removeprefix("docs/") for page in TEXT if page.startswith("docs/")]
    assert [page for page in pages if page not in navigation] == []


def test_the_site_builds_without_a_warning_or_a_dead_link(tmp_path: Path) -> None:
    build = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *build],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = [path.read_text() for path in tmp_path.rglob("*.html")]
    outside = [
        re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?https?:", text) for text in pages
    ]
    assert pages
    assert not any(outside)


def test_the_schemas_and_reference_pages_are_those_of_the_code() -> None:
    spec = spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec
    assert spec.loader
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    for name, text in reference.schemas().items():
        assert (ROOT / f"docs/schemas/{name}.schema.json").read_text() == text
    for name, text in reference.pages().items():
        assert TEXT[f"docs/reference/{name}.md"] == text


@pytest.mark.parametrize("file", ["contract", "params"])
def test_every_key_of_a_file_that_people_write_is_described(file: str) -> None:
    schema = json.loads((ROOT / f"docs/schemas/{file}.schema.json").read_text())
    sections = {file: schema, **schema["$defs"]}
    for name, section in sections.items():
        assert section["description"], name
        for key, what in section["properties"].items():  # a section's own words stand with it
            assert what.get("description") or "$ref" in what, (name, key)


def test_every_endpoint_is_served_and_every_served_one_is_reported(tmp_path: Path) -> None:
    api = Api(tmp_path, Ledger(f"sqlite:///{tmp_path}/l.sqlite"))
    served = set(api.routes)
    page = TEXT["docs/reference/http-api.md"]
    table = page[page.index("| endpoint |") : page.index("`/` is the page")]
    documented = set(re.findall(r"`(?:GET |POST )?(/[\w./{}-]+)`", table))
    assert documented == served | {p for p in FORWARDED if p in ("/livez", "/metrics")}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_read_by_the_code(name: str) -> None:
    assert name in CODE


def test_the_example_is_an_application_of_the_default_contract() -> None:
    example = json.loads((ROOT / "docs" / "application.json").read_text())
    assert example.keys() <= contracts.load("loan_book", ROOT / "data").fields.keys()


def test_the_changelog_has_the_sections_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"(?m)^## (.+)$", text)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", v) for v in versions[1:])
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for part in text.split("\n## ")[1:]:
        sections = re.findall(r"(?m)^### (.+)$", part)
        assert len(sections) == len(set(sections))
        assert set(sections) <= set(kinds)

"""The files beside compose.yaml are where compose.yaml and the programs look for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.books import ROOT

FOLDER = ROOT / "release/deploy/compose"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
MOUNTED = {
    source: target
    for service in SERVICES.values()
    for source, target, *_ in (volume.split(":") for volume in service.get("volumes", []))
    if source.startswith(".")
}


@pytest.mark.parametrize("source", MOUNTED)
def test_every_mounted_file_exists(source: str) -> None:
    assert (FOLDER / source).exists()


def test_every_file_of_the_folder_is_mounted() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.name != "compose.yaml"]
    mounted = [FOLDER / source for source in MOUNTED]
    assert [path for path in files if not any(path.is_relative_to(each) for each in mounted)] == []


def test_programs_find_their_files_in_the_container() -> None:
    commands = {name: service.get("command", []) for name, service in SERVICES.items()}
    for name in ("prometheus", "alertmanager"):
        [flag] = [word for word in commands[name] if word.startswith("--config.file=")]
        path = Path(flag.partition("=")[2])
        assert (FOLDER / name / path.name).is_file()
        assert MOUNTED[f"./{name}"] == str(path.parent)
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (FOLDER / "grafana" / Path(home).relative_to(MOUNTED["./grafana"])).is_file()

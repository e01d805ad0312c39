"""The commands of a release, as people call them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from release.image import __main__ as image

COMMANDS = (
    "gate",
    "gate.reproduction",
    "report",
    "image",
    "remote",
    "registry",
    "retrain",
    "deploy",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_usage_is_what_people_type(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    package = Path("release", *name.split(".")).is_dir()
    module = import_module(f"release.{name}.__main__" if package else f"release.{name}")
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: python -m release.{name} ")


def test_a_bento_outside_of_a_checkout_ends_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert image.main(["build"]) == 1
    assert capsys.readouterr().err.startswith("image: ")

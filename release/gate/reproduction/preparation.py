"""Prepare the raw tables of a change again by the code of this gate.

All that is judged begins with the prepared rows: which loans there are, their outcomes and their
parts. Where only the change's own code gives them, a person answers for it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from release import revisions
from release.gate import parameters
from release.gate.judgement import Judgement, RedFlag
from release.gate.parameters import JudgedParameters
from release.gate.reproduction import programs
from release.gate.reproduction.rescoring import CODE
from release.revisions import CannotJudge
from stages import files

SECONDS = 1800
MADE = ("prepared", "quality.json")


def find_red_flags(judgement: Judgement) -> Iterator[RedFlag]:
    """Yield prepared rows that the code of this gate does not give of the same tables."""
    config, base = judgement.params, judgement.base
    changed = revisions.list_changed(base, *CODE) if base else []
    if config is None or base is None or not changed or not (config.data / "prepared").is_dir():
        return
    try:
        wrong = differences(config, base)
    except CannotJudge as error:
        wrong = [str(error)]
    if wrong:
        words = f"the code of this gate does not give the prepared rows: {', '.join(wrong)}; "
        words += f"they are those of the change's own code alone, of which {len(changed)} files "
        yield RedFlag("code.preparation", f"{words}changed")


def differences(config: JudgedParameters, base: str) -> list[str]:
    """Return what the code of this gate makes otherwise of the raw tables."""
    if not (raw := config.data / "raw").is_dir():
        raise CannotJudge(f"{raw} is missing: run `dvc pull`")
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as made:
        copy, data = Path(made), Path(made) / config.data
        shutil.copytree(raw, data / "raw")
        shutil.copyfile(config.data / "contract.yaml", data / "contract.yaml")
        files.write_text(copy / "params.yaml", yaml.safe_dump(stated(config, base)))
        words, what = ["-m", "stages.preprocess"], "preparing them again"
        programs.run(words, programs.OURS, what=what, seconds=SECONDS, folder=copy)
        ours, theirs = digests(data), digests(config.data)
    return sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))


def stated(config: JudgedParameters, base: str) -> dict[str, Any]:
    """Return the parameters of the base with those of the change that decide about rows."""
    here, before = parameters.read_all(), revisions.content(base, str(parameters.PATH)) or "{}"
    held = yaml.load(before, yaml.CSafeLoader)
    judged = {"dataset": config.dataset, "mode": config.mode, "compute": "local"}
    policy = config.policy.model_dump(mode="json", exclude_none=True)
    return {**held, **judged, "preprocess": here.get("preprocess"), "policy": policy}


def digests(data: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that preparing made, by its name."""
    every = [path for name in MADE for path in (data / name, *(data / name).rglob("*"))]
    return {
        str(path.relative_to(data)): sha256(path.read_bytes()).hexdigest()
        for path in every
        if path.is_file()
    }

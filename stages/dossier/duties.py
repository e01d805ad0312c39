"""What laws and supervisors ask for, and which test or file of the repository answers it."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from stages.dossier.sources import DossierError, read

DUTIES = Path("stages/dossier/duties.yaml")


class LegalSource(BaseModel):
    """Where a duty was read, and how much of it."""

    model_config = ConfigDict(extra="forbid")

    text: Literal["official text", "copy of the text", "secondary", "not read"]
    of: str
    url: str
    read: date


class Duty(BaseModel):
    """One duty, how far it is met, and the evidence."""

    model_config = ConfigDict(extra="forbid")

    law: str
    place: str
    duty: str
    status: Literal["met", "needs a person", "not met"]
    answer: str
    evidence: list[str]
    since: str
    source: LegalSource

    @model_validator(mode="after")
    def _met_by_something(self) -> Duty:
        if self.status == "met" and not self.evidence:
            raise ValueError("a duty that is met must name its evidence")
        return self


def load(path: Path) -> list[Duty]:
    """Return the duties; raises DossierError where the file says something impossible."""
    try:
        return TypeAdapter(list[Duty]).validate_python(read(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DossierError(f"{path}: {place}: {first['msg']}") from error


def absent_evidence(duties: list[Duty], root: Path) -> list[str]:
    """Return the cited files and tests that are not in the repository."""
    cited = sorted({name for duty in duties for name in duty.evidence})
    return [name for name in cited if not is_there(name, root)]


def is_there(name: str, root: Path) -> bool:
    """Tell whether a path is there, and the test that may follow it after `::`."""
    place, _, test = name.partition("::")
    path = root / place
    if not test or not path.is_file():
        return path.exists() and not test
    nodes = ast.walk(ast.parse(path.read_text()))
    return any(isinstance(node, ast.FunctionDef) and node.name == test for node in nodes)

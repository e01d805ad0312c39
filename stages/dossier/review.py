"""What people state about the model: what it is for, and who approved it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.dossier.sources import DossierError, read

APPROVALS = Path("models/approvals.yaml")
Role = Literal["developer", "validator", "compliance", "risk committee"]
ROLES: tuple[Role, ...] = ("developer", "validator", "compliance", "risk committee")


class Use(BaseModel):
    """What the model of a book is for."""

    model_config = ConfigDict(extra="forbid")

    purpose: str
    population: str
    not_for: list[str]
    owner: str | None = None


class ModelApproval(BaseModel):
    """What one person decided about one model."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    who: str = Field(pattern=r"\S")
    date: date
    model: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of models/winner.json, which the dossier shows."""
    decision: Literal["approved", "approved with conditions", "refused"]
    note: str = ""


class ApprovalsFile(BaseModel):
    """The content of models/approvals.yaml."""

    model_config = ConfigDict(extra="forbid")

    uses: dict[str, Use] = {}
    approvals: list[ModelApproval] = []


def load(root: Path) -> ApprovalsFile:
    """Return what people state; raises DossierError where the file says something impossible."""
    path = root / APPROVALS
    if not path.exists():
        return ApprovalsFile()
    try:
        return ApprovalsFile.model_validate(read(path) or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DossierError(f"{APPROVALS}: {place}: {first['msg']}") from error

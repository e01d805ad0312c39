"""Read the winner's files: the model, its golden records, its reference, and the parameters.

The bytes are held against the hashes that the release states before they are parsed. A file that is
missing, altered or of another environment raises NotReady, which says what to do.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from service.decision.hashes import GOLDEN, REFERENCE, WINNER, NotReady
from service.decision.reasons import Approved
from stages import params
from stages.models import artifact, model_file
from stages.models.artifact import Model
from stages.models.model_file import NotAModelFile


def read_model(content: bytes | None) -> Model:
    """Return the model in a file's content; NotReady where it is missing, or of other libraries."""
    if content is None:
        raise NotReady(f"there is no model: {WINNER} is missing; run `make`")
    try:
        model = model_file.parse(content, str(WINNER))
    except NotAModelFile as error:
        raise NotReady(f"{error}; run `dvc repro`, or restore it by `dvc checkout`") from error
    here = {name: installed_version(name) for name in model.versions}
    differ = [f"{n} {v} (here {here[n]})" for n, v in model.versions.items() if here[n] != v]
    if differ:
        raise NotReady(
            f"the model was trained with {', '.join(differ)}; install the locked versions "
            "(requirements/), or train again"
        )
    return model


def installed_version(name: str) -> str:
    """Return the version of a library; "none" where it is not installed."""
    try:
        return artifact.installed_versions((name,))[name]
    except PackageNotFoundError:
        return "none"


def read_golden(content: bytes | None) -> list[dict[str, Any]]:
    """Return the golden records; NotReady where there are none that could prove anything."""
    if content is None:
        raise NotReady(f"there are no golden records: {GOLDEN} is missing; run `dvc repro`")
    try:
        records: list[dict[str, Any]] = [json.loads(line) for line in content.splitlines()]
        usable = all({*r["application"], r["default_probability"]} for r in records)
    except (ValueError, KeyError, TypeError) as error:
        raise NotReady(f"{GOLDEN} cannot be read ({error!r}); run `dvc repro`") from error
    if not (records and usable):
        raise NotReady(f"{GOLDEN} holds no golden record; run `dvc repro`")
    return records


def read_approved(content: bytes | None) -> Approved:
    """Return what is usual for approved applicants; NotReady where the reference lacks it."""
    if content is None:
        raise NotReady(f"there is no reference: {REFERENCE} is missing; run `dvc repro`")
    try:
        return Approved.read(json.loads(content)["approved"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotReady(f"{REFERENCE} cannot be read ({error!r}); run `dvc repro`") from error


def read_parameters(root: Path, model: Model) -> params.Params:
    """Return `params.yaml`; NotReady where it is wrong, or asks for another model than this."""
    try:
        config = params.load(root / "params.yaml", with_candidates=False)
    except (OSError, params.ParamsError) as error:
        raise NotReady(f"params.yaml cannot be used: {error}") from error
    if (model.dataset, model.mode) != (config.dataset, config.mode):
        raise NotReady(
            f"params.yaml asks for {config.dataset}, mode {config.mode}; {WINNER} was trained "
            f"on {model.dataset}, mode {model.mode}; run `dvc repro`"
        )
    return config

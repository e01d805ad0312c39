"""Read and check params.yaml; a message names the parameter that is unknown or impossible."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, ValidationError, create_model
from pydantic import Field as Key

from stages import files
from stages.contract.reading import duplicate_keys
from stages.models import registry
from stages.params.errors import ParamsError, explain
from stages.params.sections import Params, Train


def load(path: Path = Path("params.yaml"), *, with_candidates: bool = True) -> Params:
    """Read and check params.yaml; raises ParamsError naming the parameter.

    `with_candidates=False` skips the sections of the candidates: who only scores need not have the
    files of the candidates.
    """
    if not path.exists():
        raise ParamsError(f"{path} not found: run this command in the project's folder")
    document = read_document(files.read_text(path, ParamsError), path)
    model, train = Params, document.get("train")
    if with_candidates:
        model = model_with_candidates(candidates_in(document))
    elif isinstance(train, dict):
        shared = {key: value for key, value in train.items() if key in Train.model_fields}
        document = document | {"train": shared}
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ParamsError("\n".join(explain(path, error.errors(), model))) from error


def read_document(text: str, path: Path) -> dict[str, Any]:
    """Return the sections of params.yaml; raises ParamsError where its text is not a mapping."""
    try:
        document = yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ParamsError(f"{path}:{line}: not YAML: {error.problem}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{path}: must be a mapping of sections; got {document!r}")
    for keys, problem in duplicate_keys(yaml.compose(text, yaml.CSafeLoader)):
        raise ParamsError(f"{path}: {'.'.join(keys)}: {problem}")
    return document


def candidates_in(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the candidates with a file that the document lists or gives a section."""
    sections, listed = document.get("train"), document.get("candidates")
    named = [
        *(sections if isinstance(sections, dict) else ()),
        *(listed if isinstance(listed, list) else ()),
    ]
    there = registry.names()
    return tuple(dict.fromkeys(name for name in named if name in there))


@cache
def model_with_candidates(names: tuple[str, ...]) -> type[Params]:
    """Return `Params` with a section for each of these candidates, checked by its own file."""
    try:
        models = {name: registry.load(name).parameters for name in names}
    except registry.CandidateError as error:
        raise ParamsError(str(error)) from error
    sections: dict[str, Any] = {n: (m, Key(description=m.__doc__)) for n, m in models.items()}
    section = create_model("Train", __base__=Train, __doc__=Train.__doc__, **sections)
    name: Any = Annotated[str, AfterValidator(registry.check_name)]
    about = {key: field.description for key, field in Params.model_fields.items()}
    keys: dict[str, Any] = {
        "train": (section, Key(description=about["train"])),
        "candidates": (list[name], Key(min_length=1, description=about["candidates"])),
    }
    return create_model("Params", __base__=Params, __doc__=Params.__doc__, **keys)

"""Read from a change's params.yaml what the gate judges by, and nothing else.

The gate is the code of the base. A change may add sections and parameters that this code does not
know: they decide nothing here, and what a judged section has of them is named for a person.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Key
from pydantic_core import ErrorDetails

from release.dvc_state import read_text
from stages.contract.schema import Mode
from stages.params.errors import ParamsError, explain
from stages.params.reading import read_document
from stages.params.sections import Evaluate, Refit
from stages.policy.decisions import Policy

PATH = Path("params.yaml")
UNKNOWN = "extra_forbidden"  # pydantic's type of error
Model = TypeVar("Model", bound=BaseModel)


class JudgedParameters(BaseModel):
    """The part of params.yaml that decides about rows, decisions and figures of a judgement."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    dataset: Annotated[str, Key(pattern=r"^\w[\w.-]*$")]
    mode: Mode
    candidates: Annotated[list[str], Key(min_length=1)]
    evaluate: Evaluate
    refit: Refit = Key(default_factory=Refit)
    policy: Policy

    @property
    def data(self) -> Path:
        """The folder of the dataset."""
        return Path("data") / self.dataset


def read_all() -> dict[str, Any]:
    """Return all of params.yaml; CannotJudge where there is none, ParamsError for no mapping."""
    return read_document(read_text(PATH), PATH)


def read() -> tuple[JudgedParameters, list[str]]:
    """Return what is judged by, and the names of the parameters beside it that nobody here knows.

    Raises CannotJudge where there is no file, and ParamsError for what is no valid parameter.
    """
    try:
        return validate_known(JudgedParameters, read_all())
    except ValidationError as error:
        raise ParamsError("\n".join(explain(PATH, error.errors(), JudgedParameters))) from error


def validate_known(model: type[Model], document: object) -> tuple[Model, list[str]]:
    """Validate a document without the keys that the model does not know, and return their names.

    Raises ValidationError for anything else that is wrong.
    """
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        unknown = [each for each in error.errors() if each["type"] == UNKNOWN]
        if not unknown:
            raise
    known = remove_keys(document, unknown)
    validated, more = validate_known(model, known)
    return validated, [*(".".join(map(str, each["loc"])) for each in unknown), *more]


def remove_keys(document: object, unknown: list[ErrorDetails]) -> object:
    """Return a copy of nested mappings and lists without the keys that errors are about."""
    gone = {tuple(each["loc"]) for each in unknown}

    def copy(value: object, place: tuple[int | str, ...]) -> object:
        if isinstance(value, dict):
            return {
                key: copy(part, (*place, key))
                for key, part in value.items()
                if (*place, key) not in gone
            }
        if isinstance(value, list):
            return [copy(part, (*place, number)) for number, part in enumerate(value)]
        return value

    return copy(document, ())

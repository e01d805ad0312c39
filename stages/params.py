"""`params.yaml`, checked: an unknown or impossible parameter ends the stage with its name."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, ValidationError, create_model, model_validator
from pydantic import Field as Key

from stages.contract.schema import Mode
from stages.models.fitting import registry
from stages.models.fitting.parameters import (
    CandidateParameters,
    Part,
    Section,
    Seed,
    Share,
    Whole,
)
from stages.policy import Policy


class ParamsError(ValueError):
    """A parameter is unknown or cannot be; the message names it, what is allowed and what came."""


class Simulate(Section):
    """The simulated loan book."""

    rows: Whole
    seed: Seed
    separation: Annotated[float, Key(ge=0.25, le=1)]


class Preprocess(Section):
    """Split and tolerance."""

    seed: Seed
    test_share: Annotated[float, Key(gt=0, lt=1)]
    validation_share: Annotated[float, Key(gt=0, lt=1)]
    max_invalid: Share

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Preprocess:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share and validation_share leave no training rows")
        return self


class Featurize(Section):
    """What is fitted about features."""

    bins: Annotated[int, Key(ge=2)]
    clip: Annotated[float, Key(ge=0, lt=0.5)]


class Train(Section):
    """What all candidates share; the section of each candidate stands beside it, by its name."""

    # `load` adds a field for each of those sections, which the candidate's own file checks.

    seed: Seed
    folds: Annotated[int, Key(ge=2)]


class Evaluate(Section):
    """How candidates are judged."""

    choose_by: Literal["roc_auc", "pr_auc", "brier", "log_loss", "ks"]
    prefer: Literal["best", "simplest"]
    seed: Seed
    resamples: Annotated[int, Key(ge=100)]
    min_group: Whole
    golden: Whole


class Monitor(Section):
    """How live decisions are watched; no stage reads it."""

    every: Whole
    windows: Annotated[list[Annotated[int, Key(ge=100)]], Key(min_length=1)]
    min_group: Whole
    lowest_approval_ratio: Part
    maturity_days: Whole


class Params(Section):
    """All of params.yaml."""

    dataset: str
    mode: Mode
    threads: Whole
    candidates: Annotated[list[str], Key(min_length=1)]
    simulate: Simulate
    preprocess: Preprocess
    featurize: Featurize
    train: Train
    evaluate: Evaluate
    policy: Policy
    monitor: Monitor

    @property
    def data(self) -> Path:
        """The folder of the chosen dataset."""
        return Path("data") / self.dataset

    def candidate(self, name: str) -> CandidateParameters:
        """Return the checked section of a candidate; raises ParamsError where there is none."""
        try:
            section: CandidateParameters | None = getattr(
                self.train, registry.check_name(name), None
            )
        except registry.UnknownCandidate as error:
            raise ParamsError(str(error)) from None
        if section is None:
            raise ParamsError(f"params.yaml: train.{name}: a section is required")
        return section


def load(path: Path = Path("params.yaml"), *, with_candidates: bool = True) -> Params:
    """Read and check params.yaml; raises ParamsError naming the parameter.

    `with_candidates=False` skips the sections of the candidates, for those who only score and need
    not have the candidates' files.
    """
    if not path.exists():
        raise ParamsError(f"{path} is not here: go to the project's folder, which has it")
    try:
        document = yaml.load(path.read_text(), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{path}: must be a mapping of sections; got {document!r}")
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


def candidates_in(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the candidates that the document gives a section or lists, of those that are there."""
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
    sections: Any = {name: (registry.load(name).parameters, ...) for name in names}
    train: Any = create_model("Train", __base__=Train, __doc__=Train.__doc__, **sections)
    name: Any = Annotated[str, AfterValidator(registry.check_name)]
    candidates: Any = Annotated[list[name], Key(min_length=1)]
    return create_model(
        "Params", __base__=Params, __doc__=Params.__doc__, train=train, candidates=candidates
    )


def explain(path: Path, errors: list[Any], model: type[Params]) -> list[str]:
    """Return a line for each wrong key, such as `params.yaml: train.lightgbm.trees: ...`.

    Where a key allows one type or another, pydantic has an error for each: they share a line.
    """
    lines: dict[str, str] = {}
    for error in errors:
        keys = [key for key in error["loc"] if isinstance(key, int) or key.isidentifier()]
        place = ".".join(map(str, keys))
        got = "" if error["type"] == "missing" else f"; got {error['input']!r}"
        problem = error["msg"] + got + near_word(error)
        if error["type"] == "extra_forbidden":
            problem = unknown(keys, model)
        if place in lines:
            lines[place] = lines[place].removesuffix(got) + ", or: " + problem
        else:
            lines[place] = f"{path}: {place}: {problem}"
    return [*lines.values()]


def unknown(keys: list[Any], model: type[Params]) -> str:
    """Return what is wrong with a key that its section does not have."""
    section: Any = model
    for key in keys[:-1]:
        of_list = isinstance(key, int)
        section = get_args(section)[0] if of_list else section.model_fields[key].annotation
    allowed = list(section.model_fields)
    return f"unknown parameter; known are {', '.join(allowed)}{nearest(str(keys[-1]), allowed)}"


def near_word(error: Any) -> str:
    """Return the end of a message about a word that is not among those allowed, or ''."""
    if error["type"] != "literal_error":
        return ""
    return nearest(str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))


def nearest(word: str, allowed: list[str]) -> str:
    """Return '; did you mean X?' for the allowed words that are most like a wrong one, or ''."""
    longer = [name for name in allowed if word in name.split("_")]
    close = longer or get_close_matches(word, allowed, 1)
    return f"; did you mean {' or '.join(close)}?" if close else ""

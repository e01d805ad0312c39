"""Read and check `params.yaml`; a message names the parameter that is unknown or impossible."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, ValidationError, create_model, model_validator
from pydantic import Field as Key
from pydantic_core import ErrorDetails

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
    """A parameter is wrong; the message names it, says what is allowed, and what it is."""


class Simulate(Section):
    """The simulated loan book."""

    rows: Whole
    """Number of loans."""
    seed: Seed
    """Seed of the draws."""
    separation: Annotated[float, Key(ge=0.25, le=1)]
    """How far good and bad loans lie apart: the true PD has an AUC of 0.84 at 0.45, 0.96 at 1."""


class Preprocess(Section):
    """Split and tolerance."""

    seed: Seed
    """Seed of the stratified split; a contract with a date is split by time."""
    test_share: Annotated[float, Key(gt=0, lt=1)]
    """Share of the loans in the test part: the latest, where there are dates."""
    validation_share: Annotated[float, Key(gt=0, lt=1)]
    """Share of the loans in the validation part, before the test part in time."""
    max_invalid: Share
    """The stage stops where a larger share of the rows breaks the contract."""

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Preprocess:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share and validation_share leave no training rows")
        return self


class Featurize(Section):
    """What is fitted about features."""

    bins: Annotated[int, Key(ge=2)]
    """Number of bins for the information value of each feature."""
    clip: Annotated[float, Key(ge=0, lt=0.5)]
    """Share of each tail beyond which linear models see no difference."""


class Train(Section):
    """What all candidates share; the section of each candidate stands beside it, by its name."""

    # `load` adds a field for each of those sections, which the candidate's own file checks.
    seed: Seed
    """Seed of the folds, of resampling and of what each candidate draws."""
    folds: Annotated[int, Key(ge=2)]
    """Number of folds of the training rows, for calibration and for the choice of the winner."""


class Evaluate(Section):
    """How candidates are judged."""

    choose_by: Literal["roc_auc", "pr_auc", "brier", "log_loss", "ks"]
    """Figure, cross-validated, that chooses the winner."""
    prefer: Literal["best", "simplest"]
    """`best`, or `simplest`: the first of `candidates` within a standard error of the best."""
    seed: Seed
    """Seed of the bootstrap."""
    resamples: Annotated[int, Key(ge=100)]
    """Number of bootstrap samples behind each 95 % interval."""
    min_group: Whole
    """Groups of fewer loans are not judged."""
    golden: Whole
    """Number of applications recorded with their PD, which a deployment must repeat."""


class Monitor(Section):
    """How live decisions are watched; no stage reads it."""

    every: Whole
    """Number of new decisions before a window is judged again."""
    windows: Annotated[list[Annotated[int, Key(ge=100)]], Key(min_length=1)]
    """Numbers of decisions in a window: small ones are quick, large ones see small shifts."""
    min_group: Whole
    """Smaller groups of a protected attribute are not judged."""
    lowest_approval_ratio: Part
    """Lowest approval rate of a group, as a share of the highest (the four-fifths rule)."""
    maturity_days: Whole
    """Days after which a loan without a default counts as good."""


class Params(Section):
    """All of params.yaml."""

    dataset: str
    """Folder of `data/` with a `contract.yaml` and the files."""
    mode: Mode
    """What is known when the decision is made: the application, or its grade and price too."""
    threads: Whole
    """Number of threads; results do not depend on it."""
    candidates: Annotated[list[str], Key(min_length=1)]
    """Candidates to train and judge, the simplest first."""
    simulate: Simulate
    """The simulated loan book."""
    preprocess: Preprocess
    """Split and tolerance."""
    featurize: Featurize
    """What is fitted about features."""
    train: Train
    """What candidates share, and a section for each."""
    evaluate: Evaluate
    """How candidates are judged."""
    policy: Policy
    """From PD to decision, score and rating; a change trains nothing."""
    monitor: Monitor
    """How live decisions are watched; no stage reads it."""

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

    `with_candidates=False` skips the sections of the candidates: who only scores need not have the
    files of the candidates.
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
    models = {name: registry.load(name).parameters for name in names}
    sections: Any = {n: (m, Key(description=m.__doc__)) for n, m in models.items()}
    section: Any = create_model("Train", __base__=Train, __doc__=Train.__doc__, **sections)
    name: Any = Annotated[str, AfterValidator(registry.check_name)]
    about = {key: field.description for key, field in Params.model_fields.items()}
    train: Any = Annotated[section, Key(description=about["train"])]
    candidates: Any = Annotated[list[name], Key(min_length=1, description=about["candidates"])]
    keys: Any = {"train": train, "candidates": candidates}
    return create_model("Params", __base__=Params, __doc__=Params.__doc__, **keys)


def explain(path: Path, errors: list[ErrorDetails], model: type[Params]) -> list[str]:
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
            problem = describe_unknown(keys, model)
        if place in lines:
            lines[place] = lines[place].removesuffix(got) + ", or: " + problem
        else:
            lines[place] = f"{path}: {place}: {problem}"
    return [*lines.values()]


def describe_unknown(keys: list[str | int], model: type[Params]) -> str:
    """Return the message about a key that its section does not have."""
    section: Any = model
    for key in keys[:-1]:
        of_list = isinstance(key, int)
        section = get_args(section)[0] if of_list else section.model_fields[key].annotation
    allowed = list(section.model_fields)
    return f"unknown parameter; known are {', '.join(allowed)}{nearest(str(keys[-1]), allowed)}"


def near_word(error: ErrorDetails) -> str:
    """Return the end of a message about a word that is not among those allowed, or ''."""
    if error["type"] != "literal_error":
        return ""
    return nearest(str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))


def nearest(word: str, allowed: list[str]) -> str:
    """Return '; did you mean X?' for the allowed words that are most like a wrong one, or ''."""
    longer = [name for name in allowed if word in name.split("_")]
    close = longer or get_close_matches(word, allowed, 1)
    return f"; did you mean {' or '.join(close)}?" if close else ""

"""Read `models/gate.yaml`, which says what a change must keep, and compare two versions of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Key

from release.dvc_state import changes
from release.gate.parameters import validate_known
from stages.contract.reading import duplicate_keys
from stages.metrics.metrics import NAMES

PATH = "models/gate.yaml"
RESETS = "ratchet.resets"
FIGURES = (*NAMES, "profit")
HIGHER = ("roc_auc", "pr_auc", "gini", "ks", "precision", "recall", "f1", "profit")
LOWER = ("brier", "log_loss", "ece", "approved_bad_rate")
Share = Annotated[float, Key(ge=0, le=1)]
NotNegative = Annotated[float, Key(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Key(allow_inf_nan=False)]
LETTERS = r"\p{L}.*\p{L}"  # words that people can read


class LimitsSection(BaseModel):
    """A section of gate.yaml: no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Floor(LimitsSection):
    """Where a figure must lie."""

    min: Finite | None = None
    max: Finite | None = None

    def __str__(self) -> str:
        low, high = ("" if v is None else f"{v:g}" for v in (self.min, self.max))
        return f"{low} to {high}" if low and high else f"≥ {low}" if low else f"≤ {high}"

    def broken_limit(self, value: float) -> str:
        """Return the limit that a value breaks, in words, else nothing; NaN breaks every limit."""
        if self.min is not None and not value >= self.min:
            return f"below {self.min:g}"
        if self.max is not None and not value <= self.max:
            return f"above {self.max:g}"
        return ""


class CalibrationLimits(LimitsSection):
    """How far PDs may be from what happened."""

    max_ece: NotNegative
    max_gap: NotNegative
    min_slope: Finite
    max_slope: Finite


class Groups(LimitsSection):
    """How far protected groups may be apart; groups of fewer rows than the first are not judged."""

    max_unjudged_rows: Annotated[int, Key(ge=1)]
    min_adverse_impact_ratio: Share
    max_ece: NotNegative


class Suspicious(LimitsSection):
    """What a change may do only where a person answers for it, by figure or by feature."""

    max_gain: dict[str, NotNegative] = {}
    max_optimism: NotNegative = 0.03
    max_information_value: NotNegative = 1.0
    max_association: NotNegative = 0.5
    max_gone_rows: Share = 0.01
    max_changed_rows: Share = 0.02


class Reset(LimitsSection):
    """A day from which the record counts anew, who decided so, and why."""

    since: dt.date
    who: Annotated[str, Key(min_length=3, pattern=LETTERS)]
    why: Annotated[str, Key(min_length=15, pattern=LETTERS)]


class Ratchet(LimitsSection):
    """What all changes together may lose against the best model since the last reset."""

    max_loss: dict[str, NotNegative] = {}
    resets: list[Reset] = []

    @property
    def since(self) -> dt.date:
        """The day of the last reset; models before it do not count."""
        return max((reset.since for reset in self.resets), default=dt.date.min)


class Limits(LimitsSection):
    """The gate policy; `books` has further floors of datasets by their name."""

    min_bads: Annotated[int, Key(ge=2)]
    min_common_rows: Annotated[float, Key(gt=0, le=1)]
    floors: dict[str, Floor]
    books: dict[str, dict[str, Floor]] = {}
    max_loss: dict[str, NotNegative]
    max_unexcluded_loss: dict[str, NotNegative] = {}
    ratchet: Ratchet = Ratchet()
    suspicious: Suspicious = Suspicious()
    calibration: CalibrationLimits
    groups: Groups

    @model_validator(mode="after")
    def _check_names(self) -> Limits:
        losses = {
            "max_loss": self.max_loss,
            "max_unexcluded_loss": self.max_unexcluded_loss,
            "ratchet.max_loss": self.ratchet.max_loss,
            "suspicious.max_gain": self.suspicious.max_gain,
        }
        named = {"floors": [*self.floors], **{place: [*held] for place, held in losses.items()}}
        named |= {f"books.{book}": [*floors] for book, floors in self.books.items()}
        for place, names in named.items():
            allowed = (*HIGHER, *LOWER) if place in losses else FIGURES
            if unknown := [name for name in names if name not in allowed]:
                raise ValueError(f"{place}: allowed are {', '.join(allowed)}; got {unknown}")
        return self

    def of(self, book: str) -> Limits:
        """Return the policy for a book, whose own floors replace those of every book."""
        return self.model_copy(update={"floors": {**self.floors, **self.books.get(book, {})}})

    @property
    def required_figures(self) -> tuple[str, ...]:
        """Return the figures that must be known for a judgement."""
        also = (*self.ratchet.max_loss, "ece", "mean_pd", "bad_rate", "calibration_slope")
        return tuple(dict.fromkeys((*self.floors, *self.max_loss, *also)))


class LimitsError(ValueError):
    """A gate policy cannot be read; the message names the place, what is allowed and what came."""


def read(text: str, name: str = PATH) -> Limits:
    """Return the gate policy in a YAML text; raises LimitsError."""
    limits, unknown = read_known(text, name)
    if unknown:
        raise LimitsError(f"{name}: there is no limit {', '.join(unknown)}")
    return limits


def read_known(text: str, name: str = PATH) -> tuple[Limits, list[str]]:
    """Return the gate policy in a YAML text without the keys that are unknown here, and these."""
    try:
        document = yaml.load(text, yaml.CSafeLoader)
        if twice := [*repeated_keys(text)]:
            raise LimitsError(f"{name}: {twice[0]}")
        return validate_known(Limits, document)
    except yaml.YAMLError as error:
        raise LimitsError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise LimitsError(f"{name}: {'; '.join(problems)}") from error


def repeated_keys(text: str) -> Iterator[str]:
    """Yield in words each key that stands twice in a mapping of a YAML text, or of its entries."""
    node = yaml.compose(text, yaml.CSafeLoader)
    for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        for keys, problem in duplicate_keys(part):
            yield f"{'.'.join(keys)}: {problem}"


def list_loosened(base: Limits, head: Limits) -> list[str]:
    """Return each limit that the head's policy loosens, in words; of each book, its floors."""
    books = {*base.books, *head.books}
    differences = changes(*(_in_effect(limits, books) for limits in (base, head)))
    return [
        f"{name}: {'—' if before is None else before} → {'—' if after is None else after}"
        for name, before, after in differences
        if _looser(name, before, after)
    ]


def _in_effect(limits: Limits, books: set[str]) -> dict[str, Any]:
    """Return all limits, of these books the floors that hold for them."""
    floors = {
        book: {name: floor.model_dump(exclude_none=True) for name, floor in held.items()}
        for book, held in ((book, limits.of(book).floors) for book in books)
    }
    return limits.model_dump(exclude_none=True) | {"books": floors}


def _looser(name: str, before: Any, after: Any) -> bool:
    """`min...` binds from below, any other limit from above, a removed one no more."""
    if before is None or after is None:
        return after is None
    if isinstance(before, list):
        return bool(before != after)
    rises = name.rpartition(".")[2].startswith("min")
    return bool(after < before if rises else after > before)

"""Find a candidate by its name.

This is the only place where a module is imported by a name from the parameters,
`stages.models.candidates.<name>`. The import rules cannot see that import, and forbid
candidates to import one another instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from stages.features.matrix import Floats, Outcomes
from stages.models.calibration import Calibrator, Sigmoid
from stages.models.parameters import CandidateParameters, SearchRange
from stages.models.scorers import Scorer
from stages.models.task import Held, Task

FOLDER = Path(__file__).parent / "candidates"
REQUIRED = ("Parameters", "fit", "SEARCH")


class CandidateError(ValueError):
    """No file defines the candidate, or its file cannot be used; the message says which."""


@dataclass(frozen=True)
class Candidate:
    """What the file of a candidate defines, as `stages.models.candidates` explains it."""

    name: str
    parameters: type[CandidateParameters]
    fit: Callable[[Task, Floats, Outcomes], Scorer]
    search: dict[str, SearchRange]
    starts: Sequence[dict[str, float]]
    fit_until: Callable[[Task, Floats, Outcomes, Held], tuple[Scorer, int]] | None
    calibrate_by_default: Callable[[Outcomes], Calibrator]


def take_margin_as_log_odds(bad: Outcomes) -> Sigmoid:
    """Return the map from log-odds to PDs, which does not depend on the outcomes."""
    return Sigmoid()


def names() -> tuple[str, ...]:
    """Return the names of all candidates that have a file, in alphabetical order."""
    return tuple(sorted(file.stem for file in FOLDER.glob("[a-z]*.py")))


def check_name(name: str) -> str:
    """Return the name of a candidate; raises CandidateError where no file defines it."""
    if name in (there := names()):
        return name
    near = get_close_matches(name, there, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CandidateError(
        f"there is no candidate {name!r} in stages/models/candidates, "
        f"which has {', '.join(there) or 'none'}{hint}"
    )


def candidate_argument(arguments: list[str], command: str) -> str:
    """Return the candidate that is a command's only argument; else end with how to call it."""
    if len(arguments) == 1 and arguments[0] in names():
        return arguments[0]
    listed = ", ".join(names())
    sys.exit(f"usage: python -m {command} CANDIDATE, one of {listed}; got {arguments}")


def load(name: str) -> Candidate:
    """Import the candidate's file; raises CandidateError where that cannot be done."""
    try:
        module = import_module(f"stages.models.candidates.{check_name(name)}")
    except SyntaxError as error:
        raise CandidateError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    absent = [part for part in REQUIRED if not hasattr(module, part)]
    if absent:
        raise CandidateError(
            f"stages/models/candidates/{name}.py must define {', '.join(REQUIRED)}; "
            f"it lacks {', '.join(absent)}"
        )
    default = getattr(module, "calibrate_by_default", take_margin_as_log_odds)
    return Candidate(
        name=name,
        parameters=module.Parameters,
        fit=module.fit,
        search=module.SEARCH,
        starts=getattr(module, "STARTS", ()),
        fit_until=getattr(module, "fit_until", None),
        calibrate_by_default=default,
    )

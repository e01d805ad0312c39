"""`models/acknowledgements.yaml`: who answers for a red flag, and why.

    - red_flag: known_at.branch
      who: Ada Lovelace, credit risk
      why: The branch is chosen before the decision since March 2026 (ticket 1815).

The gate reads what the change adds to the file: what was acknowledged before is no answer to a new
red flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic import Field as Key

from release import revisions
from release.gate.checks import Finding
from release.gate.judgement import RedFlag
from release.gate.limits import LETTERS, repeated_keys
from release.revisions import CannotJudge

PATH = Path("models/acknowledgements.yaml")
CHECK = "red flag"
Words = Annotated[str, Key(min_length=3, pattern=LETTERS)]


class Acknowledgement(BaseModel):
    """One entry: the name of a red flag, who answers for it and why it is right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    red_flag: Words
    who: Words
    why: Annotated[str, Key(min_length=15, pattern=LETTERS)]


Entries = TypeAdapter(list[Acknowledgement])


def read(text: str, name: str = str(PATH)) -> list[Acknowledgement]:
    """Read a file of acknowledgements; CannotJudge names the entry, what is allowed, what came."""
    try:
        document = yaml.load(text, yaml.CSafeLoader)
        if twice := [*repeated_keys(text)]:
            raise CannotJudge(f"{name}: {twice[0]}")
        return Entries.validate_python(document or [])
    except yaml.YAMLError as error:
        raise CannotJudge(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}; got {e['input']!r}"
            for e in error.errors()
        )
        raise CannotJudge(f"{name}: {'; '.join(problems)}") from error


def list_added(base: str | None) -> list[Acknowledgement]:
    """Return the acknowledgements of the head that the base does not have."""
    here = read(PATH.read_text()) if PATH.is_file() else []
    before = read((revisions.content(base, str(PATH)) if base else None) or "", f"{PATH} at base")
    return [entry for entry in here if entry not in before]


def check_answers(red_flags: Iterable[RedFlag], base: str | None) -> Iterator[Finding]:
    """Fail for each red flag that no entry of the change answers for; note the others."""
    entries = {entry.red_flag: entry for entry in list_added(base)}
    for red_flag in dict.fromkeys(red_flags):
        entry = entries.pop(red_flag.name, None)
        if entry:
            words = f"{red_flag.words}; acknowledged by {entry.who}: {entry.why}"
            yield Finding(CHECK, "note", words)
        else:
            words = f"{red_flag.words}; if this is right, add to {PATH} an entry "
            yield Finding(CHECK, "fail", f"{words}`red_flag: {red_flag.name}` with who and why")
    for name in entries:
        yield Finding(CHECK, "note", f"{PATH} acknowledges {name}, which nothing here raises")

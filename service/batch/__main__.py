"""Score files of applications: `python -m service.batch [--reasons] IN... OUT`.

Each IN is a .csv or .parquet file. OUT is a .parquet file for one IN, or a folder, which gets a
file of the same name for each IN. A row that keeps the contract gets its decision there, with
`--reasons` also the reasons of each row that is not approved, which takes longer. A row that breaks
the contract gets a line with its problems in a file .errors.jsonl beside it. Both outputs state the
row's number in the input, from 0.

Columns may have the fields' names or those of the lender's files (`column`), and values are read as
the contract says (`missingValues`, `repair`, `format`, `decimalChar`). Columns that the contract
does not have, such as identifiers, are copied to the output. A file is read in chunks, so the
memory needed does not depend on its size. Nothing is recorded in the ledger, because scoring a
portfolio is no decision about an applicant.

An output appears when it is whole. After an interruption the same command goes on: a file whose
output in the folder is of the same content, model and policy is not scored again.

Exit codes: 0 every row was scored, 1 some rows were refused, 2 a file could not be scored.
"""

from __future__ import annotations

import fcntl
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.batch import scoring
from service.decision.engine import Engine
from service.decision.hashes import NotReady
from stages import project


class UsageError(ValueError):
    """The command cannot be understood; the message says why."""


def read_arguments(arguments: list[str]) -> tuple[list[Path], Path, bool]:
    """Return the inputs, the output and whether reasons are asked for; raises UsageError."""
    options = [word for word in arguments if word.startswith("-")]
    if unknown := [word for word in options if word != "--reasons"]:
        raise UsageError(f"batch: the only option is --reasons; got {unknown[0]}")
    *sources, target = map(project.resolve, [w for w in arguments if w not in options])
    names = Counter(source.stem for source in sources)
    if len(sources) > 1 and target.suffix:
        raise UsageError(f"batch: the output of several files must be a folder; got {target.name}")
    if twice := [name for name, times in names.items() if times > 1]:
        raise UsageError(f"batch: two files would be written to {target / twice[0]}.parquet")
    return sources, target, bool(options)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    if len([word for word in arguments if not word.startswith("-")]) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        sources, target, with_reasons = read_arguments(arguments)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        engine = Engine.load()
        if target.suffix:
            return score_file(engine, sources[0], target, with_reasons, again=True)
        with lock_folder(target):
            codes = [
                score_file(engine, source, target / f"{source.stem}.parquet", with_reasons)
                for source in sources
            ]
    except (NotReady, OSError) as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2
    return max(codes)


def score_file(
    engine: Engine, source: Path, target: Path, with_reasons: bool, *, again: bool = False
) -> int:
    """Score a file, say how many rows were scored and refused, and return the exit code.

    A file whose output is there is scored only `again`.
    """
    refused = scoring.errors_of(target)
    try:
        if not again and scoring.is_done(engine, source, target, with_reasons=with_reasons):
            print(f"{source.name} is scored already, into {target}")
            return int(refused.stat().st_size > 0)
        counts = scoring.score(engine, source, target, with_reasons=with_reasons)
    except OSError as error:
        place, problem = error.filename or source, error.strerror or error
        print(f"batch: {place}: {problem}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"batch: {source}: {error}", file=sys.stderr)
        return 2
    print(f"{counts.scored:,} rows scored into {target}; {counts.refused:,} refused", end="")
    print(f", see {refused}" if counts.refused else "")
    return 1 if counts.refused else 0


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Let no other batch write into a folder meanwhile; raises OSError where one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{folder}: another batch is writing into it") from None
        yield


if __name__ == "__main__":
    project.enter()
    sys.exit(main(sys.argv[1:]))

"""The weekly challenger: new tables in, and a judgement of what they taught.

    python -m release.retrain collect URL [--output FILE]    # new tables into data/<dataset>/raw
    python -m release.retrain commit                         # what the pipeline made of them
    python -m release.retrain decide JUDGEMENT [--output FILE]

`collect` writes `new=true|false`, `decide` writes `improved=true|false`: the gate passed, and a
figure is better than the champion's with its whole interval, or there is no champion yet.
Exit status: 0 done, 1 not done, with the reason.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]

from release import dvc_state
from release.gate.limits import HIGHER, LOWER
from release.revisions import CannotJudge
from release.steps import ended, hand_on
from stages import files, params, project
from stages.contract import reading as contracts


class NotDone(Exception):
    """The challenger cannot be made or judged; the message says why."""


def collect(url: str) -> bool:
    """Put the contract's tables of `url` (s3://... or a folder) in place; whether they are new."""
    config = params.load()
    names = [table.path for table in contracts.load(config.dataset).tables.values()]
    raw = config.data / "raw"
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        fetched = Path(folder)
        download(url, names, fetched)
        if all(same(fetched / name, raw / name) for name in names):
            return False
        for name in names:
            check_grown(fetched / name, raw / name)
        with files.whole_folder(raw) as made:
            if raw.exists():
                shutil.copytree(raw, made, dirs_exist_ok=True)
            for name in names:
                shutil.copyfile(fetched / name, made / name)
    run(sys.executable, "-m", "dvc", "add", "--quiet", str(raw))
    return True


def download(url: str, names: list[str], folder: Path) -> None:
    """Copy the named files of `url` into a folder; CannotJudge where one cannot be read."""
    with dvc_state.told(url):
        place, root = fsspec.url_to_fs(url)
        for name in names:
            place.get_file(f"{root.rstrip('/')}/{name}", str(folder / name))


def same(new: Path, old: Path) -> bool:
    """Return whether two files hold the same bytes."""
    return old.exists() and filecmp.cmp(new, old, shallow=False)


def check_grown(new: Path, old: Path) -> None:
    """NotDone where a table lost rows: a loan book grows, and half a file looks like that."""
    rows = [path.read_bytes().count(b"\n") if path.exists() else 0 for path in (new, old)]
    if rows[0] < rows[1]:
        raise NotDone(
            f"{new.name} must not lose rows: it has {rows[0]:,} lines, before {rows[1]:,}"
        )


def commit() -> None:
    """Commit what the pipeline made, so that the gate can judge it; identity is git's."""
    config = params.load()
    run("git", "add", "--update")
    run("git", "add", str((config.data / "raw").with_suffix(".dvc")))
    run("git", "commit", "--quiet", "--message", "Retrain on new data")


def run(*command: str) -> None:
    """Run a command; raise NotDone if it fails."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise NotDone(f"{' '.join(command)} ended with status {done.returncode}")


def improved(judgement: Mapping[str, Any]) -> bool:
    """Whether a judgement of the gate says that the challenger is better than the champion."""
    if judgement["verdict"] == "cannot judge":
        raise NotDone(f"the gate cannot judge: {judgement['sentence']}")
    figures = judgement["figures"]
    gains = [name for name, figure in figures.items() if better(name, figure)]
    print(f"{judgement['verdict']}: {judgement['sentence']}")
    print(f"clearly better: {', '.join(gains) or 'nothing'}")
    return judgement["verdict"] == "pass" and (bool(gains) or not figures)


def better(name: str, figure: Mapping[str, float | None]) -> bool:
    """Whether the 95 % interval of a difference lies wholly on the good side."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return False
    return (name in HIGHER and low > 0) or (name in LOWER and high < 0)


def read(path: Path) -> Any:
    """Read a judgement; raise NotDone if the gate wrote none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotDone(f"{path} must be what `release.gate --json` writes: {error}") from None


def parse(words: list[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="release.retrain", description="The weekly challenger.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    collecting = verbs.add_parser("collect", help="get new raw tables")
    collecting.add_argument("url", help="s3://BUCKET/FOLDER, or a folder")
    verbs.add_parser("commit", help="commit what the pipeline made")
    deciding = verbs.add_parser("decide", help="is the challenger better?")
    deciding.add_argument("judgement", type=project.resolve, help="what release.gate --json wrote")
    for each in (collecting, deciding):
        each.add_argument("--output", type=project.resolve, help="append KEY=VALUE there")
    return parser.parse_args(words)


def answer(given: argparse.Namespace) -> str:
    """Do what the command line asks; returns what to print."""
    if given.verb == "commit":
        commit()
        return "committed"
    if given.verb == "collect":
        name, fact = "new", collect(given.url)
    else:
        name, fact = "improved", improved(read(given.judgement))
    hand_on(given.output, **{name: str(fact).lower()})
    return f"{name}={fact}".lower()


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    given = parse(words)
    return ended("not done", lambda: answer(given), NotDone, CannotJudge)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

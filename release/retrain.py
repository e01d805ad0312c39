"""Make the weekly challenger: collect new tables, commit the results, decide whether it is better.

    python -m release.retrain collect URL [--output FILE]    # copy tables to data/<dataset>/raw
    python -m release.retrain commit                         # commit what the pipeline wrote
    python -m release.retrain decide JUDGEMENT [--output FILE]
    python -m release.retrain unproposed                     # say why there is no pull request

Where nothing is trained or proposed, `--summary FILE` says why. `collect` writes `new=true|false`,
and `decide` writes `improved=true|false`. The challenger is improved when the gate passes and the
whole confidence interval of some difference from the champion is on the better side, or when there
is no champion yet. Exit status: 0 done, 1 failed.
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

import fsspec

from release import dvc_state
from release.gate.limits import HIGHER, LOWER
from release.revisions import CannotJudge
from release.steps import run_command, write_outputs
from stages import files, params, project
from stages.contract import reading as contracts

NOT_ALLOWED = """\
The challenger is better and its data are pushed, but no pull request could be opened (see the step
before). A new repository does not let its workflows open any. Either allow it, by "Allow GitHub
Actions to create and approve pull requests" under Settings > Actions > General > Workflow
permissions, or give the environment `retraining` the secret RETRAIN_TOKEN, a token of an app that
may write contents and pull requests. Then run this workflow again.
"""


class NotDone(Exception):
    """The challenger cannot be made or judged; the message says why."""


def collect(url: str) -> bool:
    """Copy the contract's tables from `url` (s3://... or a folder); tell whether they are new."""
    config = params.load()
    names = [table.path for table in contracts.load(config.dataset).tables.values()]
    raw = config.data / "raw"
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        fetched = Path(folder)
        download(url, names, fetched)
        if all(is_same(fetched / name, raw / name) for name in names):
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
    """Copy the named files of `url` to a folder; raises CannotJudge when one cannot be read."""
    with dvc_state.explain_errors(url):
        place, root = fsspec.url_to_fs(url)
        for name in names:
            place.get_file(f"{root.rstrip('/')}/{name}", str(folder / name))


def is_same(new: Path, old: Path) -> bool:
    """Tell whether two files have the same bytes."""
    return old.exists() and filecmp.cmp(new, old, shallow=False)


def check_grown(new: Path, old: Path) -> None:
    """Raise NotDone when a table has fewer rows than before: the file may be incomplete."""
    rows = [path.read_bytes().count(b"\n") if path.exists() else 0 for path in (new, old)]
    if rows[0] < rows[1]:
        raise NotDone(
            f"{new.name} must not lose rows: it has {rows[0]:,} lines, before {rows[1]:,}"
        )


def commit() -> None:
    """Commit what the pipeline wrote, as git's configured author, so that the gate can judge it."""
    config = params.load()
    run("git", "add", "--update")
    run("git", "add", str((config.data / "raw").with_suffix(".dvc")))
    run("git", "commit", "--quiet", "--message", "Retrain on new data")


def run(*command: str) -> None:
    """Run a command; raises NotDone when it fails."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise NotDone(f"{' '.join(command)} run_command with status {done.returncode}")


def is_improved(judgement: Mapping[str, Any]) -> bool:
    """Tell whether the challenger is better than the champion, by a judgement of the gate."""
    if judgement["verdict"] == "cannot judge":
        raise NotDone(f"the gate cannot judge: {judgement['sentence']}")
    figures = judgement["figures"]
    gains = [name for name, figure in figures.items() if is_better(name, figure)]
    print(f"{judgement['verdict']}: {judgement['sentence']}")
    print(f"significantly better: {', '.join(gains) or 'nothing'}")
    return judgement["verdict"] == "pass" and (bool(gains) or not figures)


def is_better(name: str, figure: Mapping[str, float | None]) -> bool:
    """Tell whether the whole 95 % interval of a figure's difference is on the better side."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return False
    return (name in HIGHER and low > 0) or (name in LOWER and high < 0)


def read_judgement(path: Path) -> dict[str, Any]:
    """Return the judgement in a file; raises NotDone when the gate did not write one."""
    try:
        judgement: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotDone(f"{path} must be what `release.gate --json` writes: {error}") from None
    return judgement


def explain_no_training(url: str, asked: str) -> str:
    """Return why nothing was trained, and who had asked for it."""
    place, reason = (" ".join(text.split()).replace("`", "'") for text in (url, asked))
    words = f"Nothing was trained: the tables at `{place}` are those that main has already."
    if reason:
        words += f" The monitor had asked for it (`{reason}`), and asks again as long as "
        words += "decisions drift: bring new tables there, with the outcomes of recent loans."
    return f"{words}\n"


def summarize(summary: Path | None, words: str) -> None:
    """Append words to the summary of a job, if there is one, and print them."""
    print(words, end="")
    if summary:
        with summary.open("a") as file:
            file.write(words)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m release.retrain", description="The weekly challenger."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    collecting = verbs.add_parser("collect", help="get new raw tables")
    collecting.add_argument("url", help="s3://BUCKET/FOLDER, or a folder")
    verbs.add_parser("commit", help="commit what the pipeline made")
    deciding = verbs.add_parser("decide", help="is the challenger better?")
    deciding.add_argument("judgement", type=project.resolve, help="what release.gate --json wrote")
    unproposed = verbs.add_parser("unproposed", help="say why there is no pull request")
    collecting.add_argument("--asked", default="", help="why somebody asked for a retraining")
    for command in (collecting, unproposed):
        command.add_argument("--summary", type=project.resolve, help="append the reason there")
    for command in (collecting, deciding):
        command.add_argument("--output", type=project.resolve, help="append KEY=VALUE there")
    return parser.parse_args(arguments)


def run_verb(options: argparse.Namespace) -> str:
    """Run a verb, and return the text to print."""
    if options.verb == "commit":
        commit()
        return "committed"
    if options.verb == "unproposed":
        summarize(options.summary, NOT_ALLOWED)
        raise NotDone(" ".join(NOT_ALLOWED.split()))
    if options.verb == "collect":
        name, fact = "new", collect(options.url)
        if not fact:
            summarize(options.summary, explain_no_training(options.url, options.asked))
    else:
        name, fact = "improved", is_improved(read_judgement(options.judgement))
    write_outputs(options.output, **{name: str(fact).lower()})
    return f"{name}={fact}".lower()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parse_arguments(arguments)
    return run_command("not done", lambda: run_verb(options), NotDone, CannotJudge)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

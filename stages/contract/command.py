"""The command `python -m stages.contract`: drafts a contract, checks one, or tells Feast of it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from stages import files, params, project
from stages.contract import check
from stages.contract import reading as contracts
from stages.contract.draft.drafting import Wishes, draft_contract
from stages.contract.draft.outcome import Meaning
from stages.contract.draft.questions import Interview
from stages.contract.feast_definitions import definitions
from stages.contract.fields.written_values import did_you_mean
from stages.contract.schema import ContractError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main = argparse.ArgumentParser(
        prog="python -m stages.contract",
        description="The data contract of a loan book: draft one, or check one against its files.",
    )
    verbs = main.add_subparsers(dest="verb", required=True, metavar="draft | check | feast")
    draft = verbs.add_parser(
        "draft",
        help="write a first contract from raw files",
        description="Write a first contract.yaml from raw files (text, Excel, Parquet). It runs as "
        "it is, but it is a guess: what a person should look at is marked `confirm`, and listed at "
        "the end.",
        epilog="example: python -m stages.contract draft data/my_book/raw/*.csv --target default",
    )
    draft.add_argument(
        "files",
        nargs="+",
        type=project.resolve,
        metavar="FILE",
        help="text with any delimiter, Excel or Parquet; the first that has the target has one row "
        "per loan",
    )
    draft.add_argument(
        "--target",
        metavar="COLUMN",
        help="the outcome of the loan, in any coding; needed without --ask",
    )
    draft.add_argument(
        "--bad",
        nargs="+",
        default=[],
        metavar="VALUE",
        help="values of the target that mean a loan went bad (default: by their words)",
    )
    draft.add_argument(
        "--good",
        nargs="+",
        default=[],
        metavar="VALUE",
        help="values that mean it did not; loans with other values are left out",
    )
    draft.add_argument(
        "--date",
        metavar="COLUMN",
        help="the date of the decision, for the out-of-time split (default: guessed)",
    )
    draft.add_argument(
        "--out",
        type=project.resolve,
        metavar="PATH",
        help="where to write (default: data/NAME/contract.yaml for files "
        "in data/NAME/raw, else standard output)",
    )
    draft.add_argument(
        "--ask",
        action="store_true",
        help="ask in the terminal for what the files cannot tell: outcome, date, suspected leaks, "
        "protected attributes",
    )
    draft.add_argument("--force", action="store_true", help="overwrite a contract that is there")
    checking = verbs.add_parser(
        "check",
        help="say what is wrong with a contract and its files",
        description="Say in words what is wrong with data/DATASET/contract.yaml and, where they "
        "are there, with its raw files. The exit code is 1 where preprocess would stop, else 0.",
    )
    checking.add_argument(
        "dataset", nargs="?", metavar="DATASET", help="a folder of data/ (default: params.yaml's)"
    )
    feast = verbs.add_parser(
        "feast",
        help="write the definitions of Feast's feature views",
        description="Write the feature views of the histories of data/DATASET/contract.yaml that "
        "have `source: {kind: feast}` to standard output, as a Python file for `feast apply`.",
    )
    feast.add_argument("dataset", metavar="DATASET", help="a folder of data/")
    return main


def command(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "check":
            return check.run(options.dataset)
        if options.verb == "feast":
            print(definitions(contracts.load(options.dataset), options.dataset), end="")
            return 0
        meaning = Meaning(options.bad, options.good)
        interview = Interview() if options.ask else None
        wishes = Wishes(options.target, options.date, meaning, interview)
        return write(options.files, wishes, options.out, options.force)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def refuse_to_read(path: Path) -> None:
    """Raise ContractError where `path` is no file, naming the file that may be meant."""
    if path.is_file():
        return
    files_there = sorted(p.name for p in path.parent.glob("[!.]*") if p.is_file())
    folder = "this folder" if path.parent == Path() else path.parent
    if path.is_dir():
        raise ContractError(f"{path} is a folder; name its files, such as {path}/*.csv")
    near = did_you_mean(path.name, files_there)
    raise ContractError(f"{path} is not there; {folder} holds {files_there or 'no files'}{near}")


def write(paths: list[Path], wishes: Wishes, out: Path | None, force: bool) -> int:
    """Write a draft to a file or to standard output, and say what to confirm."""
    for path in paths:
        refuse_to_read(path)
    folder = paths[0].parent
    if out is None and folder.name == "raw":
        out = folder.parent / "contract.yaml"
    if out is not None and out.is_dir():
        raise ContractError(f"{out} is a folder; --out names a file, such as {out}/contract.yaml")
    if out is not None and out.exists() and not force:
        raise ContractError(
            f"{out} is there already; --force overwrites it, --out writes elsewhere"
        )
    dataset = out.parent.name if out else wishes.dataset
    drafted = draft_contract(paths, replace(wishes, policy=params.load().policy, dataset=dataset))
    if out is None:
        print(drafted.text, end="")
    else:
        try:
            files.write_text(out, drafted.text)
        except OSError as error:
            raise ContractError(
                f"{out} cannot be written: {error.strerror}; --out names another file"
            ) from error
    words = [f"Written to {out}." if out else "Nothing written: --out names a file.", "To confirm:"]
    words += [f"- {line}" for line in drafted.confirm]
    if out is not None:
        raw = out.parent / "raw"
        away = [p for p in paths if p.parent.resolve() != raw.resolve()]
        words += [f"Then copy {', '.join(map(str, away))} to {raw}/."] if away else []
        if out.resolve() == (Path("data") / out.parent.name / "contract.yaml").resolve():
            words.append(f"Then: python -m stages.contract check {out.parent.name}")
    print("\n".join(words), file=sys.stdout if out else sys.stderr)
    return 0

"""A stand-in for GitHub's command line, `gh`, as a program that tests put on PATH.

It knows the six commands that the workflows use, with their flags, and keeps comments, issues
and releases in a JSON file. Like GitHub it wants a token and the name of a repository, and
refuses a body of more than 65,536 characters. What it does not have: the network, rights (the
workflow runner checks those), other authors, and jq: `issue list` answers what the one filter of
retrain.yml asks for. It does not prove that `gh` and GitHub still behave so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

LONGEST = 65_536
STORE = "GH_FAKE_STORE"


def install(folder: Path, store: Path) -> dict[str, str]:
    """Put `gh` into a folder that is on PATH; returns the environment that it needs."""
    program = folder / "gh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    program.chmod(0o755)
    return {STORE: str(store)}


def read_store(store: Path) -> dict[str, Any]:
    """The comments of pull requests, and the issues, as they are now."""
    if not store.exists():
        return {"comments": [], "issues": [], "releases": []}
    content: dict[str, Any] = json.loads(store.read_text())
    return content


def parse(words: list[str]) -> argparse.Namespace:
    """The command line; a flag that is not used by a workflow is an error."""
    parser = argparse.ArgumentParser(prog="gh")
    groups = parser.add_subparsers(dest="group", required=True)
    pull_requests = groups.add_parser("pr").add_subparsers(dest="verb", required=True)
    commenting = pull_requests.add_parser("comment")
    commenting.add_argument("number", type=int)
    commenting.add_argument("--edit-last", action="store_true")
    commenting.add_argument("--create-if-none", action="store_true")
    commenting.add_argument("--body-file", type=Path, required=True)
    searching = pull_requests.add_parser("list")
    for flag in ("--search", "--state", "--json"):
        searching.add_argument(flag, required=True)
    releases = groups.add_parser("release").add_subparsers(dest="verb", required=True)
    publishing = releases.add_parser("create")
    publishing.add_argument("tag")
    publishing.add_argument("files", nargs="*", type=Path)
    publishing.add_argument("--verify-tag", action="store_true", required=True)
    publishing.add_argument("--title", required=True)
    publishing.add_argument("--notes-file", type=Path, required=True)
    issues = groups.add_parser("issue").add_subparsers(dest="verb", required=True)
    listing = issues.add_parser("list")
    for flag in ("--state", "--limit", "--json", "--jq"):
        listing.add_argument(flag, required=True)
    creating = issues.add_parser("create")
    creating.add_argument("--title", required=True)
    creating.add_argument("--body", required=True)
    adding = issues.add_parser("comment")
    adding.add_argument("number", type=int)
    adding.add_argument("--body", required=True)
    return parser.parse_args(words)


def answer(given: argparse.Namespace, content: dict[str, Any]) -> str:
    """Do what the command line asks; returns what to print, or exits with GitHub's message."""
    command = f"{given.group} {given.verb}"
    if command == "pr comment":
        body = given.body_file.read_text()
        if len(body) > LONGEST:
            sys.exit("GraphQL: Body is too long (maximum is 65536 characters) (addComment)")
        numbers = [n for n, each in enumerate(content["comments"]) if each["pull"] == given.number]
        comment = {"pull": given.number, "body": body}
        if given.edit_last and numbers:
            content["comments"][numbers[-1]] = comment
        elif given.edit_last and not given.create_if_none:
            sys.exit("no comments found for current user")
        else:
            content["comments"].append(comment)
        return f"https://github.com/{os.environ['GH_REPO']}/pull/{given.number}#issuecomment-1"
    if command == "pr list":
        people = {"author": {"login": "ada"}, "mergedBy": {"login": "grace"}}
        reviews = [{"author": {"login": "grace"}, "state": "APPROVED"}]
        pull = people | {"number": 7, "reviews": reviews}
        return json.dumps([{name: pull.get(name) for name in given.json.split(",")}])
    if command == "release create":
        assets = {file.name: file.read_text() for file in given.files}
        release = {"tag": given.tag, "notes": given.notes_file.read_text(), "assets": assets}
        content["releases"].append(release)
        return f"https://github.com/{os.environ['GH_REPO']}/releases/tag/{given.tag}"
    if command == "issue list":
        titles = [issue["title"] for issue in content["issues"]]
        title = os.environ["TITLE"]
        return f"number={titles.index(title) + 1 if title in titles else ''}"
    if command == "issue create":
        content["issues"].append({"title": given.title, "bodies": [given.body]})
        return f"https://github.com/{os.environ['GH_REPO']}/issues/{len(content['issues'])}"
    content["issues"][given.number - 1]["bodies"].append(given.body)
    return f"https://github.com/{os.environ['GH_REPO']}/issues/{given.number}"


def main() -> None:
    """Run one command."""
    given = parse(sys.argv[1:])
    for name in ("GH_TOKEN", "GH_REPO"):
        if not os.environ.get(name):
            sys.exit(f"gh: {name} must be set in a job without a checkout")
    store = Path(os.environ[STORE])
    content = read_store(store)
    print(answer(given, content))
    store.write_text(json.dumps(content))


if __name__ == "__main__":
    main()

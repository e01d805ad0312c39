"""Record which version of the model is in production, and when, by GTO's tags in git.

    python -m release.registry promote VERSION|next [--commit REV] [--image DIGEST] [--push]
    python -m release.registry rollback [--image DIGEST] [--push]
    python -m release.registry show
    python -m release.registry live [--on DATE] [--output FILE]

The tag `credit-pd@v1.2.0` names a commit as that version. The tag `credit-pd#prod#7` makes a
version live from the tag's time on; its message states the digest of the image. A date means a
whole day in UTC unless it has a time. A roll-back undoes the last change, a second one the first.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from gto.exceptions import GTOException

from release.registry.changes import promote, push, rollback
from release.registry.periods import IMAGE, STAGE, Period, RegistryError, live, periods, span
from release.steps import run_command, write_outputs
from stages import project

NOTHING = "0" * 40  # git's and GitHub's name for no commit


def describe_periods(shown: list[Period], output: Path | None) -> str:
    """Return the periods as lines of text, and write the facts of the last one to `output`."""
    last = shown[-1] if shown else Period("", NOTHING, "", datetime.min, None)
    write_outputs(output, version=last.version, commit=last.commit, image=last.image)
    return "\n".join(map(str, shown)) or f"no version is in {STAGE}"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m release.registry", description="The live version."
    )
    parser.set_defaults(output=None, push=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    parsers = {name: verbs.add_parser(name) for name in ("promote", "rollback", "show", "live")}
    parsers["promote"].add_argument("version", help="v1.2.3, or `next`")
    parsers["promote"].add_argument("--commit", default="", help="of a new version; default HEAD")
    parsers["live"].add_argument("--on", metavar="DATE", help="a day (UTC) or a time (ISO 8601)")
    for name in ("promote", "rollback"):
        parsers[name].add_argument("--image", default="", help="[REPOSITORY@]sha256:...")
        parsers[name].add_argument("--push", action="store_true", help="push the tags to origin")
    for name in ("promote", "rollback", "live"):
        parsers[name].add_argument("--output", type=project.resolve, help="append KEY=VALUE there")
    return parser.parse_args(arguments)


def run_verb(options: argparse.Namespace) -> list[Period]:
    """Run promote, rollback, show or live, and return the periods to show."""
    if options.verb in ("promote", "rollback"):
        image = options.image.rpartition("@")[2]
        if image and not IMAGE.fullmatch(f"Image: {image}"):
            raise RegistryError(
                f"an image is sha256:<64 hexadecimal digits>; got {options.image!r}"
            )
        if options.verb == "promote":
            changed, tags = promote(options.version, options.commit, image)
        else:
            changed, tags = rollback(image)
        if options.push:
            push(tags)
        return [changed]
    if options.verb == "show":
        return periods()
    if options.on:
        start, end = span(options.on)
        return [period for period in periods() if period.overlaps(start, end)]
    now = live()
    return [now] if now else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 refused."""
    options = parse_arguments(arguments)

    def print_state() -> str:
        return describe_periods(run_verb(options), options.output)

    return run_command("refused", print_state, RegistryError, GTOException)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

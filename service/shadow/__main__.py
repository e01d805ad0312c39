"""Score recorded decisions with a challenger, and compare it with the champion.

`python -m service.shadow pack CHECKOUT FOLDER` makes the folder of a challenger from a checkout,
`score` scores the decisions that wait, and `report` compares the scores of each challenger.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from service import settings
from service.decision.hashes import NotReady
from service.ledger import LedgerUnavailable
from service.monitoring.__main__ import end_with_parent
from stages import project


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m service.shadow", description=__doc__, formatter_class=form
    )
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="make the folder of a challenger")
    pack.add_argument("checkout", help="a checkout with its models, such as a git worktree")
    pack.add_argument("folder", help="the folder to make")
    score = commands.add_parser("score", help="score the decisions that wait")
    score.add_argument("--model", metavar="FOLDER", help="instead of CREDIT_PD_CHALLENGER")
    score.add_argument(
        "--watch", action="store_true", help="repeat until the standard input is closed"
    )
    report = commands.add_parser("report", help="compare challengers and champion")
    report.add_argument(
        "--json", action="store_true", help="print a list as JSON instead of tables"
    )
    options = parser.parse_args(arguments)
    if options.command == "score":
        options.model = options.model or settings.load().challenger
        if not options.model:
            parser.error("state the folder of the challenger by --model or CREDIT_PD_CHALLENGER")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = parse_arguments(arguments)
    watching = options.command == "score" and options.watch
    if watching:
        end_with_parent()
        os.nice(19)  # decisions have priority
    # These imports take seconds, in which the parent may end.
    from service.shadow import challenger, pairs, report, scoring  # noqa: PLC0415

    try:
        if options.command == "pack":
            challenger.pack(*map(project.resolve, (options.checkout, options.folder)))
        elif watching:
            scoring.watch(project.resolve(options.model))
        elif options.command == "score":
            print(f"{scoring.score_once(project.resolve(options.model)):,} decisions scored")
        else:
            contents = report.report()
            text = json.dumps(contents, indent=2, allow_nan=False)
            print(text if options.json else "\n\n".join(map(report.as_text, contents)))
    except (LedgerUnavailable, NotReady, pairs.NotComparable) as error:
        print(f"shadow: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

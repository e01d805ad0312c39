"""Judge a change against its base: pass (exit 0), fail (1) or cannot judge (2).

    python -m release.gate --base REV [--json FILE] [--no-remote] [--reproduced FOLDER]
        [--blind FOLDER] [--output FILE] [--forward]

Nothing passes because something is missing. The policy comes from the base commit.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256

from release import revisions
from release.gate import judgement
from release.gate.checks import Finding
from release.gate.judgement import Judgement
from release.gate.verdict.judging import judge
from release.steps import write_outputs
from stages import files, project


def arguments(module: str, doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of the options that gate and report share."""
    parser = argparse.ArgumentParser(
        f"python -m {module}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", required=True, metavar="REV", help="commit of the champion")
    parser.add_argument(
        "--no-remote", action="store_true", help="do not ask the DVC remote: for local use only"
    )
    parser.add_argument(
        "--pushed",
        choices=("success", "failure", "skipped"),
        help="how `release.remote check` ended in a job before, which had the credentials for it",
    )
    parser.add_argument(
        "--reproduced",
        type=project.resolve,
        metavar="FOLDER",
        help="what `release.gate.reproduction` wrote in a job before, which ran the change's code",
    )
    parser.add_argument(
        "--blind",
        type=project.resolve,
        metavar="FOLDER",
        help="the models that it wrote there before, trained without the test part",
    )
    return parser


def judge_from_options(given: argparse.Namespace) -> Judgement:
    """Return the judgement that the command line of gate or report asks for."""
    pushed = None if given.no_remote or given.pushed is None else given.pushed == "success"
    remote = not given.no_remote and pushed is None
    return judge(
        given.base,
        remote=remote,
        pushed=pushed,
        reproduced=given.reproduced,
        blind=given.blind,
    )


def main(command: list[str] | None = None) -> int:
    """Print the verdict and what decided it; returns the exit code."""
    parser = arguments("release.gate", __doc__)
    parser.add_argument(
        "--json", type=project.resolve, metavar="FILE", help="write the judgement there too"
    )
    parser.add_argument(
        "--output", type=project.resolve, metavar="FILE", help="append judgement=SHA-256 there"
    )
    parser.add_argument(
        "--forward",
        action="store_true",
        help="fail unless the change contains its base: a release never goes back by itself",
    )
    given = parser.parse_args(command)
    result = judge_from_options(given)
    if given.forward and not revisions.contains(result.head, result.base):
        words = (
            f"{result.head} does not contain {result.base}, which is live; to go back, roll back"
        )
        result.findings.append(Finding("forward", "fail", words))
    for finding in result.findings:
        print(f"{finding.status:>12}  {finding.check}: {finding.words}")
    print(f"{result.verdict.upper()}: {result.sentence}")
    text = judgement.to_json(result)
    if given.json:
        files.write_text(given.json, text)
    write_outputs(given.output, judgement=sha256(text.encode()).hexdigest())
    return judgement.EXIT[result.verdict]


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

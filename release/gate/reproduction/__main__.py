"""Train a change again, apart from the judge, for the comparison with what was pushed.

    python -m release.gate.reproduction blind FOLDER      # the models without the test part
    python -m release.gate.reproduction score FOLDER      # the PDs that its artifact gives
    python -m release.gate.reproduction collect FOLDER    # what `dvc repro --force` made

All run the change's code, in a job that holds no token and that the judge shares nothing with but
the folder; `blind` comes first, before that code can reach the machine. The gate reads the folder
as data: `python -m release.gate --reproduced FOLDER`.
"""

from __future__ import annotations

import argparse
import sys

from release.gate.reproduction import blind_training, outputs, rescoring
from release.revisions import CannotJudge
from release.steps import run_command
from stages import project

VERBS = {
    "blind": blind_training.save,
    "score": rescoring.save,
    "collect": outputs.collect,
}


def main(words: list[str] | None = None) -> int:
    """Run the command line; 0 done, 1 not done, with the reason."""
    parser = argparse.ArgumentParser(
        "python -m release.gate.reproduction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("folder", type=project.resolve)
    given = parser.parse_args(words)
    return run_command("not done", lambda: VERBS[given.verb](given.folder), CannotJudge, OSError)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())

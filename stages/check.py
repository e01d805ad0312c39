"""Check that params.yaml names a dataset and candidates that are there, before any other stage.

DVC looks for a stage's files before it runs the stage. A dataset without a contract would end in
DVC's own words about a missing file, so this stage, which needs no file, comes first.
"""

from __future__ import annotations

from stages import errors, params, project
from stages.contract import reading as contracts


def main() -> None:
    """End the run with one message where params.yaml or the contract that it names is wrong."""
    config = params.load()
    contracts.load(config.dataset)
    print(f"check: {config.data / 'contract.yaml'}, candidates {', '.join(config.candidates)}")


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

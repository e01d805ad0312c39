"""Replay the loan book's rows under another policy or model: `python -m stages.policy`.

    python -m stages.policy -S policy.refer_band=0.3
    python -m stages.policy --policy proposed.yaml --model lightgbm

Each figure stands beside that of the present policy and winner, with 95 % intervals. Nothing is
trained and no file is written.
"""

from __future__ import annotations

import argparse
import json
import sys

from stages import errors, params, project
from stages.contract import reading as contracts
from stages.judging.rows import Rows
from stages.replay import capital, comparison, policy_file, split_rows, table
from stages.replay.comparison import Side
from stages.replay.policy_file import ReplayError


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m stages.policy", description=__doc__, formatter_class=form
    )
    add = parser.add_argument
    add("--policy", metavar="FILE", help="YAML with the keys to change, or a section `policy`")
    add("-S", "--set", metavar="KEY=VALUE", action="append", default=[], help="change one key")
    add("--model", metavar="CANDIDATE", help="another model than the winner")
    add("--split", choices=("train", "validation", "test"), default="test", help="(%(default)s)")
    add("--asset-class", choices=tuple(capital.CLASSES), default="other_retail", help="of capital")
    add("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def main() -> None:
    """Print what the proposed policy and model change."""
    options = parse()
    config = params.load()
    contract = contracts.load(config.dataset)
    file = project.resolve(options.policy) if options.policy else None
    proposed = policy_file.read(config.policy, file, options.set)
    old, new = (policy.of(contract, config.mode) for policy in (config.policy, proposed))
    rows = Rows(config, contract, options.split)
    present = Side.decided_by(old, split_rows.score(rows, split_rows.load_model(config)))
    other = split_rows.load_model(config, options.model) if options.model else None
    scored = split_rows.score(rows, other) if other else present.rows
    content = comparison.compare(
        present,
        Side.decided_by(new, scored),
        asset_class=options.asset_class,
        minimum=config.evaluate.min_group,
    )
    content = {"dataset": config.dataset, "split": options.split} | content
    different = split_rows.count_differences(rows, present.decision)
    content["unlike_predictions"] = different
    if options.json:
        print(json.dumps(content, indent=2, allow_nan=False))
        return
    print(f"{config.dataset}, {options.split} rows: {table.as_text(content)}")
    if different and options.split == "test":
        print(
            f"The present policy decides {different:,} rows otherwise than "
            "models/predictions.parquet: run `dvc repro`",
            file=sys.stderr,
        )


if __name__ == "__main__":
    project.enter()
    try:
        with errors.one_message():
            main()
    except ReplayError as error:
        sys.exit(f"error: {error}")

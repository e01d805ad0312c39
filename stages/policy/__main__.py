"""Replay the loan book's rows under another policy or model: `python -m stages.policy`.

    python -m stages.policy -S policy.refer_band=0.3
    python -m stages.policy --policy proposed.yaml --model lightgbm
    python -m stages.policy frontier --max-bad-rate 0.02 --max-referrals 0.08
    python -m stages.policy doubt --max-bad-rate 0.03
    python -m stages.policy stress --scenarios scenarios.yaml
    python -m stages.policy rejects -S policy.cut_off=0.2

Each figure stands beside that of the present policy and winner, with 95 % intervals. `frontier`
chooses cut-offs on training and validation rows, and judges them on the test rows. `doubt`
refers everybody whom a promised bad rate does not reach. `stress` shifts the fields of applications
as a file of scenarios says. `rejects` states what methods of reject inference say of a looser
policy. Nothing is trained and no file is written but that of `--plot`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from stages import errors, params, project
from stages.contract import reading as contracts
from stages.contract.schema import Contract
from stages.judging.evaluation import round_figures
from stages.judging.rows import Rows
from stages.params import Params
from stages.policy.decisions import Policy
from stages.replay import (
    capital,
    comparison,
    losses,
    policy_file,
    rejects,
    results,
    split_rows,
    stress,
)
from stages.replay.comparison import Side
from stages.replay.cut_offs import chart, doubt, frontier
from stages.replay.cut_offs.frontier import PolicyLimits
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows

SCENARIOS = "scenarios.yaml"
AIMS = ("profit", "expected_profit", "profit_by_money", "approval_rate")


def share(text: str) -> float:
    """Return a number from 0 to 1 that an option states."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, such as 0.02; got {text}")
    return value


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m stages.policy", description=__doc__, formatter_class=form
    )
    add = parser.add_argument
    add("task", nargs="?", choices=tuple(TASKS), default="replay", help="(%(default)s)")
    add("--policy", metavar="FILE", help="YAML with the keys to change, or a section `policy`")
    add("-S", "--set", metavar="KEY=VALUE", action="append", default=[], help="change one key")
    add("--model", metavar="CANDIDATE", help="another model than the winner")
    add("--split", choices=("train", "validation", "test"), default="test", help="(%(default)s)")
    add("--asset-class", choices=tuple(capital.CLASSES), default="other_retail", help="of capital")
    add("--json", action="store_true", help="print JSON instead of a table")
    some = parser.add_argument_group("frontier and doubt").add_argument
    some("--max-bad-rate", metavar="SHARE", type=share, help="among the approved")
    some("--max-referrals", metavar="SHARE", type=share, help="of all (as under the policy)")
    some("--min-approvals", metavar="SHARE", type=share, help="of all applications")
    some("--confident", action="store_true", help="keep the bad rate by its interval's upper end")
    some("--aim", choices=AIMS, default="profit", help="what is made largest (%(default)s)")
    some("--plot", metavar="FILE.svg", help="draw the frontier")
    stressed = parser.add_argument_group("stress").add_argument
    stressed("--scenarios", metavar="FILE", help=f"(data/<dataset>/{SCENARIOS})")
    return parser.parse_args()


def with_losses(rows: ScoredRows, config: Params, contract: Contract, policy: Policy) -> ScoredRows:
    """Return rows with the losses given default that params.yaml states."""
    return losses.attach(rows, config.expected_loss, policy, contract, config.mode)


def replay(
    options: argparse.Namespace, config: Params, contract: Contract, new: Policy
) -> dict[str, Any]:
    """Return what a policy, and another model where one is named, change on the rows of a split."""
    rows = Rows(config, contract, options.split)
    old = config.policy.of(contract, config.mode)
    scored = split_rows.score(rows, split_rows.load_model(config))
    present = Side.decided_by(old, with_losses(scored, config, contract, old))
    if options.model:
        scored = split_rows.score(rows, split_rows.load_model(config, options.model))
    content = comparison.compare(
        present,
        Side.decided_by(new, with_losses(scored, config, contract, new)),
        asset_class=options.asset_class,
        minimum=config.evaluate.min_group,
    )
    differ = split_rows.count_differences(rows, present.decision)
    return {
        "dataset": config.dataset,
        "split": options.split,
        **content,
        "unlike_predictions": differ,
    }


def choose_cut_offs(
    options: argparse.Namespace, config: Params, contract: Contract, new: Policy
) -> dict[str, Any]:
    """Return the chosen cut-offs, why they were chosen, and what they do on the test rows."""
    model = split_rows.load_model(config, options.model)
    rows = split_rows.score_out_of_sample(config, contract, model)
    limits = PolicyLimits(
        options.max_bad_rate, options.max_referrals, options.min_approvals, options.confident
    )
    swept = frontier.sweep(rows, new, limits.max_referrals)
    choice = frontier.choose(rows, new, swept, limits, options.aim)
    if options.plot:
        chart.draw(swept, choice, project.resolve(options.plot))
    options.split = "test"
    judged = replay(options, config, contract, choice.policy)
    return {
        "explanation": frontier.explain(swept, choice, limits, options.aim),
        "cut_off": choice.policy.pd_cut_off,
        "refer_band": choice.policy.refer_band,
        "cut_offs_compared": len(swept.approved),
        "efficient": int(swept.is_efficient.sum()),
        "chosen_on": round_figures(
            {
                "rows": swept.rows,
                "approval_rate": float(swept.approval_rate[choice.place]),
                "bad_rate": float(swept.bad_rate[choice.place]),
                "referral_rate": float(swept.referral_rate[choice.place]),
                **{name: float(values[choice.place]) for name, values in swept.aims.items()},
            }
        ),
        "judged": judged,
    }


def refer_by_doubt(
    options: argparse.Namespace, config: Params, contract: Contract, new: Policy
) -> dict[str, Any]:
    """Return the cut-offs that keep a promised bad rate, and what they do on the test rows."""
    if not options.max_bad_rate:
        raise ReplayError("doubt needs the bad rate that is promised: --max-bad-rate 0.02")
    model, most = split_rows.load_model(config, options.model), options.max_bad_rate
    rows = split_rows.score_out_of_sample(config, contract, model)
    kept, policy = doubt.refer_by_doubt(rows, new, most)
    share_kept = doubt.share_kept(rows, new, most)
    options.split = "test"
    return {
        "explanation": doubt.explain(kept, policy, most, share_kept),
        "cut_off": policy.pd_cut_off,
        "refer_band": policy.refer_band,
        "chosen_on": round_figures({**asdict(kept), "rows": rows.rows, "share_kept": share_kept}),
        "judged": replay(options, config, contract, policy),
    }


def stress_rows(
    options: argparse.Namespace, config: Params, contract: Contract, new: Policy
) -> dict[str, Any]:
    """Return what scenarios do to PDs, decisions and losses on the rows of a split."""
    path = project.resolve(options.scenarios) if options.scenarios else config.data / SCENARIOS
    if not path.exists():
        raise ReplayError(f"{path} is not there; --scenarios names a file of scenarios")
    scenarios = stress.read(path)
    model = split_rows.load_model(config, options.model)
    rows = Rows(config, contract, options.split)
    present = with_losses(split_rows.score(rows, model), config, contract, new)
    stressed = {
        name: stress.score(scenario, model, rows.columns, present)
        for name, scenario in scenarios.items()
    }
    compared = stress.compare(present, stressed, new, options.asset_class)
    return {"dataset": config.dataset, "split": options.split, "scenarios": compared}


def infer_rejects(
    options: argparse.Namespace, config: Params, contract: Contract, new: Policy
) -> dict[str, Any]:
    """Return what each method of reject inference says of the approvals of a looser policy.

    The rows that the present policy does not approve stand for rejects: their outcomes are hidden
    from every method, and stated beside them.
    """
    rows = split_rows.score(
        Rows(config, contract, options.split), split_rows.load_model(config, options.model)
    )
    old = config.policy.of(contract, config.mode)
    stated = rejects.compare(rows, old, new)
    return {"dataset": config.dataset, "split": options.split, "rejects": stated}


TASKS = {
    "replay": replay,
    "frontier": choose_cut_offs,
    "doubt": refer_by_doubt,
    "stress": stress_rows,
    "rejects": infer_rejects,
}


def main() -> None:
    """Print what the proposed policy and model change."""
    options = parse()
    config = params.load()
    contract = contracts.load(config.dataset)
    file = project.resolve(options.policy) if options.policy else None
    proposed = policy_file.read(config.policy, file, options.set).of(contract, config.mode)
    content = TASKS[options.task](options, config, contract, proposed)
    print(
        json.dumps(content, indent=2, allow_nan=False)
        if options.json
        else results.in_words(content)
    )


if __name__ == "__main__":
    project.enter()
    try:
        with errors.one_message():
            main()
    except ReplayError as error:
        sys.exit(f"error: {error}")

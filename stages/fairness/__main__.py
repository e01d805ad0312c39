"""Search for a model that treats groups more alike: `python -m stages.fairness --trials 40`.

The first trial is the present winner, the next ones leave out one feature each, and the others are
Optuna's: over candidates, features left out, directions of risk, regularisation and seeds. Trials
are measured on the validation rows; the preferred one and the present one are then compared on the
test rows. The log goes on where it was cut short. To adopt a model, set `feature: false` for what
it leaves out in contract.yaml, and its parameters in params.yaml.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from stages import errors, params, project
from stages.contract import reading as contracts
from stages.fairness import measures, search
from stages.fairness.search import ChangedLog, Result
from stages.fairness.trials import Trial, TrialRows, measure
from stages.judging.evaluation import round_figures
from stages.metrics import delong, ratio_intervals
from stages.metrics.rate_intervals import as_figure
from stages.replay.policy_figures import APPROVE

KEPT = Path(".fairness")


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m stages.fairness", description=__doc__, formatter_class=form
    )
    add = parser.add_argument
    add("--trials", metavar="N", type=int, default=40, help="trials in all (%(default)s)")
    add("--auc-tolerance", metavar="X", type=float, help="(params.yaml: fairness.auc_tolerance)")
    add("--profit-tolerance", metavar="X", type=float, help="(params.yaml: fairness)")
    add("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.trials < 1:
        parser.error(f"--trials must be at least 1; got {options.trials}")
    return options


def compare_on_test(book: TrialRows, present: Trial, preferred: Trial) -> dict[str, Any]:
    """Return what the preferred trial changes against the present one on the test rows."""
    sides = [book.score(trial, "test") for trial in (present, preferred)]
    decided = [book.policy.decide(rows.pd, rows.features) for rows in sides]
    bad, minimum = sides[0].bad.astype(np.int64), book.config.evaluate.min_group
    auc = delong.compare_aucs(bad, sides[0].pd, sides[1].pd, sides[0].cluster)
    profits = [book.policy.profits(bad, decision == APPROVE) for decision in decided]
    both = list(zip(sides, decided, strict=True))
    profit = ratio_intervals.difference_of_means(
        profits[1], profits[0], sides[0].cluster, same=present == preferred
    )
    return {
        "roc_auc": {"value": auc.difference, "low": auc.low, "high": auc.high},
        "profit": as_figure(profit),
        "disparity": [measures.find_worst(*side, minimum).disparity for side in both],
        "groups": {
            name: measures.measure(*side, minimum)
            for name, side in zip(("present", "preferred"), both, strict=True)
        },
    }


def as_text(content: dict[str, Any]) -> str:
    """Return the frontier, the preferred model and its test figures as text."""
    lines = [
        f"{content['trials']} trials; disparity is 1 minus the lowest adverse impact ratio of a "
        "group or intersection, on the validation rows",
        "",
        f"{'':4}{'disparity':>10}{'AUC':>9}{'profit':>9}  model",
    ]
    marks = {content["present"]["number"]: "now", content["preferred"]["number"]: "->"}
    shown = {r["number"]: r for r in (content["present"], *content["frontier"])}
    for result in sorted(shown.values(), key=lambda r: r["disparity"]):
        trial = result["trial"]
        without = f"{trial['candidate']} without {', '.join(trial['left_out']) or 'nothing'}"
        lines.append(
            f"{marks.get(result['number'], ''):4}{result['disparity']:>10.4f}"
            f"{result['roc_auc']:>9.4f}{result['profit']:>9.4f}  {without}"
        )
    test = content["test"]
    before, after = test["disparity"]
    auc, profit = (format_difference(test[name]) for name in ("roc_auc", "profit"))
    lines += [
        "",
        f"On the test rows the preferred model has a disparity of {after:.4f} against "
        f"{before:.4f}, an AUC that differs by {auc} and a profit by {profit}.",
        f"{content['passed_over']} other models within the tolerances were passed over; "
        f"the log is {content['log']}",
    ]
    return "\n".join(lines)


def format_difference(figure: dict[str, float]) -> str:
    """Return a difference with its interval."""
    return f"{figure['value']:+.4f} ({figure['low']:+.4f} to {figure['high']:+.4f})"


def report(
    book: TrialRows, results: list[Result], log: Path, tolerances: dict[str, float]
) -> dict[str, Any]:
    """Return the content of the report."""
    preferred = search.prefer(results, **tolerances)

    def read_line(result: Result) -> object:
        return json.loads(result.line)

    content = {
        "dataset": book.config.dataset,
        "trials": len(results),
        "tolerances": tolerances,
        "present": read_line(results[0]),
        "preferred": read_line(preferred),
        "passed_over": len(list(search.select_within(results, **tolerances))) - 1,
        "frontier": [read_line(result) for result in search.frontier(results)],
        "test": compare_on_test(book, results[0].trial, preferred.trial),
        "log": str(log),
    }
    return round_figures(content)


def check_groups(book: TrialRows) -> None:
    """End the command where no attribute has two groups that are large enough to be compared."""
    rows, _ = book.splits["validation"]
    minimum = book.config.evaluate.min_group
    for labels in rows.groups().values():
        if (np.unique(labels, return_counts=True)[1] >= minimum).sum() > 1:
            return
    sys.exit(
        f"error: no two groups of a protected field have {minimum} of the {len(rows.bad):,} "
        "validation rows each: lower `evaluate.min_group`, or bring more loans"
    )


def main() -> None:
    """Run the search, and print its frontier and what the policy prefers."""
    options = parse()
    config = params.load()
    contract = contracts.load(config.dataset)
    if not contract.protected_fields:
        sys.exit(f"error: the contract of {config.dataset} has no `protected` field to audit by")
    book = TrialRows.read(config, contract)
    check_groups(book)
    winner = json.loads(Path("models/evaluation.json").read_text())["winner"]
    space = search.space_of(config, book, winner)
    log = KEPT / f"{config.dataset}-{config.mode}-{search.fingerprint(space, book)}.jsonl"
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n")
    tolerances = {
        name: getattr(options, name)
        if getattr(options, name) is not None
        else getattr(config.fairness, name)
        for name in ("auc_tolerance", "profit_tolerance")
    }
    try:
        results = search.run(space, options.trials, log, lambda trial: measure(book, trial))
    except KeyboardInterrupt:
        sys.exit(f"Stopped; run the same command to continue from {log}")
    except ChangedLog as error:
        sys.exit(f"error: {error}: remove it, or restore it as it was")
    content = report(book, results, log, tolerances)
    print(json.dumps(content, indent=2, allow_nan=False) if options.json else as_text(content))


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

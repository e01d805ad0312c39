"""Choose the winner in cross-validation, judge it once on the test rows, and write its files."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages import errors, files, params, project
from stages.contract import reading as contracts
from stages.judging import (
    blending,
    evaluation,
    monotone,
    plots,
    points,
    predictions,
    reference,
)
from stages.judging.backtest import origins
from stages.judging.evaluation import Judged
from stages.judging.refit import shipping
from stages.judging.refit.shipping import Shipped
from stages.judging.rows import Rows
from stages.metrics import clusters
from stages.models import artifact
from stages.models.artifact import Model
from stages.params import Params

MODELS = Path("models")
FEWEST = 50  # independent good or bad loans, below which intervals are too narrow


def build_report(
    config: Params,
    winner: Model,
    test: Rows,
    judged: Judged,
    validation: dict[str, Any],
    choice: dict[str, Any],
    is_new: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Return the content of `models/evaluation.json`."""
    policy, minimum = config.policy, config.evaluate.min_group

    def by_group(groups: NDArray[np.str_]) -> dict[str, Any]:
        return evaluation.figures_by_group(judged, groups, policy, minimum)

    quarters = test.vintages()
    return {
        "dataset": config.dataset,
        "mode": config.mode,
        "winner": winner.candidate,
        "chosen_by": config.evaluate.choose_by,
        "prefer": config.evaluate.prefer,
        "choice": choice,
        "cut_offs": policy.cut_offs,
        "test": {},  # takes longest: `main` computes it beside all else
        "test_new_customers": evaluation.figures_of_new_customers(judged, is_new, policy, minimum),
        "validation": validation,
        "by_vintage": {} if quarters is None else by_group(quarters),
        "by_group": {name: by_group(groups) for name, groups in test.groups().items()},
        "monotone": {},  # as long: beside it too
        "trained_on": winner.trained_on,
    }


def remove_unlisted(listed: list[str]) -> None:
    """Remove the files of candidates that params.yaml does not list.

    This stage depends on their folders: a file left there by an earlier list would give them
    another hash here than in a fresh clone.
    """
    for path in sorted([*MODELS.glob("candidates/*"), *MODELS.glob("search/*")]):
        name = path.name.partition(".")[0]
        if name not in listed:
            path.unlink()
            print(f"Removed {path}: `candidates` in params.yaml does not list {name}")


def describe_choice(
    splits: list[Rows], choice: dict[str, Any], winner: str, config: params.Evaluate
) -> str:
    """Return one line that says how many rows were judged, and which candidate won by how much."""
    rows = ", ".join(f"{len(split.bad):,} {split.name}" for split in splits)
    figures = ", ".join(f"{name} {mean['value']:.4f}" for name, mean in choice.items())
    over = "over folds"
    if config.origins:
        over = f"{config.choose_over} of {config.origins} origins"
    return f"evaluate: {rows} rows; {config.choose_by} {over}: {figures}; the winner is {winner}"


def warn_of_few_loans(rows: Judged) -> None:
    """Print a warning on stderr where intervals hold the truth less often than they say."""
    for kind, event in (("bad", rows.bad == 1), ("good", rows.bad == 0)):
        count = clusters.independent_number(event, rows.cluster)
        if count < FEWEST:
            print(
                f"warning: {event.sum():,} {kind} loans in the test part say as much as "
                f"{count:,.0f} of different customers. With fewer than {FEWEST}, some of the "
                "95 % intervals (AUC, KS) hold the truth in 87 to 93 % of books only",
                file=sys.stderr,
            )


def read_candidates(config: Params) -> tuple[dict[str, Model], pd.DataFrame, pd.DataFrame]:
    """Return the candidates and the blend, and what they said out of fold and of origins' pasts."""
    folder, names = MODELS / "candidates", config.candidates
    models: dict[str, Model] = {n: artifact.load(folder / f"{n}.joblib") for n in names}
    held, past = (predictions.read_out_of_fold(folder, names, past=p) for p in (False, True))
    if members := config.blend:
        of_origins = past if config.evaluate.origins else None
        blend = blending.blend_models(models, held, members, of_origins)
        models[blending.NAME] = blend.model
        held[f"pd_{blending.NAME}"], past[f"pd_{blending.NAME}"] = blend.pd, blend.past
    return models, held.drop(columns=[f"margin_{name}" for name in names]), past


def describe_shipped(shipped: Shipped, config: Params) -> dict[str, Any]:
    """Return the drift reference of the model that ships, by the rows that it was fitted on."""
    model, held = shipped.model, (shipped.held_bad, shipped.held_pd)
    drift = reference.make_reference(model.contract, model.features, shipped.x, *held)
    return drift | {"approved": reference.describe_approved(model, config.policy, shipped.x)}


def write_cards(models: dict[str, Model], shipped: Shipped, config: Params, train: Rows) -> str:
    """Return the points of every scorecard among the models; of the winner, as it ships."""
    cards = [
        points.points_table(shipped.model, config.policy, shipped.x, shipped.bad)
        if name == shipped.model.candidate
        else points.points_table(model, config.policy, train.matrix(model), train.bad)
        for name, model in models.items()
    ]
    return points.as_csv([row for card in cards for row in card])


def judge_validation(
    models: dict[str, Model], validation: Rows, held: pd.DataFrame, config: Params
) -> dict[str, Judged]:
    """Return the candidates, whose PDs are known from their folds, and the blend on the rows."""
    said = predictions.select_validation(held, validation)
    known = {name: said[name] for name in config.candidates}
    return {n: validation.judge(model, config, known.get(n)) for n, model in models.items()}


def main() -> None:
    """Write the winner, its metrics, predictions, plots, drift reference and golden records."""
    config = params.load()
    contract = contracts.load(config.dataset)
    config = config.model_copy(update={"policy": config.policy.of(contract, config.mode)})
    remove_unlisted(config.candidates)
    train, validation, test = (
        Rows(config, contract, split) for split in ("train", "validation", "test")
    )
    models, held, past = read_candidates(config)
    seen = judge_validation(models, validation, held, config)
    choice = predictions.cross_validate(
        held, [*models], config.evaluate.choose_by, config.evaluate.choose_over
    )
    name = evaluation.choose(choice, config.evaluate.choose_by, config.evaluate.prefer)
    winner, judged = models[name], test.judge(models[name], config)
    seen[name] = validation.judge(winner, config)
    compared = {n: evaluation.summary(rows, config.policy) for n, rows in seen.items()}
    warn_of_few_loans(judged)
    print(describe_choice([train, validation, test], choice, name, config.evaluate))

    with ThreadPoolExecutor(3) as pool:
        stated = pool.submit(
            evaluation.figures_with_intervals, judged, config.policy, config.evaluate
        )
        directions = pool.submit(monotone.judge_directions, winner, config, test.table)
        is_new = test.has_customer_outside(train)
        glass = evaluation.best_glass(models, choice, config.evaluate.choose_by)
        facts = build_report(config, winner, test, judged, compared, choice, is_new)
        trained, tested = train.matrix(winner), test.matrix(winner)
        shipped = Shipped(winner, trained, train.bad, validation.bad, seen[name].pd, {})
        if config.refit.rows != "none":
            shipped = shipping.refit_winner(winner, config, test, judged)
        written = pool.submit(
            shipping.write_models,
            *(winner, shipped.model, test, judged, config.evaluate.golden, MODELS),
        )
        if glass is not None and 1 < test.bad.sum() < len(test.bad) - 1:
            seen_through = judged if glass == name else test.judge(models[glass], config)
            facts["price_of_glass"] = evaluation.price_glass(
                glass, seen_through, judged, config.policy
            )
        keys = predictions.read_keys(contract, config.data / "raw")
        parts = [
            predictions.make_predictions_out_of_fold(
                train, held, winner, trained, config.policy, keys
            ),
            predictions.make_predictions(validation, seen[name], keys),
            predictions.make_predictions(test, judged, keys).assign(new_customer=is_new),
        ]
        table = pd.concat(parts).merge(
            held.drop(columns=["split", "bad"]), on="row", how="left", validate="1:1"
        )
        backtest = origins.judge(table, models)
        if config.evaluate.origins:
            facts["backtest"] = backtest
            facts["stability"] = origins.judge_stability(table, past, models)
        with files.whole_folder(MODELS / "plots") as folder:
            over_time = facts["by_vintage"], origins.plot_columns(backtest)
            cut_off = config.policy.pd_cut_off
            plots.write_all(folder, winner, tested, judged, seen, compared, *over_time, cut_off)
        with files.whole_file(MODELS / "predictions.parquet") as path:
            table.to_parquet(path, index=False)
        written.result()
        files.write_json(MODELS / "reference.json", describe_shipped(shipped, config), indent=1)
        files.write_text(MODELS / "scorecard.csv", write_cards(models, shipped, config, train))
        facts |= shipped.facts
        facts |= {"test": stated.result(), "monotone": directions.result()}
    report = evaluation.round_figures(facts)
    files.write_json(MODELS / "evaluation.json", report)
    files.write_json(MODELS / "metrics.json", evaluation.headlines(report))


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()

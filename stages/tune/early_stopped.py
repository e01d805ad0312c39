"""Search a booster whose trees stop growing where they no longer help, by a number of trials.

The draws follow from `train.seed` and the number of the trial alone, so the same rows and the same
`search` give the same parameters on any machine.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import FrozenTrial
from tqdm import tqdm

from stages.params import Params
from stages.tune.search import ParameterSearch, Values, round_values, suggest

# Trials before one that does worse than the median of those before it, fold by fold, is ended.
UNPRUNED = 5


def search(name: str, config: Params) -> dict[str, Any]:
    """Return the best parameters of a candidate, with its log loss in the folds."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = ParameterSearch.of(name, "log_loss", config.search.folds, config)
    space = {key: bounds for key, bounds in search.ranges.items() if key != "trees"}
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=config.train.seed, n_startup_trials=UNPRUNED + 3),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
    )
    for values in search.candidate.starts:
        study.enqueue_trial(dict(values))

    def score(trial: optuna.Trial) -> float:
        values = round_values({key: suggest(trial, key, space[key]) for key in space})

        def report(loss: float, fold: int) -> None:
            trial.report(loss, fold)
            if trial.should_prune():
                raise optuna.TrialPruned

        loss, trees = search.score_early(values, report)
        trial.set_user_attr("trees", trees)
        return loss

    trials = config.search.trials
    with tqdm(total=trials, desc=f"search {name}", unit=" trials", disable=None) as progress:

        def move_on(study: optuna.Study, trial: FrozenTrial) -> None:
            progress.update()

        study.optimize(score, n_trials=trials, callbacks=[move_on])
    best = study.best_trial
    found: Values = round_values(best.params) | {"trees": best.user_attrs["trees"]}
    said = f"log loss {study.best_value:.5f} in trial {best.number + 1} of {trials}"
    print(f"search {name}: {said} with {found}")
    return {
        "parameters": found,
        "log_loss": round(study.best_value, 6),
        "trials": trials,
    }

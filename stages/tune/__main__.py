"""Search a candidate's parameters with Optuna, on the training part alone.

The present parameters are the first trial. Where loans have dates, each fold is later than the rows
its model learnt from. Trials are kept in .tune/: the same command goes on where it was stopped, and
one with more trials where fewer ended. Better values are written to params.yaml, and nothing else
in it changes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from tqdm import tqdm

from stages import files, params, project
from stages.contract.schema import ContractError
from stages.judging.evaluation import HIGHER_IS_BETTER
from stages.models import registry
from stages.tune.search import ParameterSearch, Values, round_values, suggest

PARAMS, KEPT = Path("params.yaml"), Path(".tune")


def open_study(search: ParameterSearch) -> optuna.Study:
    """Return the study of this search with the trials of earlier runs that were finished."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n")
    name = f"{search.config.dataset}-{search.config.mode}-{search.name}-{search.metric}"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(KEPT / f"{name}.log"))),
        study_name=search.fingerprint(),
        direction="maximize" if HIGHER_IS_BETTER[search.metric] else "minimize",
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def scored_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that have a score."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def score_of(study: optuna.Study, values: Values) -> float | None:
    """Return the score of the trial that had these values, None where no trial had them."""
    scores = (t.value for t in scored_trials(study) if round_values(t.params) == values)
    return next(scores, None)


def optimise(study: optuna.Study, search: ParameterSearch, trials: int) -> None:
    """Run the study until it has `trials` in all; the present parameters come first."""

    def score(trial: optuna.Trial) -> float:
        values = {name: suggest(trial, name, bounds) for name, bounds in search.ranges.items()}
        return search.score(round_values(values))

    def seed_next(study: optuna.Study, _: FrozenTrial | None = None) -> None:
        # The draws of a trial depend on how many came before it, not on which run made them.
        seed = search.config.train.seed + len(scored_trials(study))
        study.sampler = optuna.samplers.TPESampler(seed=seed)

    def say_first(study: optuna.Study, trial: FrozenTrial) -> None:
        if len(scored_trials(study)) == 1:
            tqdm.write(f"trial 1: {search.metric} {trial.value:.5f} with {trial.params}")

    seed_next(study)
    allowed = all(b.low <= search.present[name] <= b.high for name, b in search.ranges.items())
    if allowed and score_of(study, search.present) is None:
        study.enqueue_trial(search.present)
    remaining = trials - len(scored_trials(study))
    if remaining > 0:
        callbacks: list[Callable[[optuna.Study, FrozenTrial], None]] = [seed_next, say_first]
        study.optimize(score, n_trials=remaining, callbacks=callbacks, show_progress_bar=True)


def write_values(text: str, place: tuple[str, ...], values: Values) -> str:
    """Return the YAML `text` with new values in the section at `place`, its comments kept."""
    yaml = YAML()
    yaml.width = 4096
    yaml.representer.add_representer(type(None), represent_null)
    document = yaml.load(text)
    section = document
    for key in place:
        section = section[key]
    section.update(values)
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def represent_null(representer: RoundTripRepresenter, _: None) -> ScalarNode:
    """Return null as a word, where ruamel's round trip would leave the place empty."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def report(search: ParameterSearch, before: float, after: float, best: Values) -> str:
    """Return the score and the parameters before and after, as a table."""
    present = search.present
    lines = [f"{'':20}{'before':>10}{'after':>10}"]
    lines += [f"{search.metric:20}{before:>10.5f}{after:>10.5f}"]
    lines += [f"{key:20}{present[key]:>10}{value:>10}" for key, value in best.items()]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m stages.tune", description=__doc__, formatter_class=form
    )
    parser.add_argument("candidate", choices=registry.names(), help="the candidate to search")
    parser.add_argument(
        "--trials", metavar="N", type=int, default=20, help="trials in all (%(default)s)"
    )
    parser.add_argument(
        "--metric", choices=HIGHER_IS_BETTER, help="(params.yaml: evaluate.choose_by)"
    )
    parser.add_argument("--folds", metavar="N", type=int, default=4, help="(%(default)s)")
    options = parser.parse_args()
    for name, least in (("trials", 1), ("folds", 1 + 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be at least {least}; got {getattr(options, name)}")
    return options


def main() -> None:
    """Search, print the score before and after, and write better parameters to params.yaml."""
    options = parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        search = ParameterSearch.of(
            options.candidate, options.metric, options.folds, params.load(PARAMS)
        )
    except ValueError as error:
        sys.exit(str(error))
    print(
        f"tune {search.name}: {search.metric} over {len(search.folds)} folds of "
        f"{len(search.rows.bad):,} rows; the first trial is what params.yaml holds",
        flush=True,
    )
    study = open_study(search)
    try:
        optimise(study, search, options.trials)
        before = score_of(study, search.present)
        if before is None:  # the present values are outside the range
            before = search.score(search.present)
    except KeyboardInterrupt:
        count = len(scored_trials(study))
        sys.exit(f"Stopped with {count} trials kept; run the same command to continue")
    except (ContractError, params.ParamsError) as error:
        sys.exit(str(error))
    after, best = study.best_value, round_values(study.best_params)
    sign = 1 if HIGHER_IS_BETTER[search.metric] else -1
    if sign * after <= sign * before:
        count = len(scored_trials(study))
        print(f"{PARAMS} stays: {search.metric} {before:.5f}, and no trial of {count} is better")
        return
    print(report(search, before, after, best))
    changed = {key: value for key, value in best.items() if value != search.present[key]}
    files.write_text(PARAMS, write_values(PARAMS.read_text(), ("train", search.name), changed))
    print(f"{PARAMS}: train.{search.name} has the best values; dvc repro fits and judges them")


if __name__ == "__main__":
    project.enter()
    main()

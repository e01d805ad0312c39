"""Search a candidate's parameters with Optuna, on the training part alone.

The present parameters are the first trial. Where loans have dates, each fold is later than what its
model learnt from. Trials are kept in .tune/, so the same command goes on where it was stopped, and
more trials go on where fewer ended. What is better goes into params.yaml; nothing else in it moves.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial
from tqdm import tqdm

from stages import files, params
from stages.judging.evaluation import HIGHER_IS_BETTER
from stages.models import registry
from stages.models.parameters import Range
from stages.models.search import Search, Values

PARAMS, KEPT = Path("params.yaml"), Path(".tune")


def distribution(own: Range) -> BaseDistribution:
    """A range as Optuna takes it."""
    if isinstance(own.low, int) and isinstance(own.high, int):
        return IntDistribution(own.low, own.high, log=own.log)
    return FloatDistribution(own.low, own.high, log=own.log)


def rounded(values: dict[str, Any]) -> Values:
    """Values as they are tried and written: whole, or of three significant digits."""
    return {k: v if isinstance(v, int) else float(f"{v:.3g}") for k, v in values.items()}


def opened(search: Search) -> optuna.Study:
    """The study of this search, with the trials of earlier runs; what was cut short is void."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n")
    name = f"{search.config.dataset}-{search.config.mode}-{search.name}-{search.metric}"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(KEPT / f"{name}.log"))),
        study_name=search.fingerprint(),
        direction="maximize" if HIGHER_IS_BETTER[search.metric] else "minimize",
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def done(study: optuna.Study) -> int:
    """The number of trials that have a score."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def first(study: optuna.Study, search: Search) -> float:
    """The score of the present parameters, which become a trial unless one had them."""
    space = {key: distribution(own) for key, own in search.space.items()}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if rounded(trial.params) == search.present:
            return float(trial.values[0])
    score = search.score(search.present)
    if all(own._contains(own.to_internal_repr(search.present[key])) for key, own in space.items()):
        study.add_trial(create_trial(params=search.present, distributions=space, value=score))
    return score


def sought(study: optuna.Study, search: Search, trials: int) -> tuple[float, Values]:
    """The best score and its values after so many trials in all."""
    space = {key: distribution(own) for key, own in search.space.items()}
    with tqdm(total=trials, initial=min(done(study), trials), unit=" trials") as progress:
        while (number := done(study)) < trials:
            # A sampler a trial: what it draws hangs on the trials so far, not on when they ran.
            study.sampler = optuna.samplers.TPESampler(seed=search.config.train.seed + number)
            trial = study.ask(space)
            study.tell(trial, search.score(rounded(trial.params)))
            progress.set_postfix({search.metric: f"{study.best_value:.5f}"})
            progress.update()
    return study.best_value, rounded(study.best_params)


def rewritten(text: str, place: tuple[str, ...], values: Values) -> str:
    """The YAML `text` with new scalars in the section at `place`; comments keep their column."""
    node: Any = yaml.compose(text)
    for key in place:
        node = next(value for name, value in node.value if name.value == key)
    spans = [
        (value.start_mark.index, value.end_mark.index, str(values[name.value]))
        for name, value in node.value
        if name.value in values
    ]
    for start, end, new in reversed(spans):
        rest = text[end:]
        if gap := re.match(" +(?=#)", rest):
            wide = len(gap[0]) + (end - start) - len(new)
            rest = " " * max(wide, 1) + rest[gap.end() :]
        text = text[:start] + new + rest
    return text


def report(search: Search, before: float, after: float, found: Values) -> str:
    """Before and after, as a table."""
    present = search.present
    lines = [f"{'':20}{'before':>10}{'after':>10}"]
    lines += [f"{search.metric:20}{before:>10.5f}{after:>10.5f}"]
    lines += [f"{key:20}{present[key]:>10}{value:>10}" for key, value in found.items()]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """The options."""
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
    """Search, print before and after, and write what is better into params.yaml."""
    options = parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        search = Search.of(options.candidate, options.metric, options.folds, params.load(PARAMS))
    except ValueError as error:
        sys.exit(str(error))
    study = opened(search)
    try:
        before = first(study, search)
        after, found = sought(study, search, options.trials)
    except KeyboardInterrupt:
        sys.exit(f"Stopped with {done(study)} trials kept; the same command goes on from there")
    sign = 1 if HIGHER_IS_BETTER[search.metric] else -1
    if sign * after <= sign * before:
        print(
            f"{PARAMS} stays: {search.metric} {before:.5f}, and no trial of {done(study)} is better"
        )
        return
    print(report(search, before, after, found))
    changed = {key: value for key, value in found.items() if value != search.present[key]}
    files.write_text(PARAMS, rewritten(PARAMS.read_text(), ("train", search.name), changed))
    print(f"{PARAMS}: train.{search.name} has what was found; dvc repro fits and judges it")


if __name__ == "__main__":
    main()

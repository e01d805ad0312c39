"""Compare the metrics that the pipeline states with the truth, on many small books.

    python -m benches.judging.figures [SEEDS]

Runs the stages on many small simulated books of every situation (`benches.judging.situations`), and
prints for each figure its mean, the mean truth, and how often the 95 % interval holds the truth. A
figure is off where it is held less often than chance explains. Takes about ten minutes on two
cores.

The truth of a figure of the model is that of very many fresh loans with their true PDs. That of
`bad_rate` is the mean true PD, and so is that of `PD of -7` among the loans with that code.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import yaml

from benches.judging.situations import CODES, SITUATIONS, Book, Situation
from stages import featurize, params, preprocess, train
from stages.contract import check
from stages.contract import reading as contracts
from stages.features.matrix import Floats
from stages.features.statistics import (
    Fitted,
    category_cells,
    chance_information_value,
    information_value_of,
)
from stages.judging import evaluation, predictions
from stages.judging.evaluation import Judged
from stages.judging.rows import Rows
from stages.metrics import calibration_error, metrics
from stages.models import classifier
from stages.params import Params

ROOT = Path(__file__).parents[2]
SEEDS = 20
WORKERS = 2
RESAMPLES = 400
TREES = 100
LEVEL = 0.95
CHANCE = 0.001  # that a figure is called off though its intervals are right
SPREAD = 1.96
WARNINGS = ("no time to go bad", "overstates PD")


class Stated(NamedTuple):
    """A figure of one book with its interval, and the truth."""

    value: float
    low: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        """Return whether the interval holds the truth."""
        return self.low <= self.truth <= self.high


def settings(situation: Situation, book: Book) -> dict[str, Any]:
    """Return params.yaml for a small book."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    config |= {"dataset": "book", "threads": 1, "candidates": list(situation.candidates)}
    config["evaluate"]["resamples"] = RESAMPLES
    config["policy"]["rules"] = []
    config["train"]["xgboost"]["trees"] = TREES
    for name in situation.candidates:
        config["train"][name] |= book.changes
    return config


def write(folder: Path, situation: Situation, book: Book) -> None:
    """Write the book, its contract and the parameters."""
    raw = folder / "data" / "book" / "raw"
    raw.mkdir(parents=True)
    book.raw.to_csv(raw / "loans.csv", index=False)
    (raw.parent / "contract.yaml").write_text(yaml.safe_dump(book.contract, sort_keys=False))
    (folder / "params.yaml").write_text(yaml.safe_dump(settings(situation, book)))


def state(situation: Situation, book: Book) -> dict[str, Stated]:
    """Run the stages in the current folder and return the figures with their truths."""
    preprocess.main()
    featurize.main()
    for name in situation.candidates:
        train.main(name)
    config = params.load()
    held = predictions.read_out_of_fold(Path("models/candidates"), config.candidates)
    choice = predictions.cross_validate(held, config.candidates, config.evaluate.choose_by)
    name = evaluation.choose(choice, config.evaluate.choose_by)
    winner = classifier.load(Path("models") / "candidates" / f"{name}.joblib")
    test = Rows(config, contracts.load(config.dataset), "test")
    judged = test.judge(winner.model, config)
    fresh_pd = winner.predict_proba(book.fresh)[:, 1]
    truths = true_figures(fresh_pd, book.true_pd)
    stated = evaluation.figures_with_intervals(judged, config.policy, config.evaluate)
    figures = {
        name: Stated(*stated[name].values(), truths[name])
        for name in situation.figures
        if name in truths
    }
    figures |= {name: stated_iv(name, book, config) for name in situation.figures if "IV" in name}
    if "PD of -7" in situation.figures:
        figures |= code_figures(test, judged, book, config)
    return figures


def true_figures(fresh_pd: Floats, true_pd: Floats) -> dict[str, float]:
    """Return the metrics of PDs (n,) for loans with these true PDs (n,)."""
    bad = np.random.default_rng(0).random(len(true_pd)) < true_pd
    figures = metrics.summary(bad, fresh_pd, 0.5)
    order = np.argsort(fresh_pd, kind="stable")
    parts = np.array_split(order, calibration_error.BINS)
    gaps = np.array([fresh_pd[part].mean() - true_pd[part].mean() for part in parts])
    error = float(np.sqrt(np.mean(gaps**2)))
    return figures | {"ece": error, "bad_rate": float(true_pd.mean())}


def stated_iv(name: str, book: Book, config: Params) -> Stated:
    """Return the IV that featurize states, with an interval from resamples of its rows."""
    field = name.removeprefix("IV ")
    fitted = Fitted.from_json((config.data / "features" / "fitted.json").read_text())
    place = fitted.names.index(field)
    with np.load(config.data / "features" / "train.npz") as rows:
        cell, bad = category_cells(rows["x"][:, place]), rows["bad"]
    draws = []
    for seed in range(100):
        drawn = np.random.default_rng(seed).integers(0, len(bad), len(bad))
        some, outcome = cell[drawn], bad[drawn]
        draws.append(information_value_of(some, outcome) - chance_information_value(some, outcome))
    margin = SPREAD * float(np.std(draws))
    value = fitted.iv[place]
    return Stated(value, value - margin, value + margin, book.true_iv[field])


def code_figures(test: Rows, judged: Judged, book: Book, config: Params) -> dict[str, Stated]:
    """Return the mean PD of the loans with each missing code.

    Its interval is as wide as that of their bad rate: what the test part can tell of it.
    """
    meaning, fresh = test.columns["lines__missing"], book.fresh["lines__missing"].to_numpy()
    figures = {}
    for place, code in enumerate(CODES, start=1):
        rows = judged.taking(meaning == place)
        rate = evaluation.figures_with_intervals(rows, config.policy, config.evaluate)["bad_rate"]
        value = float(rows.pd.mean())
        low, high = (value + rate[side] - rate["value"] for side in ("low", "high"))
        truth = float(book.true_pd[fresh == place].mean())
        figures[f"PD of {code}"] = Stated(value, low, high, truth)
    return figures


def run(number: int, seed: int) -> tuple[dict[str, Stated], bool]:
    """Return the figures of one book of a situation, and whether the pipeline warned of it."""
    situation = SITUATIONS[number]
    book = situation.draw(seed)
    said = io.StringIO()
    with TemporaryDirectory(prefix="figures.") as place, contextlib.chdir(place):
        write(Path(place), situation, book)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            figures = state(situation, book)
            if situation.warns:
                check.run("book")
    return figures, any(words in said.getvalue() for words in WARNINGS)


def fewest_held(books: int) -> int:
    """Return how many of the books chance allows to hold the truth where intervals are right."""
    below = 0.0
    for held in range(books + 1):
        below += comb(books, held) * LEVEL**held * (1 - LEVEL) ** (books - held)
        if below >= CHANCE:
            return held
    return books


def lines(situation: Situation, books: list[tuple[dict[str, Stated], bool]]) -> Iterator[str]:
    """Yield a line for each figure of a situation."""
    warned = sum(said for _, said in books)
    for name in situation.figures:
        figures = [stated[name] for stated, _ in books]
        value, truth = (np.mean([getattr(f, part) for f in figures]) for part in ("value", "truth"))
        held = sum(figure.holds for figure in figures)
        verdict = "" if held >= fewest_held(len(books)) else "OFF"
        if verdict and situation.warns and warned == len(books):
            verdict = "off, and the pipeline warns"
        numbers = f"{value:9.4f}{truth:9.4f}{value - truth:+10.4f}{held:6d} of {len(books)}"
        yield f"{situation.title:30}{name:24}{numbers}   {verdict}".rstrip()


def main(seeds: int, words: str = "") -> int:
    """Print the table, for situations whose title holds the words; return 1 where one is off."""
    print(
        f"{seeds} books a situation; off: fewer than {fewest_held(seeds)} intervals hold the truth"
    )
    print(f"{'situation':30}{'figure':24}{'stated':>9}{'truth':>9}{'less':>10}   held")
    is_off = False
    with ProcessPoolExecutor(WORKERS) as pool:
        waiting = {
            number: [pool.submit(run, number, seed) for seed in range(1, seeds + 1)]
            for number, situation in enumerate(SITUATIONS)
            if words in situation.title
        }
        for number, futures in waiting.items():
            for line in lines(SITUATIONS[number], [future.result() for future in futures]):
                print(line, flush=True)
                is_off |= line.endswith("OFF")
    return int(is_off)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS, *sys.argv[2:3]))

"""Judge the whole pipeline against what an hour of tuning reaches, on public and unknown books.

    python -m benches.judging.books hmeq taiwan --trials 30

The winner of `dvc repro` and its rivals (`benches.judging.rivals`) learn from the same training
rows and are judged on the same test rows. A positive difference is in favour of the winner. The
rivals of a book are kept in build/books, and are fitted again where its rows or the options change.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from benches.judging import rivals
from benches.judging.unknown_books import UNKNOWN
from benches.serving import clock
from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.metrics import calibration_error, delong, metrics
from stages.metrics.ranked_rows import RankedRows

ROOT = Path(__file__).parents[2]
PUBLIC = ROOT.parent / "shared" / "data"
KEPT = ROOT / "build" / "books"
TARGETS = {"hmeq": "BAD", "taiwan": "DEFAULT"}
SHIPPED = ("loan_applications", "loan_book")
SEED, RESAMPLES = 7, 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The PDs (n,) of the test rows with outcomes bad (n,): the winner's and each rival's."""

    winner: str
    bad: NDArray[np.int64]
    pd: Floats
    rivals: dict[str, Floats]
    cpu: float


def prepare(name: str, changes: list[str]) -> Path:
    """Return the folder of a project that has this book alone, and a contract for it."""
    folder = KEPT / name
    shutil.rmtree(folder, ignore_errors=True)
    raw = folder / "data" / name / "raw"
    raw.mkdir(parents=True)
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    for change in [f"dataset={name}", *changes]:
        set_parameter(config, change)
    (folder / "params.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if name in UNKNOWN:
        UNKNOWN[name](SEED).to_csv(raw / f"{name}.csv", index=False)
    else:
        shutil.copytree(PUBLIC / name, raw, dirs_exist_ok=True)
    if name in SHIPPED:
        shutil.copy(ROOT / "data" / name / "contract.yaml", raw.parent)
    else:
        target = TARGETS.get(name, "status")
        draft = ("draft", f"data/{name}/raw/{name}.csv", "--target", target)
        clock.run(folder, sys.executable, "-m", "stages.contract", *draft)
    return folder


def set_parameter(config: dict[str, Any], change: str) -> None:
    """Set a parameter as `a.b=value` says, the value in YAML."""
    place, _, value = change.partition("=")
    *sections, key = place.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[key] = yaml.safe_load(value)


def run_pipeline(folder: Path) -> float:
    """Run every stage in a folder, and return the CPU seconds."""
    candidates = yaml.safe_load((folder / "params.yaml").read_text())["candidates"]
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    spent = 0.0
    for stage in stages:
        for words in [[name] for name in candidates] if "matrix" in stages[stage] else [[]]:
            spent += clock.run(folder, sys.executable, "-m", f"stages.{stage}", *words).cpu
    return spent


def judge(name: str, options: argparse.Namespace) -> Judged:
    """Run the pipeline and the rivals on a book."""
    folder = prepare(name, options.set)
    spent = run_pipeline(folder)
    said = pd.read_parquet(folder / "models" / "predictions.parquet").query("split == 'test'")
    report = yaml.safe_load((folder / "models" / "evaluation.json").read_text())
    pds = fit_rivals(folder / "data" / name, options.trials, options.folds)
    return Judged(
        report["winner"], said["bad"].to_numpy(np.int64), said["pd"].to_numpy(), pds, spent
    )


def fit_rivals(data: Path, trials: int, folds: int) -> dict[str, Floats]:
    """Return the rivals' PDs of the test rows, from the file where they are kept if it is there."""
    parts = {name: np.load(data / "features" / f"{name}.npz") for name in ("train", "test")}
    digest = hashlib.sha256(f"{trials} {folds}".encode())
    for part in parts.values():
        digest.update(part["x"].tobytes() + part["bad"].tobytes())
    kept = KEPT / f"{data.name}-{digest.hexdigest()[:12]}.npz"
    if not kept.exists():
        contract = contracts.read((data / "contract.yaml").read_text(), data.name)
        categories = Features(contract, "application").categories
        train, test = parts["train"], parts["test"]
        table = rivals.Table(train["x"], train["bad"], test["x"], categories)
        np.savez(kept, **rivals.fit_all(table, trials, folds))
    with np.load(kept) as file:
        return {name: file[name] for name in file.files}


def compare(book: str, judged: Judged) -> list[str]:
    """Return the lines of the table of a book: the winner, then each rival against it."""
    own = figures(judged.bad, judged.pd)
    lines = [f"{book:18}{judged.winner:14}{own}   {judged.cpu:.0f} s of CPU"]
    for name, pd_ in judged.rivals.items():
        auc = delong.compare_aucs(judged.bad, pd_, judged.pd)
        low, value, high = brier_gain(judged, pd_)
        mark = " worse" if auc.high < 0 or high < 0 else ""
        lines.append(
            f"{'':18}{name:14}{figures(judged.bad, pd_)}"
            f"   {auc.difference:+.4f} ({auc.low:+.4f} to {auc.high:+.4f})"
            f"   {value:+.5f} ({low:+.5f} to {high:+.5f}){mark}"
        )
    return lines


def figures(bad: NDArray[np.int64], pds: Floats) -> str:
    """Return the AUC, the Brier score and the calibration error with its interval, as text."""
    ranked = RankedRows.of(bad, pds)
    counts = metrics.count_rows(ranked)
    error = calibration_error.interval(ranked, counts)
    seen = metrics.summary(bad, pds, 0.5)
    ece = f"{error[0]:.4f} ({error[1]:.4f} to {error[2]:.4f})"
    return f"{seen['roc_auc']:8.4f}{seen['brier']:9.5f}   {ece}"


def brier_gain(judged: Judged, other: Floats) -> tuple[float, float, float]:
    """Return by how much the winner's Brier score is lower, between the ends of its interval."""
    gains = (other - judged.bad) ** 2 - (judged.pd - judged.bad) ** 2
    margin = 1.96 * float(gains.std(ddof=1)) / np.sqrt(len(gains))
    return float(gains.mean()) - margin, float(gains.mean()), float(gains.mean()) + margin


def best_rival(judged: Judged) -> tuple[str, float]:
    """Return the rival of the highest AUC, and by how much the winner's is higher."""
    gains = {
        name: delong.compare_aucs(judged.bad, pds, judged.pd).difference
        for name, pds in judged.rivals.items()
    }
    worst = min(gains, key=gains.__getitem__)
    return worst, gains[worst]


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    everything = [*TARGETS, *SHIPPED, *UNKNOWN]
    parser = argparse.ArgumentParser("python -m benches.judging.books", description=__doc__)
    parser.add_argument("books", nargs="*", default=everything, help=", ".join(everything))
    parser.add_argument("--trials", metavar="N", type=int, default=30, help="(%(default)s)")
    parser.add_argument("--folds", metavar="N", type=int, default=4, help="(%(default)s)")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a parameter"
    )
    options = parser.parse_args()
    if unknown := set(options.books) - {*everything}:
        parser.error(f"no such book: {', '.join(sorted(unknown))}; there are {everything}")
    return options


def main() -> None:
    """Print a table of each book, and the mean difference from the best rivals."""
    options = parse()
    print(
        f"{'book':18}{'model':14}{'AUC':>8}{'Brier':>9}   ECE (95 %)                "
        "   AUC of the winner less      Brier gained by the winner"
    )
    gains = []
    for book in options.books:
        judged = judge(book, options)
        print("\n".join(compare(book, judged)), flush=True)
        gains.append(best_rival(judged)[1])
    print(f"mean AUC less that of the best rival of each book: {np.mean(gains):+.4f}")


if __name__ == "__main__":
    main()

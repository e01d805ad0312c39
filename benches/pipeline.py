"""Time the pipeline on a simulated book, as ratios in one run.

The whole of `dvc repro` against the fitting calls alone, ten times the rows against these, the
artifact against other ways to score, and the winner against the true PDs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benches.serving import clock, scoring
from benches.serving.clock import Cost
from stages import params
from stages.metrics import metrics

ROOT = Path(__file__).parent.parent
RAW = Path("data") / "loan_book" / "raw"
MORE = 10
# What a stage imports late, because not every run of it needs the library.
CALIBRATION = "sklearn.linear_model, sklearn.model_selection"
LATE = {
    "logistic": "sklearn.linear_model",
    "scorecard": "optbinning",
    "random_forest": "xgboost",
    "xgboost": f"xgboost, {CALIBRATION}",
    "lightgbm": f"lightgbm, {CALIBRATION}",
    "evaluate": "xgboost, lightgbm",
}


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def step(text: str) -> None:
    """Print on stderr what is under way."""
    print(f"... {text}", file=sys.stderr, flush=True)


def line(title: str, value: float, aim: str, detail: str = "") -> None:
    """Print one ratio with its aim."""
    say(f"{title:52}{value:>9.2f}   {aim:10}{detail}")


def copy_project(folder: Path, rows: int, threads: int | None) -> Path:
    """Copy the project to a folder with a simulated book and its true PDs; return the folder."""
    for package in ("stages", "benches", "service"):
        shutil.copytree(ROOT / package, folder / package)
    for dataset in (ROOT / "data").glob("*/contract.yaml"):
        target = folder / dataset.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        shutil.copyfile(dataset, target)
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    text = (ROOT / "params.yaml").read_text()
    if threads:
        text = re.sub("^threads: .*", f"threads: {threads}", text, flags=re.MULTILINE)
    (folder / "params.yaml").write_text(text)
    options = ("--rows", str(rows), "--truth", "truth.csv")
    clock.run(folder, sys.executable, "-m", "stages.simulate", *options)
    return folder


def stage(folder: Path, *words: str) -> Cost:
    """Run one stage by itself."""
    return clock.run(folder, sys.executable, "-m", *words)


def whole(folder: Path) -> Cost:
    """Run all of `dvc repro`, from the raw tables on."""
    bins = {"PATH": f"{Path(sys.executable).parent}:{Path('/usr/bin')}:{Path('/bin')}"}
    return clock.run(folder, sys.executable, "-m", "dvc", "repro", "--force", "--quiet", **bins)


def fits(folder: Path) -> Cost:
    """Return the seconds in fitting calls."""
    command = [sys.executable, "-m", "benches.judging.fits"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Cost(**json.loads(done.stdout), peak=0.0)


def overhead(folder: Path, repeats: int) -> None:
    """Compare the whole with the fits, and say where the rest goes."""
    runs: dict[str, list[Cost]] = {"whole": [], "fits": []}
    for number in range(repeats):
        step(f"dvc repro and the fits alone, {number + 1} of {repeats}")
        runs["whole"].append(whole(folder))
        runs["fits"].append(fits(folder))
    all_of, pure = clock.middle(runs["whole"]), clock.middle(runs["fits"])
    detail = f"{all_of.wall:.1f} s, {pure.wall:.1f} s"
    line("dvc repro / fitting calls, time", all_of.wall / pure.wall, "<= 1.25", detail)
    detail = f"{all_of.cpu:.1f} s, {pure.cpu:.1f} s"
    line("dvc repro / fitting calls, CPU", all_of.cpu / pure.cpu, "", detail)
    starts(folder, all_of.cpu, pure.cpu)


def starts(folder: Path, total: float, pure: float) -> None:
    """Say where the CPU seconds of a run go: to each stage, and to starting Python for it."""
    step("each stage by itself")
    config = params.load(folder / "params.yaml")
    runs = [["preprocess"], ["featurize"], *(["train", n] for n in config.candidates), ["evaluate"]]
    imports = 0.0
    say("    CPU seconds of each stage, and of starting Python with its imports")
    for verb, *rest in runs:
        late = LATE.get([verb, *rest][-1], "sys")
        start = clock.run(folder, sys.executable, "-c", f"import stages.{verb}, {late}").cpu
        cost = stage(folder, f"stages.{verb}", *rest).cpu
        say(f"    {' '.join([verb, *rest]):24}{cost:6.1f}{start:6.1f}")
        imports += start
    detail = f"{total - imports:.1f} s, {pure:.1f} s"
    line(f"the same less {len(runs)} starts of Python", (total - imports) / pure, "", detail)


def growth(folder: Path, larger: Path) -> None:
    """Compare the stages that touch every row at `MORE` times the rows."""
    shutil.copytree(folder / "models", larger / "models")
    for module in ("stages.preprocess", "stages.featurize", "benches.serving.scoring"):
        step(f"{module} at 1x and {MORE}x rows")
        once, more = stage(folder, module), stage(larger, module)
        detail = f"{once.cpu:.1f} s, {more.cpu:.1f} s"
        line(f"{module} at {MORE}x rows, CPU", more.cpu / once.cpu, f"<= {MORE}", detail)
        detail = f"{once.peak:.0f} MB, {more.peak:.0f} MB"
        line(f"{module} at {MORE}x rows, peak memory", more.peak / once.peak, f"<= {MORE}", detail)


def speed(folder: Path, seconds: float) -> None:
    """Compare the artifact with the raw booster and with the usual pipeline."""
    with contextlib.chdir(folder):
        step("batch scoring")
        batch = scoring.batch(seconds)
        step("one row")
        single = scoring.single(seconds)
    detail = f"{batch['artifact'] * 1e3:.0f} ms, {batch['booster'] * 1e3:.0f} ms"
    line("batch: raw booster / artifact", batch["booster"] / batch["artifact"], ">= 0.75", detail)
    for way in ("artifact", "served"):
        detail = f"{single['pipeline'] * 1e3:.2f} ms, {single[way] * 1e3:.3f} ms"
        line(f"one row: usual pipeline / {way}", single["pipeline"] / single[way], ">= 50", detail)


def bayes(folder: Path) -> None:
    """Compare the winner with the true PDs, on the test rows."""
    said = pd.read_parquet(folder / "models" / "predictions.parquet").query("split == 'test'")
    loans = pd.read_csv(folder / RAW / "loans.csv", usecols=["loan_id"])
    truth = pd.read_csv(folder / "truth.csv").set_index("loan_id")["true_pd"]
    best = truth.loc[loans["loan_id"].iloc[said["row"]]].to_numpy()
    bad, stated = said["bad"].to_numpy(), said["pd"].to_numpy()
    for name in ("roc_auc", "brier"):
        figure: object = getattr(metrics, name)
        detail = f"{figure(bad, stated):.4f}, {figure(bad, best):.4f}"
        line(f"{name}: winner / true PD", figure(bad, stated) / figure(bad, best), "1", detail)
    say(f"    mean |PD - true PD| {np.abs(stated - best).mean():.4f}")


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("python -m benches.pipeline", description=__doc__)
    parser.add_argument("--rows", metavar="N", type=int, default=50_000, help="(%(default)s)")
    parser.add_argument("--threads", metavar="N", type=int, help="(params.yaml: threads)")
    parser.add_argument("--repeats", metavar="N", type=int, default=3, help="(%(default)s)")
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=10, help="of scoring (%(default)s)"
    )
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parse()
    with TemporaryDirectory(prefix="bench.") as place:
        step(f"simulating {options.rows:,} and {MORE * options.rows:,} loans")
        folder = copy_project(Path(place, "once"), options.rows, options.threads)
        clock.run(folder, sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet")
        clock.run(folder, sys.executable, "-m", "dvc", "add", "--quiet", str(RAW))
        larger = copy_project(Path(place, "more"), MORE * options.rows, options.threads)
        threads = params.load(folder / "params.yaml").threads
        say(f"{options.rows:,} loans, {threads} threads, medians of {options.repeats} in turn")
        overhead(folder, options.repeats)
        growth(folder, larger)
        speed(folder, options.seconds)
        bayes(folder)


if __name__ == "__main__":
    main()

"""Write the dossier: what a validator, an auditor and a risk committee ask of the winner.

`python -m stages.dossier` is the stage. With `--check` the command tells whether the dossier still
says what its files say, and with `--pdf` it lays a right one out as build/dossier.pdf, too.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from stages import errors, files, params, project
from stages.contract import reading as contracts
from stages.contract.schema import Contract
from stages.dossier import calculations, check, duties, lineage, page, pdf, review
from stages.dossier.sources import DossierError, Sources, read
from stages.params import Params

MODELS = Path("models")
RESAMPLING = MODELS / "resampling"


def paths_of(config: Params) -> dict[str, Path]:
    """Return the files that the page quotes, by the names that the templates use."""
    return {
        "evaluation": MODELS / "evaluation.json",
        "winner": MODELS / "winner.json",
        "gate": MODELS / "gate.yaml",
        "acknowledgements": MODELS / "acknowledgements.yaml",
        "approvals": review.APPROVALS,
        "calculated": check.CALCULATED,
        "resampling": RESAMPLING / f"{config.dataset}.json",
        "quality": config.data / "quality.json",
        "contract": config.data / "contract.yaml",
        "params": Path("params.yaml"),
        **{f"search of {name}": MODELS / "search" / f"{name}.json" for name in config.candidates},
    }


def calculate(config: Params, contract: Contract) -> dict[str, Any]:
    """Return the figures that no other stage states, and the hashes of data and models."""
    rows = pd.read_parquet(MODELS / "predictions.parquet")
    test, minimum = rows[rows["split"] == "test"], config.evaluate.min_group
    fitted = read(config.data / "features" / "fitted.json")
    gate = read(MODELS / "gate.yaml") if (MODELS / "gate.yaml").exists() else {}
    limit = gate.get("suspicious", {}).get("max_information_value")
    groups = dict(calculations.group_columns(test))
    facts = {
        "test": calculations.judge_rows(test),
        "grades": calculations.judge_grades(test, dict(config.policy.ratings)),
        "vintages": calculations.judge_vintages(test, minimum),
        "origins": calculations.judge_origins(rows),
        "segments": calculations.judge_segments(test, contract, config.data, config.mode, minimum),
        "groups": {
            name: calculations.judge_parts(test, labels, minimum) for name, labels in groups.items()
        },
        "approval_ratios": {
            name: calculations.compare_approval(test, labels, minimum)
            for name, labels in groups.items()
        },
        "information": calculations.rank_information(fitted, limit),
    }
    return dict(calculations.round_facts(facts)) | {
        "winner_sha256": sha256((MODELS / "winner.json").read_bytes()).hexdigest(),
        "lineage": lineage.hashes(Path(), inputs(config)),
    }


def inputs(config: Params) -> list[Path]:
    """Return the data and the models of which the dossier states the hashes."""
    data = [config.data / name for name in ("raw", "contract.yaml", "quality.json", "prepared")]
    names = ("predictions.parquet", "winner.json", "scorecard.csv", "evaluation.json")
    return [*data, config.data / "features", MODELS / "candidates", *(MODELS / n for n in names)]


def list_quoted_files(sources: Sources) -> list[Path]:
    """Return the files that the page quotes, without those that this stage writes.

    params.yaml is left out too: the parameters that the page quotes are checked one by one, and
    the others do not concern it.
    """
    return [sources.paths[n] for n in sorted(sources.used) if n not in ("calculated", "params")]


def main() -> None:
    """Write the page, the figures calculated for it, and the hashes of what it was made from."""
    config = params.load()
    contract = contracts.load(config.dataset)
    figures = calculate(config, contract)
    stated = review.load(Path())
    with files.whole_folder(check.FOLDER) as folder:
        files.write_json(folder / check.CALCULATED.name, figures)
        sources = Sources(Path(), paths_of(config), {"calculated": figures})
        facts = {"dataset": config.dataset, "mode": config.mode, "contract": contract}
        html = page.render(sources, duties.load(duties.DUTIES), stated, facts)
        (folder / check.PAGE.name).write_text(html)
        made_from = [*inputs(config), *list_quoted_files(sources), duties.DUTIES]
        listed = lineage.hashes(Path(), sorted(set(made_from)))
        files.write_json(folder / check.MADE_FROM.name, listed)
    print(f"dossier: {len(sources.notes)} notes on {config.dataset}; open {check.PAGE.absolute()}")


def require_right(root: Path) -> None:
    """End the process with exit code 1 where the dossier is wrong, and say what is."""
    if wrong := check.faults(root):
        lines = "\n".join(f"- {fault}" for fault in wrong)
        sys.exit(f"error: the dossier is stale; make it anew by `dvc repro dossier`:\n{lines}")
    print(f"{check.PAGE} says what its files say")


def run(options: argparse.Namespace) -> None:
    """Write the dossier, or check it where an option asks for that."""
    if not (options.check or options.pdf):
        main()
        return
    require_right(Path())
    if options.pdf:
        pdf.write_pdf(check.PAGE, pdf.TARGET)
        print(f"open {pdf.TARGET.absolute()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m stages.dossier", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; check the dossier")
    parser.add_argument("--pdf", action="store_true", help="check it, and lay it out as PDF")
    asked = parser.parse_args()
    project.enter()
    with errors.one_message():
        try:
            run(asked)
        except DossierError as error:
            sys.exit(f"error: {error}")

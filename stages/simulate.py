"""Simulate the default loan book, errors included: loans.csv, customers.csv and bureau.csv.

With --history the same loans and customers have tradelines.csv, payments.csv and enquiries.csv, the
lines behind the sums of bureau.csv, in its place. The same rows, seed and separation give the same
bytes on any machine. `stages.simulation` draws a clean book; this command adds the errors that real
books have, and writes it.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from stages import files, params, project
from stages.simulation import credit_lines, population
from stages.simulation.random_columns import RandomColumns

PARAMS = Path("params.yaml")
RAW = Path("data/loan_book/raw")
HISTORY_RAW = Path("data/loan_history/raw")
MAX_ROWS, MAX_SEED = 5_000_000, 2**32 - 1
LEAST_SEPARATION = 0.25
BLOCK = 50_000  # rows written at a time, so that the progress moves

TABLES = {  # fields in the order of the files
    "loans": (
        "loan_id cust_id loan_purpose loan_type sanction_amount loan_amount processing_fee gst "
        "net_disbursement loan_tenure_months principal_outstanding bank_balance_at_application "
        "disbursal_date installment_start_dt default"
    ),
    "customers": (
        "cust_id age gender marital_status employment_status income number_of_dependants "
        "residence_type years_at_current_address city state zipcode"
    ),
    "bureau": (
        "cust_id number_of_open_accounts number_of_closed_accounts total_loan_months "
        "delinquent_months total_dpd enquiry_count credit_utilization_ratio"
    ),
}

# Shares of rows; the public book has 0.0003 typos, 0.0002 fees and 0.0012 missing residences.
TYPO = 0.001
ABSURD_FEE = 0.0005
DUPLICATE = 0.002
IMPOSSIBLE_AGE, IMPOSSIBLE_AGES = 0.0004, np.array([3, 150])
MISSING = {
    "residence_type": 0.002,
    "years_at_current_address": 0.001,
    "number_of_dependants": 0.001,
    "enquiry_count": 0.001,
    "credit_utilization_ratio": 0.002,
}


def main() -> None:
    """Simulate the book that the options describe, and write it."""
    options = parse()
    columns = population.draw(options.rows, options.seed, options.separation)
    make = book_with_history if options.history else book
    write_book(make(columns, options.seed), options.out)
    print(f"{options.out}: {options.rows:,} loans, {columns['default'].mean():.2%} bad")
    if options.truth:
        write_truth(columns, options.truth)
        print(f"{options.truth}: the true PD of each")


def parse() -> argparse.Namespace:
    """Return the options; those of the book that are absent come from params.yaml."""
    parser = argparse.ArgumentParser(prog="python -m stages.simulate", description=__doc__)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=project.resolve,
        help=f"folder to write ({RAW}, or {HISTORY_RAW} with --history)",
    )
    parser.add_argument(
        "--history", action="store_true", help="write credit lines in place of the bureau's sums"
    )
    parser.add_argument("--rows", metavar="N", help="number of loans (params.yaml: simulate.rows)")
    parser.add_argument("--seed", metavar="N", help="seed of the draw (params.yaml: simulate.seed)")
    parser.add_argument(
        "--separation",
        metavar="S",
        help="how well good and bad separate, 0.25 to 1 (params.yaml: simulate.separation)",
    )
    parser.add_argument(
        "--truth",
        metavar="FILE",
        type=project.resolve,
        help="also write loan_id,true_pd to this file",
    )
    parser.add_argument("--force", action="store_true", help="replace a book that is there")
    options = parser.parse_args()
    options.out = options.out or (HISTORY_RAW if options.history else RAW)
    try:
        stated = {name: getattr(options, name) for name in ("rows", "seed", "separation")}
        if None in stated.values():
            stated = read_settings() | {
                name: value for name, value in stated.items() if value is not None
            }
        options.rows = check_integer("rows", stated["rows"], 1, MAX_ROWS)
        options.seed = check_integer("seed", stated["seed"], 0, MAX_SEED)
        options.separation = check_share("separation", stated["separation"], LEAST_SEPARATION)
        refuse_to_overwrite(options.out, options.force, table_names(options.history))
    except ValueError as error:
        parser.error(str(error))
    return options


def read_settings() -> dict[str, Any]:
    """Return the section `simulate` of params.yaml; raises ValueError where it is wrong."""
    if not PARAMS.exists():
        raise ValueError(
            f"{PARAMS} not found: give --rows, --seed and --separation, or go to its folder"
        )
    return params.load(PARAMS).simulate.model_dump()


def check_integer(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as an integer in [low, high]; raises ValueError on anything else."""
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ValueError(f"{name} must be an integer in [{low}, {high:_}]; got {value!r}")
    return number


def check_share(name: str, value: object, low: float) -> float:
    """Return `value` as a number in [low, 1]; raises ValueError on anything else."""
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not low <= number <= 1:
        raise ValueError(f"{name} must be a number in [{low}, 1]; got {value!r}")
    return number


def table_names(history: bool) -> tuple[str, ...]:
    """Return the names of a book's tables, with or without the lines of a history."""
    return ("loans", "customers", *credit_lines.TABLES) if history else tuple(TABLES)


def refuse_to_overwrite(out: Path, force: bool, tables: tuple[str, ...] = tuple(TABLES)) -> None:
    """Raise ValueError where writing to `out` would destroy something that was not simulated."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder; {out} is a file")
    present = {path.name for path in out.iterdir()} if out.exists() else set()
    foreign = sorted(present - {f"{name}.csv" for name in tables})
    if foreign:
        raise ValueError(f"--out must hold nothing but a loan book; {out} holds {foreign[0]}")
    if present and not force:
        raise ValueError(f"{out} holds a loan book: choose another --out, or --force to replace it")


def book(columns: population.Columns, seed: int) -> dict[str, pd.DataFrame]:
    """Return the three tables by name, as they are written: with errors at the rates above."""
    frame = pd.DataFrame({name: as_text(values) for name, values in columns.items()})
    random = RandomColumns(len(frame), [seed, 1])
    add_errors(frame, random)
    tables = {name: frame[fields.split()] for name, fields in TABLES.items()}
    times = 1 + random.chance(DUPLICATE)
    tables["loans"] = tables["loans"].loc[np.repeat(np.arange(len(frame)), times)]
    return tables


def book_with_history(columns: population.Columns, seed: int) -> dict[str, pd.DataFrame]:
    """Return the tables of `book` with the lines behind the bureau's sums in place of the sums."""
    tables = book(columns, seed)
    tables.pop("bureau")
    lines = credit_lines.draw(columns, seed)
    return tables | {
        name: pd.DataFrame({key: as_text(values) for key, values in table.items()})
        for name, table in lines.items()
    }


def as_text(values: NDArray[Any]) -> NDArray[Any]:
    """Return dates (n,) as texts YYYY-MM-DD, and other values as they are."""
    return np.datetime_as_string(values, unit="D") if values.dtype.kind == "M" else values


def add_errors(frame: pd.DataFrame, random: RandomColumns) -> None:
    """Write typos, absurd fees, impossible ages and missing values into `frame`."""
    typo = random.chance(TYPO) & (frame["loan_purpose"] == "Personal")
    frame.loc[typo, "loan_purpose"] = "Personaal"
    absurd = random.chance(ABSURD_FEE)
    frame.loc[absurd, "processing_fee"] = 1.25 * frame.loc[absurd, "loan_amount"]
    impossible = random.chance(IMPOSSIBLE_AGE)
    ages = IMPOSSIBLE_AGES[random.integers(0, len(IMPOSSIBLE_AGES) - 1)]
    frame.loc[impossible, "age"] = ages[impossible]
    for name, share in MISSING.items():
        numeric = frame[name].dtype.kind == "i"
        values = frame[name].astype("Int64") if numeric else frame[name]
        frame[name] = values.mask(random.chance(share))


def write_book(tables: dict[str, pd.DataFrame], out: Path) -> None:
    """Write all tables into a folder beside `out`, then move it to `out`."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".simulate.") as temporary:
        draft = Path(temporary, "raw")
        draft.mkdir()
        total = sum(map(len, tables.values()))
        with tqdm(total=total, unit=" rows", delay=2, desc="writing") as progress:
            for name, table in tables.items():
                write_table(table, draft / f"{name}.csv", progress)
        if out.exists():
            out.rename(Path(temporary, "replaced"))
        draft.rename(out)


def write_table(table: pd.DataFrame, path: Path, progress: tqdm[NoReturn]) -> None:
    """Write one table as CSV, block by block."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for start in range(0, len(table), BLOCK):
            block = table.iloc[start : start + BLOCK]
            block.to_csv(file, index=False, header=start == 0, lineterminator="\n")
            progress.update(len(block))


def write_truth(columns: population.Columns, path: Path) -> None:
    """Write `loan_id,true_pd`, one line per loan, with six decimals."""
    truth = pd.DataFrame({name: columns[name] for name in ("loan_id", "true_pd")})
    with files.whole_file(path) as draft:
        truth.to_csv(draft, index=False, float_format="%.6f", lineterminator="\n")


if __name__ == "__main__":
    project.enter()
    try:
        main()
    except OSError as error:
        sys.exit(f"The book cannot be written: {error}")

"""Compare a contract with its raw files, and say in words what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stages import params
from stages.contract import reading as contracts
from stages.contract.draft import leakage, outcome
from stages.contract.draft.columns import column_names
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import did_you_mean, text
from stages.contract.raw import history, quality, tables
from stages.contract.raw.files import delimiter_hint, header
from stages.contract.raw.table_columns import required_columns
from stages.contract.schema import Contract, ContractError
from stages.contract.tables import History
from stages.features import assignment
from stages.params import Params
from stages.policy.decisions import Policy
from stages.preparation.histories import aggregate_lines

FEWEST = 50  # good or bad loans of the test part


def run(dataset: str | None) -> int:
    """Print what is wrong, and return 1 where `preprocess` would stop, else 0."""
    config = params.load()
    name = dataset or config.dataset
    contract = contracts.load(name)
    folder = Path("data") / name / "raw"
    remarks = list(find_unmarked(contract))
    faults: list[str] = []
    if folder.exists():
        faults = list(find_missing_columns(contract, folder))
        if not faults:
            report, most = quality.Report(), config.preprocess.max_invalid
            try:
                rows = tables.read_valid(contract, folder, report, most)
                for part in contract.history:
                    rows, lines = add_aggregates(contract, part, folder, rows, most)
                    remarks += [f"{part}: {dropped}" for dropped in list_dropped(lines)]
            except (ContractError, quality.QualityError) as error:
                faults.append(str(error))
            else:
                faults += find_reasons_to_stop(contract, rows, report, config)
                remarks += [*find_leaks(contract, rows), *find_unripe(contract, rows)]
                remarks += find_few_outcomes(rows, config.preprocess.test_share)
                remarks += find_strict_policy(config.policy, float(rows["_bad"].mean()))
            if not contract.inputs(config.mode):
                faults.append(f"no field is a feature in the mode {config.mode!r}")
            remarks += [*list_dropped(report), *list_repairs(report)]
    else:
        remarks.append(f"{folder} is not there: only the contract itself was checked")
    print("\n".join([*(f"wrong: {f}" for f in faults), *(f"look at: {r}" for r in remarks)]))
    print(f"{name}: {'preprocess would stop' if faults else 'the contract holds'}")
    return 1 if faults else 0


def find_missing_columns(contract: Contract, folder: Path) -> Iterator[str]:
    """Yield the files and columns that the contract names but that do not exist."""
    for name, table in {**contract.tables, **contract.history}.items():
        path = folder / table.path
        if not path.exists():
            there = sorted(p.name for p in folder.glob("*"))
            near = did_you_mean(table.path, there)
            yield f"{path}: the file is missing; its folder holds {there}{near}"
            continue
        columns = header(path, table)
        needed = table.columns if isinstance(table, History) else required_columns(contract, name)
        for column in needed:
            if column not in columns:
                hint = did_you_mean(column, columns) or delimiter_hint(columns)
                yield f"{path}: column {column!r} is missing; the file has {columns}{hint}"


def add_aggregates(
    contract: Contract, name: str, folder: Path, rows: pd.DataFrame, most: float
) -> tuple[pd.DataFrame, quality.Report]:
    """Return the rows with the aggregates of a history, and what was dropped of its lines.

    Raises QualityError where more than `most` of the lines were dropped.
    """
    report = quality.Report()
    counted, valid = history.lines_of_loans(contract, name, folder, rows, report)
    report.check(valid, most)
    return rows.assign(**aggregate_lines(contract, name, rows, counted)), report


def find_reasons_to_stop(
    contract: Contract, rows: pd.DataFrame, report: quality.Report, config: Params
) -> Iterator[str]:
    """Yield the reasons for which `preprocess` would stop on the rows."""
    section = config.preprocess
    try:
        report.check(len(rows), section.max_invalid)
        rows = assignment.with_copies(contract, rows)
        shares = section.validation_share, section.test_share
        assignment.assign(contract, rows, shares, section.seed)
    except ContractError as error:
        yield str(error)
    try:
        config.policy.with_rules(contract, config.mode)
    except ContractError as error:
        yield str(error)


def list_dropped(report: quality.Report) -> Iterator[str]:
    """Yield what each rule drops: the number and the share of rows, and the first of them."""
    for rule, broken in report.summary(0)["invalid"].items():
        example = broken["example"]
        share = f"drops {broken['rows']:,} of {report.rows_in:,} rows"
        share += f" ({broken['rows'] / report.rows_in:.2%})"
        yield f"{rule}: {share}, first row {example['row']}: {example['value']!r}"


def list_repairs(report: quality.Report) -> Iterator[str]:
    """Yield the values that are repaired and the columns that are not read."""
    for name, repairs in report.repaired.items():
        for repair, rows in repairs.items():
            if rows:
                yield f"{name}: {repair}: {rows:,} rows"
    if report.ignored:
        yield f"columns that the contract does not name: {', '.join(report.ignored)}"


def find_unmarked(contract: Contract) -> Iterator[str]:
    """Yield the features whose names suggest that they are protected or known too late."""
    for f in contract.feature_fields("pricing"):
        if column_names.is_protected(f.name):
            yield f"{f.name}: by its name a protected attribute; mark it `protected: true`"
        when = column_names.known_at(f.name)
        if when != "application" and f.known_at == "application":
            yield f"{f.name}: by its name known too late; mark it `known_at: {when}`"


def find_leaks(contract: Contract, rows: pd.DataFrame) -> Iterator[str]:
    """Yield the features that are constant, or that give the outcome away."""
    some = rows.iloc[leakage.sample_rows(len(rows))]
    bad = some["_bad"].to_numpy(np.float64)
    for f in contract.feature_fields("pricing"):
        if rows[f.name].nunique(dropna=False) == 1:
            yield f"{f.name}: constant: {text(rows[f.name].iloc[0])!r} throughout"
            continue
        leak = leakage.find_leak(as_numbers(f, some[f.name]), bad, f.is_category)
        if leak and f.known_at == "application":
            yield f"{f.name}: suspected leak ({leak.why}); mark `known_at: outcome` if it is one"


def find_unripe(contract: Contract, rows: pd.DataFrame) -> Iterator[str]:
    """Yield warnings about loans that had too little time to go bad, or more than others had."""
    if contract.outcome is not None and contract.outcome.event is None:
        yield (
            f"outcome: without `event`, a default counts as bad however late it came, so that old "
            f"loans had more time to go bad than {contract.outcome.months} months; name the column "
            "with the day of the default if the book has one"
        )
    if contract.date is None:
        return
    days = rows["_date"].to_numpy().astype("datetime64[D]")
    counted = np.where(np.isnat(days), np.nan, days.astype(np.float64))
    fall = outcome.describe_fall(counted, rows["_bad"].to_numpy(np.float64))
    if fall and not contract.outcome:
        yield (
            f"{contract.date}: {fall}: these loans may have had no time to go bad; if so, say "
            "`outcome: {months: 12, observed_until: ...}`, and they are left out"
        )
    elif fall and contract.outcome:
        yield (
            f"{contract.date}: {fall}, though `outcome` leaves out what had no time to go bad: "
            f"were loans observed until {contract.outcome.observed_until}, and do most that go "
            f"bad do so within {contract.outcome.months} months?"
        )


def find_few_outcomes(rows: pd.DataFrame, test_share: float) -> Iterator[str]:
    """Yield warnings about outcomes that are too few to judge a model by."""
    bad = int(rows["_bad"].sum())
    for kind, count in (("bad", bad), ("good", len(rows) - bad)):
        if count * test_share < FEWEST:
            yield (
                f"{count:,} {kind} loans, about {count * test_share:.0f} of them in the test part: "
                f"below {FEWEST} intervals are too narrow, and the gate judges no change "
                "(models/gate.yaml: min_bads)"
            )


def find_strict_policy(policy: Policy, bad_rate: float) -> Iterator[str]:
    """Yield a warning where the policy would decline an applicant of the book's own average."""
    if bad_rate >= policy.pd_cut_off:
        yield (
            f"params.yaml: policy: approves below a PD of {policy.pd_cut_off:.1%}, but "
            f"{bad_rate:.1%} of these loans went bad, so it would decline most people: set margin "
            "and loss_given_default to what this book earns and loses, or cut_off to a PD"
        )


def as_numbers(field: Field, values: pd.Series) -> leakage.Floats:
    """Return a cleaned column as numbers (n,), NaN where a value is missing."""
    numbers = values.map(field.codes, na_action="ignore") if field.codes else values
    return np.asarray(numbers.to_numpy(np.float64), dtype=np.float64)

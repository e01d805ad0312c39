"""Read the lines of a history, and give each loan those before the day of its decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from stages.contract.raw.broken_rows import BrokenRows
from stages.contract.raw.columns import key_text
from stages.contract.raw.files import delimiter_hint, header, read_file
from stages.contract.raw.quality import Report
from stages.contract.raw.values import to_type
from stages.contract.schema import Contract, ContractError
from stages.contract.tables import History


def lines_of_loans(
    contract: Contract, name: str, folder: Path, rows: pd.DataFrame, report: Report
) -> tuple[pd.DataFrame, int]:
    """Return the lines of a history that count for the rows (n,), and how many lines are valid.

    The lines have `_row`, the place of their row, ascending.

    `rows` are valid rows with `_date` and `_key_HISTORY`. A line counts for every loan of its key
    that was decided after the line's date. Lines that break a rule are counted in `report` and left
    out.
    """
    history = contract.history[name]
    path, columns = plan_reading(history, name, folder, report)
    lines, keys = type_lines(history, read_file(path, columns, history), report)
    return assign_lines(contract, name, rows, lines, keys), len(lines)


def assign_lines(
    contract: Contract, name: str, rows: pd.DataFrame, lines: pd.DataFrame, keys: pd.Series
) -> pd.DataFrame:
    """Return those of the lines, which have keys, that count for the rows (n,), with `_row`."""
    date = contract.history[name].date
    owners = pd.DataFrame({"key": rows[f"_key_{name}"].to_numpy(), "_row": np.arange(len(rows))})
    owners["_decided"] = rows["_date"].dt.floor("D").to_numpy()
    joined = owners.dropna().merge(lines.assign(key=keys.to_numpy()), on="key")
    joined = joined[joined[date] < joined["_decided"]]
    counted = joined.drop(columns=["key", "_decided"])
    return counted.sort_values(["_row", date], kind="stable", ignore_index=True)


def plan_reading(
    history: History, name: str, folder: Path, report: Report
) -> tuple[Path, list[str]]:
    """Return the path of a history's file, and the columns to read of it."""
    path = folder / history.path
    columns = header(path, history)
    wanted = history.columns
    missing = sorted({*wanted} - {*columns})
    if missing:
        raise ContractError(
            f"{path}: column {missing[0]!r} is missing; the file has {sorted(columns)}"
            f"{delimiter_hint(columns)}"
        )
    report.ignored += [f"{name}.{c}" for c in columns if c not in wanted]
    return path, wanted


def type_lines(
    history: History, file: pd.DataFrame, report: Report
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the valid lines of a file in the types of its fields, and the key of each."""
    key = key_text(file, history.keys)
    raw = file[[]].assign(**{f.name: file[f.source] for f in history.fields.values()})
    report.rows_in = len(raw)
    broken = BrokenRows(raw, report)
    typed = {f.name: to_type(f, raw[f.name], broken) for f in history.fields.values()}
    day = typed[history.date]
    broken.add(day.isna(), "no date", history.date)
    broken.rows |= key.isna().to_numpy()
    typed[history.date] = day.dt.floor("D")
    return pd.DataFrame(typed)[~broken.rows], key[~broken.rows]

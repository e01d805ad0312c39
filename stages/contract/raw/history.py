"""Read the lines of a history, and give each loan those before the day of its decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from stages.contract.raw.broken_rows import Broken
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
    lines, keys = read_lines(history, name, folder, report)
    owners = pd.DataFrame({"key": rows[f"_key_{name}"].to_numpy(), "_row": np.arange(len(rows))})
    owners["_decided"] = rows["_date"].dt.floor("D").to_numpy()
    joined = owners.dropna().merge(lines.assign(key=keys.to_numpy()), on="key")
    joined = joined[joined[history.date] < joined["_decided"]]
    counted = joined.drop(columns=["key", "_decided"])
    ordered = counted.sort_values(["_row", history.date], kind="stable", ignore_index=True)
    return ordered, len(lines)


def read_lines(
    history: History, name: str, folder: Path, report: Report
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the valid lines of a file in the types of its fields, and the key of each."""
    path = folder / history.path
    columns = header(path, history)
    wanted = [*history.keys, *(f.source for f in history.fields.values())]
    missing = sorted({*wanted} - {*columns})
    if missing:
        raise ContractError(
            f"{path}: column {missing[0]!r} is missing; the file has {sorted(columns)}"
            f"{delimiter_hint(columns)}"
        )
    report.ignored += [f"{name}.{c}" for c in columns if c not in wanted]
    file = read_file(path, wanted, history)
    key = key_text(file, history.keys)
    raw = file[[]].assign(**{f.name: file[f.source] for f in history.fields.values()})
    report.rows_in = len(raw)
    broken = Broken(raw, report)
    typed = {f.name: to_type(f, raw[f.name], broken) for f in history.fields.values()}
    day = typed[history.date]
    broken.add(day.isna(), "no date", history.date)
    broken.rows |= key.isna().to_numpy()
    typed[history.date] = day.dt.floor("D")
    return pd.DataFrame(typed)[~broken.rows], key[~broken.rows]

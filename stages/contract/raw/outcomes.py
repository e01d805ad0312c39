"""Decide the outcome of loans: which are known, and which went bad.

Where the contract has an `outcome` window, a loan's window ends on the same day of the month, that
many months after its date (the last day of a shorter month); its outcome is known from that day on.
"""

from __future__ import annotations

import pandas as pd

from stages.contract.fields.written_values import text
from stages.contract.raw.broken_rows import BrokenRows
from stages.contract.raw.columns import as_text, dates_of, months_later, whole_numbers
from stages.contract.raw.quality import Report
from stages.contract.schema import Contract
from stages.contract.target import OutcomeWindow


def drop_indeterminate(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the rows whose outcome is decided; to have none is a fault."""
    name, words = contract.target.field, contract.target.indeterminate_words
    undecided = whole_numbers(as_text(raw[name])).isin(words)
    if undecided.all():
        all_undecided = f"{contract.base_table}.{name}: all {{rows}} rows are indeterminate"
        report.blame("indeterminate", f"{all_undecided} ({words})", len(raw))
    report.indeterminate = int(undecided.sum())
    return report.leave_out(raw, undecided)


def drop_unripe(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the rows whose window ended while they were observed; to have none is a fault.

    Rows without a readable date are kept, for `clean` to refuse.
    """
    window = contract.outcome
    if window is None or contract.date is None:
        return raw
    end = months_later(dates_of(contract, contract.date, raw), window.months)
    last_day, observed = window.last_day, str(window.observed_until)
    until = pd.Timestamp(last_day) if last_day else dates_of(contract, observed, raw)
    unripe = end.notna() & ~(end <= until)
    if unripe.all():
        none_ripe = (
            f"{contract.base_table}.{contract.date}: no loan has had {window.months} months by "
            f"{window.observed_until}; the first one's window ends on {{first}}"
        )
        report.blame("unripe", none_ripe, len(raw), str(end.min().date()) if len(raw) else "")
    report.unripe = int(unripe.sum())
    return report.leave_out(raw, unripe)


def outcome_of(contract: Contract, raw: pd.DataFrame, broken: BrokenRows) -> pd.Series:
    """Return the outcome as 0/1, of which both must occur."""
    target = contract.target
    values = whole_numbers(as_text(raw[target.field])).map(target.codes)
    broken.add(values.isna(), "unknown outcome", target.field, f"allowed: {target.allowed_texts}")
    if contract.outcome and contract.outcome.event and contract.date:
        values = values.where(
            ~_late_defaults(contract, contract.outcome, raw, values == 1, broken), 0
        )
    if values.nunique() < 2:
        one_outcome = (
            f"{contract.base_table}.{target.field}: needs both {target.bad!r} (bad) and "
            f"{target.good!r} (good); got {{first}}"
        )
        there = sorted(raw[target.field].map(text).unique())[:10]
        name = f"outcomes {values.dropna().unique().tolist()}"
        broken.report.blame(name, one_outcome, max(1, len(raw)), str(there))
    return values


def _late_defaults(
    contract: Contract, window: OutcomeWindow, raw: pd.DataFrame, bad: pd.Series, broken: BrokenRows
) -> pd.Series:
    """Return the loans that went bad after their window; a default without a date breaks a rule."""
    name, start = str(window.event), dates_of(contract, str(contract.date), raw)
    event = dates_of(contract, name, raw)
    broken.add(bad & event.isna(), "bad without the date of the default", name)
    broken.add(bad & (event < start), "default before the loan's date", name)
    late: pd.Series = bad & (event.dt.floor("D") > months_later(start, window.months))
    broken.report.late_defaults = int(late.sum())
    return late

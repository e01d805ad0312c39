"""The rows that break a rule of the contract."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.raw.quality import Report

Marks = pd.Series | NDArray[np.bool_]
"""Whether each row (n,) is meant."""


class BrokenRows:
    """The rows (n,) that break a rule, as far as rules were checked."""

    def __init__(self, raw: pd.DataFrame, report: Report) -> None:
        self.raw, self.report = raw, report
        self.rows = np.zeros(len(raw), dtype=bool)

    def add(self, wrong: Marks, rule: str, column: str, words: str = "") -> None:
        """Mark rows (n,) as breaking a rule of a column; `words` explain the rule."""
        wrong = np.asarray(wrong, dtype=bool)
        if wrong.any():
            first = int(np.argmax(wrong))
            name = f"{column}: {rule}" + (f" ({words})" if words else "")
            where = int(self.raw.index[first])
            self.report.note(name, int(wrong.sum()), where, self.raw[column].iloc[first])
            self.rows |= wrong

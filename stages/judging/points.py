"""The points of a scorecard: a table that people read, and that adds up to the served score."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.features.information_value import SMOOTHING
from stages.features.matrix import Floats, MissingReason
from stages.judging.reference import names_of_codes
from stages.models.artifact import Model
from stages.models.calibration import Sigmoid
from stages.models.scorers import Additive, Selected, Table
from stages.policy.decisions import Policy

COLUMNS = (
    "feature",
    "bin",
    "points",
    "points_exact",
    "woe",
    "iv",
    "rows",
    "share",
    "bad_rate",
)
MISSING = "missing"
EXACT = 6  # digits of `points_exact`

Outcomes = NDArray[np.int64]
Row = dict[str, Any]


def points_table(model: Model, policy: Policy, x: Floats, bad: Outcomes) -> list[Row]:
    """Return the card of a scorecard, one row per bin; none for a model of another kind.

    `x` (n, F) and `bad` (n,) are the training rows, of which `rows`, `share`, `bad_rate`, `woe` and
    `iv` tell. An application gets the points of one bin of each feature: its `points_exact` add up
    to the score before rounding, which the service rounds to whole points. `points` are rounded one
    by one, so their sum may differ by up to half a point for each feature. With an isotonic
    calibration no card can be exact: the points are those of the score before calibration.
    """
    outer = model.scorer
    scorer = outer.scorer if isinstance(outer, Selected) else outer
    columns = outer.columns if isinstance(outer, Selected) else np.arange(x.shape[1])
    if not isinstance(scorer, Additive) or not scorer.tables or len(scorer.linear.columns):
        return []
    calibrator = model.calibrator if isinstance(model.calibrator, Sigmoid) else Sigmoid()
    per_log_odds = policy.pdo / math.log(2) * calibrator.slope
    start = calibrator.slope * scorer.intercept + calibrator.intercept + math.log(policy.base_odds)
    each = (policy.base_score - policy.pdo / math.log(2) * start) / len(scorer.tables)
    rows: list[Row] = []
    for table in scorer.tables:
        part = model.features.parts[columns[table.column]]
        values = x[:, columns[table.column]]
        for label, term, inside in bins_of(table, part, values):
            exact = round(each - per_log_odds * term, EXACT)
            points = {"feature": part.name, "bin": label, "points": round(exact)}
            rows.append(points | {"points_exact": exact} | facts_of(inside, bad))
    return rows


def bins_of(
    table: Table, part: Field | Derived | MissingReason, x: Floats
) -> Iterator[tuple[str, float, NDArray[np.bool_]]]:
    """Yield the label of each bin, its term in log-odds, and which rows x (n,) lie in it."""
    missing = np.isnan(x)
    place = np.where(missing, -1, np.searchsorted(table.edges, x, side="right"))
    levels = levels_of(part)
    if isinstance(part, Derived) or not levels:
        for number, term in enumerate(table.values.tolist()):
            yield label_of(table.edges, number), term, place == number
    else:
        codes = np.arange(len(levels))
        of_code = table.values[np.searchsorted(table.edges, codes, side="right")]
        row_term = table.values[np.maximum(place, 0)]
        for term in dict.fromkeys(of_code.tolist()):
            names = [levels[code] for code in codes if of_code[code] == term]
            written = map(quote_level, names) if isinstance(part, Field) else names
            yield ", ".join(written), term, (row_term == term) & ~missing
    may_miss = isinstance(part, Field) and not part.constraints.required
    if missing.any() or table.missing or may_miss:
        yield MISSING, table.missing, missing


def levels_of(part: Field | Derived | MissingReason) -> list[str]:
    """Return the names of a category's codes; none for a quantity."""
    if isinstance(part, MissingReason):
        return part.levels
    return names_of_codes(part) if isinstance(part, Field) and part.codes else []


def quote_level(name: str) -> str:
    """Return a level's name as the card writes it: in quotes where it reads as something else."""
    return f"'{name}'" if ", " in name or name == MISSING else name


def label_of(edges: Floats, number: int) -> str:
    """Return the label of a bin of a quantity; a bin holds its lower edge."""
    if not len(edges):
        return "any value"
    if number == 0:
        return f"below {exact(edges[0])}"
    if number == len(edges):
        return f"{exact(edges[-1])} and above"
    return f"{exact(edges[number - 1])} to below {exact(edges[number])}"


def exact(number: float) -> str:
    """Return a number in the fewest digits that no other number has."""
    return np.format_float_positional(number, trim="-")


def facts_of(inside: NDArray[np.bool_], bad: Outcomes) -> Row:
    """Return the size, bad rate, WoE and IV of a bin of the training rows (n,)."""
    rows, bads, all_bads = int(inside.sum()), int(bad[inside].sum()), int(bad.sum())
    goods, all_goods = rows - bads, len(bad) - all_bads
    woe = math.log((bads + SMOOTHING) / (goods + SMOOTHING) * all_goods / all_bads) if rows else 0.0
    return {
        "woe": round(woe, 4),
        "iv": round((bads / all_bads - goods / all_goods) * woe, 4),
        "rows": rows,
        "share": round(rows / len(bad), 4),
        "bad_rate": round(bads / rows, 4) if rows else "",
    }


def as_csv(rows: list[Row]) -> str:
    """Return the card as CSV text; without a scorecard, its header alone."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

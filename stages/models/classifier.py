"""A fitted candidate for notebooks and scripts, which scores and explains raw applications.

    winner = stages.models.load("models/winner.joblib")
    winner.predict_proba(frame)[:, 1]

scikit-learn's metrics and displays take it for a fitted classifier. This module imports
scikit-learn only when they ask for the tags of an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from stages.contract.fields.field import Field, missing_column
from stages.contract.fields.written_values import did_you_mean, text
from stages.contract.schema import ContractError
from stages.features.encoding import Columns, Values, meanings_of, without_codes
from stages.features.matrix import Features, Floats
from stages.models import artifact, model_file, tree_compiler
from stages.models.artifact import Model

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from sklearn.utils import Tags

FEW = 64  # up to this many rows, compiled trees explain faster than their library


@dataclass(frozen=True)
class ScoreExplanation:
    """The contributions to the scores of n rows, in log-odds of default before calibration.

    Attributes
    ----------
    contributions : the exact Shapley values (n,) of the rows for each raw field.
    base_value : the expected margin; the contributions of a row and it add up to the row's margin.
    margin : the log-odds (n,) of the rows.
    """

    contributions: dict[str, Floats]
    base_value: float
    margin: Floats


class Classifier:
    """A fitted candidate with the methods of a scikit-learn classifier.

    Every method takes rows as a DataFrame, or as a mapping from field names to columns of n values.
    None and NaN are missing values. A column that is absent is an error that names it; with
    `absent_as_missing=True` it counts as missing throughout where the contract does not require it.

    Attributes
    ----------
    model : the artifact, with its contract, its features and what it was trained on.
    classes_ : 0 for a good loan, 1 for a bad one.
    feature_names_in_ : the raw fields that the rows must have.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.classes_ = np.array([0, 1])
        self.feature_names_in_ = np.array([f.name for f in model.features.inputs], dtype=object)
        self._trees = tree_compiler.compile_if_possible(model.scorer) or model.scorer

    def __repr__(self) -> str:
        model = self.model
        return f"Classifier({model.candidate!r}, dataset={model.dataset!r}, mode={model.mode!r})"

    def predict_proba(
        self, rows: DataFrame | Columns, *, absent_as_missing: bool = False
    ) -> Floats:
        """Return the probabilities (n, 2) that each loan is good and that it is bad."""
        pd = self.model.predict_matrix(self._matrix(rows, absent_as_missing))
        return np.column_stack((1 - pd, pd))

    def predict(
        self, rows: DataFrame | Columns, *, threshold: float = 0.5, absent_as_missing: bool = False
    ) -> NDArray[np.int64]:
        """Return the predicted outcomes (n,): 1 where the PD reaches the threshold, else 0."""
        pd = self.model.predict_matrix(self._matrix(rows, absent_as_missing))
        return (pd >= threshold).astype(np.int64)

    def explain(
        self, rows: DataFrame | Columns, *, absent_as_missing: bool = False
    ) -> ScoreExplanation:
        """Return what each raw field contributes to the log-odds of each row."""
        x = self._matrix(rows, absent_as_missing)
        scorer = self._trees if len(x) <= FEW else self.model.scorer
        values = scorer.contributions(x)
        shares = sum_by_field(values[:, :-1], self.model.features)
        base = float(values[0, -1]) if len(x) else math.nan
        return ScoreExplanation(shares, base, self.model.scorer.margin(x))

    def fit(self, rows: object, bad: object) -> NoReturn:
        """Raise NotImplementedError; scikit-learn asks that every estimator has this method."""
        raise NotImplementedError("fit is not supported: run `dvc repro` to fit a candidate")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import ClassifierTags, Tags, TargetTags  # noqa: PLC0415  (half a second)

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            requires_fit=False,
        )

    def _matrix(self, rows: DataFrame | Columns, absent_as_missing: bool) -> Floats:
        check_columns(rows)
        fields = self.model.features.inputs
        absent = [
            field
            for field in fields
            if field.name not in rows and (field.constraints.required or not absent_as_missing)
        ]
        if absent:
            others = [str(name) for name in rows if name not in self.feature_names_in_]
            raise ContractError(describe_absent(absent, others))
        columns = {f.name: column(f, rows[f.name]) for f in fields if f.name in rows}
        meanings = [missing_column(f.name) for f in fields if f.missing_meanings]
        columns |= {name: np.asarray(rows[name]) for name in meanings if name in rows}
        if len({len(values) for values in columns.values()}) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise ContractError(f"all columns must have the same number of rows; got {sizes}")
        for field in fields:
            if field.name in columns:
                check_limits(field, columns)
        return self.model.features(columns)


def check_columns(rows: object) -> None:
    """Raise TypeError unless the rows are a DataFrame, or a mapping from names to columns."""
    form = "the rows must be a DataFrame or a mapping from field names to columns"
    if isinstance(rows, Mapping):
        for name, values in rows.items():
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise TypeError(f"{form}; got {values!r} for {name}: for one row give [{values!r}]")
    elif not hasattr(rows, "columns"):
        raise TypeError(f"{form}; got {type(rows).__name__}; for one row use frame.iloc[[0]]")


def describe_absent(fields: list[Field], others: list[str]) -> str:
    """Return the message about columns that are absent, with the nearest of the unknown others."""
    near = {field.name: did_you_mean(field.name, others).removeprefix("; ") for field in fields}
    words = ", ".join(f"{name} ({hint})" if hint else name for name, hint in near.items())
    optional = [field.name for field in fields if not field.constraints.required]
    hint = f"; absent_as_missing=True allows it for {', '.join(optional)}" if optional else ""
    return f"the rows lack {words}: an absent column does not count as missing values{hint}"


def check_limits(field: Field, columns: Columns) -> None:
    """Raise ContractError for the first value of a column that the field's constraints forbid.

    Values of another type, and unknown categories, are left to `Features`, which refuses them.
    """
    values, limits = columns[field.name], field.constraints
    missing = np.array([value is None or value != value for value in values])  # noqa: PLR0124
    if limits.required and missing.any():
        stated = np.asarray(meanings_of(field, columns, len(values))) > 0
        if (missing & ~stated).any():
            row = int((missing & ~stated).argmax())
            raise ContractError(f"{field.name} must have a value; got a missing one (row {row})")
    if field.codes or field.type == "date":
        return
    try:
        numbers = np.asarray(without_codes(values, field.missing_codes), dtype=np.float64)
    except (TypeError, ValueError):
        return
    sides = (
        ("at least", limits.minimum, np.less),
        ("at most", limits.maximum, np.greater),
    )
    for words, limit, breaks in sides:
        if limit is not None and (wrong := breaks(numbers, limit)).any():
            row = int(wrong.argmax())
            got = text(numbers[row].item())
            raise ContractError(
                f"{field.name} must be {words} {text(limit)}; got {got} (row {row})"
            )


def column(field: Field, values: Series | Values) -> Values:
    """Return a column as `Features` takes it: None for a missing category, NaN for a number."""
    if hasattr(values, "notna"):  # a Series of pandas, which need not be installed
        series = cast("Series", values)
        values = series.astype(object).where(series.notna(), None).tolist()
    if field.codes or field.type == "date":
        return [None if value is None or value != value else value for value in values]  # noqa: PLR0124
    return values


def load(path: Path | str) -> Classifier:
    """Read a candidate's joblib file, or the model file that ships (`.json`).

    Raises TypeError, which names the file, where it holds something else.
    """
    path = Path(path)
    return Classifier(model_file.read(path) if path.suffix == ".json" else artifact.load(path))


def sum_by_field(contributions: Floats, features: Features) -> dict[str, Floats]:
    """Return the contribution (n,) of each raw field by name, from those of the features (n, F).

    Each field of a ratio has half of the ratio's contribution: neither field has an effect without
    the other, so their Shapley values are equal. The fields of another formula share its
    contribution equally too; that is a convention, and only their sum is a Shapley value.
    """
    sums = {field.name: np.zeros(len(contributions)) for field in features.inputs}
    for values, sources in zip(contributions.T, features.sources, strict=True):
        for name in sources:
            sums[name] += values / len(sources)
    return sums

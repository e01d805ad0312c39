"""The format of a model file: JSON, with nothing in it that could be executed.

A document is checked when it is read: every number is finite, every list has its length, every
index is within what it points into. A tree's nodes stand in pre-order, so that the left child of a
node is the next one, and no chain of children can run in a circle.
"""

from __future__ import annotations

from collections.abc import Sized
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator
from pydantic import Field as Key

from stages.contract.schema import Mode
from stages.features.matrix import LARGEST

Place = Annotated[int, Key(ge=0)]
Amount = Annotated[FiniteFloat, Key(ge=-LARGEST, le=LARGEST)]  # also finite in 32 bits
Positive = Annotated[FiniteFloat, Key(gt=0)]
Share = Annotated[FiniteFloat, Key(gt=0, lt=1)]


class DocumentPart(BaseModel):
    """A part of the document; a key that it does not define is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def demand(holds: bool, problem: str) -> None:
    """Raise ValueError with the problem unless a condition holds."""
    if not holds:
        raise ValueError(problem)


def demand_one_length(**lists: Sized) -> None:
    """Raise ValueError unless all lists are as long as the first."""
    sizes = {name: len(values) for name, values in lists.items()}
    lengths = ", ".join(f"{name} {size}" for name, size in sizes.items())
    demand(len(set(sizes.values())) == 1, f"these lists must have the same length; got {lengths}")


def demand_rising(name: str, values: list[float], *, strictly: bool = True) -> None:
    """Raise ValueError where a value is below the one before it, or no larger if `strictly`."""
    demand(
        all(a < b or (a == b and not strictly) for a, b in pairwise(values)), f"{name} must rise"
    )


class Numbers(DocumentPart):
    """Numbers in an additive model: `slope * (clip(x or fill, low, high) - centre)`.

    Where the value is missing, `flag` is added. Each list has an entry for each feature in
    `columns`.
    """

    columns: list[Place]
    slope: list[Amount]
    centre: list[Amount]
    low: list[Amount]
    high: list[Amount]
    fill: list[Amount]
    flag: list[Amount]

    @model_validator(mode="after")
    def _check(self) -> Self:
        demand_one_length(**dict(self))
        return self


class Bins(DocumentPart):
    """A feature cut into bins: bin i, from edge i - 1 up to below edge i, adds `values[i]`.

    A missing value adds `missing`. The codes of a category have edges 0.5, 1.5 and so on.
    """

    column: Place
    edges: list[Amount]
    values: list[Amount]
    missing: Amount

    @model_validator(mode="after")
    def _check(self) -> Self:
        demand(
            len(self.values) == len(self.edges) + 1,
            f"there must be one value more than edges; got {len(self.values)} values and "
            f"{len(self.edges)} edges",
        )
        demand_rising("edges", self.edges)
        return self


class Additive(DocumentPart):
    """A logistic regression or a scorecard: the intercept and a term for each feature.

    `expected` is the mean term of each feature on the training rows. `features` are the features
    that the model sees, as positions among all features of the contract.
    """

    form: Literal["additive"]
    features: list[Place]
    intercept: Amount
    numbers: Numbers
    bins: list[Bins]
    expected: list[Amount]

    @model_validator(mode="after")
    def _check(self) -> Self:
        columns = [*self.numbers.columns, *(bins.column for bins in self.bins)]
        demand_one_length(features=self.features, expected=self.expected)
        demand(len(set(columns)) == len(columns), "a feature must have one term")
        demand(all(c < len(self.features) for c in columns), "a term belongs to no feature")
        return self


class Tree(DocumentPart):
    """A tree, its nodes in pre-order; each list has an entry for each node.

    `feature` is the feature that a node asks for, as a position in `features`, and -1 at a leaf. A
    number is compared with `threshold`; a node that asks for a category lists codes in
    `categories`, by the node's place. The left child is the next node, `right` the place of the
    right one (0 at a leaf). A missing value goes left where `missing_left`. `cover` is the weight
    of the training rows that reach the node, `value` the log-odds that a leaf adds.
    """

    feature: Annotated[list[Annotated[int, Key(ge=-1)]], Key(min_length=1)]
    right: list[Place]
    threshold: list[FiniteFloat]
    missing_left: list[bool]
    cover: list[Positive]
    value: list[Amount]
    categories: dict[str, list[Place]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        lists = dict(self)
        listed = lists.pop("categories")
        demand_one_length(**lists)
        asks = [place for place, feature in enumerate(self.feature) if feature >= 0]
        children = sorted([place + 1 for place in asks] + [self.right[place] for place in asks])
        demand(
            children == [*range(1, len(self.feature))] and all(self.right[p] > p + 1 for p in asks),
            "every node but the first must be the child of one node before it",
        )
        demand({*listed} <= {str(place) for place in asks}, "categories are listed at no node")
        demand(all(listed.values()), "a node lists no category")
        return self


class Trees(DocumentPart):
    """Trees whose leaves are added to `start`, in their order and as their library does it.

    For `lightgbm` a value goes left if it is at most the threshold, in 64 bits, and a listed
    category goes left; for `xgboost` if it is below the threshold, in 32 bits, and a listed
    category goes right. `features` are the features that the trees see, as positions among all
    features of the contract.
    """

    form: Literal["trees"]
    features: list[Place]
    library: Literal["lightgbm", "xgboost"]
    start: Amount
    trees: list[Tree]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for number, tree in enumerate(self.trees):
            words = f"tree {number} splits on a feature that the model does not have"
            demand(max(tree.feature) < len(self.features), words)
        categories, numbers = set[int](), set[int]()
        for tree in self.trees:
            asked = {place: column for place, column in enumerate(tree.feature) if column >= 0}
            categories |= {asked[int(place)] for place in tree.categories}
            numbers |= {column for p, column in asked.items() if str(p) not in tree.categories}
        demand(not categories & numbers, "a feature is split on both as a number and as a category")
        return self


class Member(DocumentPart):
    """A model of a blend: the candidate's name, its weight, and its scorer."""

    candidate: str
    weight: Positive
    scorer: Annotated[Additive | Trees, Key(discriminator="form")]


class Sum(DocumentPart):
    """A blend: the sum of the margins of its members, in their order, each times its weight."""

    form: Literal["sum"]
    members: Annotated[list[Member], Key(min_length=1)]


class Sigmoid(DocumentPart):
    """`PD = 1 / (1 + exp(-(slope * margin + intercept)))`."""

    form: Literal["sigmoid"]
    slope: Amount
    intercept: Amount


class Isotonic(DocumentPart):
    """A non-decreasing piecewise linear map from `knots` (margins) to `pds`."""

    form: Literal["isotonic"]
    knots: Annotated[list[Amount], Key(min_length=1)]
    pds: list[Share]

    @model_validator(mode="after")
    def _check(self) -> Self:
        demand_one_length(knots=self.knots, pds=self.pds)
        demand_rising("knots", self.knots)
        demand_rising("pds", self.pds, strictly=False)
        return self


class ForestShare(DocumentPart):
    """The mean bad rate of a forest's leaves, from its one step away from the `prior`."""

    form: Literal["forest_share"]
    prior: Share


class Document(DocumentPart):
    """A model: raw application in, probability of default out.

    `contract` is the text of the contract.yaml that it was trained under: with `mode` it says which
    features are made of an application. `scorer` leads from features to log-odds, `calibrator` from
    log-odds to the PD. `trained_on` has facts about the training rows, `versions` the libraries
    that score, as they were in training. `format` is the version of this format.
    """

    format: Literal[1]
    candidate: str
    dataset: str
    mode: Mode
    contract: str
    scorer: Annotated[Additive | Trees | Sum, Key(discriminator="form")]
    calibrator: Annotated[Sigmoid | Isotonic | ForestShare, Key(discriminator="form")]
    trained_on: dict[str, int | float | str | bool | None]
    versions: dict[str, str]

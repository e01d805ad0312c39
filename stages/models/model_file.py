"""The model file that ships, `models/winner.json`: written from a fitted candidate, read to serve.

It holds numbers and texts alone (`document` describes them). Reading it runs no code of its own
and needs no library of a booster, and gives the same PDs to the last bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from stages import files
from stages.contract import reading as contracts
from stages.contract.schema import ContractError
from stages.features.matrix import Features, MissingReason
from stages.models import document, written_model
from stages.models.artifact import Model
from stages.models.calibration import Calibrator, ForestShare, Isotonic, Sigmoid
from stages.models.compiled.forest import LIBRARIES, Forest, Node
from stages.models.compiled.trees import Trees
from stages.models.document import Document
from stages.models.scorers import Additive, Linear, Scorer, Selected, Table, WeightedSum

PACKAGES = ("numpy", "scipy")  # what scores a model that was read from its file


class NotAModelFile(TypeError):
    """A file holds no model; the message says which file and what is wrong with it."""


def read(path: Path) -> Model:
    """Return the model of a file; raises NotAModelFile."""
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, name: str) -> Model:
    """Return the model in the content of the file `name`; raises NotAModelFile."""
    try:
        return model_of(Document.model_validate_json(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise not_a_model(name, f"{place}: {message}" if place else message) from error
    except (ContractError, ValueError) as error:
        raise not_a_model(name, str(error)) from error


def not_a_model(name: str, problem: str) -> NotAModelFile:
    """Return the error about a file, on one line."""
    return NotAModelFile(f"{name} is not a model file: {' '.join(problem.split())[:300]}")


def model_of(written: Document) -> Model:
    """Return the model that a document describes; ValueError where it is not of its contract."""
    contract = contracts.read(written.contract, f"{written.dataset} contract")
    features = Features(contract, written.mode)
    check_features(written.scorer, features)
    return Model(
        candidate=written.candidate,
        dataset=written.dataset,
        mode=written.mode,
        contract_text=written.contract,
        scorer=scorer_of(written.scorer, len(features.names)),
        calibrator=calibrator_of(written.calibrator),
        trained_on=dict(written.trained_on),
        versions=dict(written.versions),
    )


def check_features(
    scorer: document.Additive | document.Trees | document.Sum, features: Features
) -> None:
    """Raise ValueError where a scorer sees what the contract's features do not have."""
    if isinstance(scorer, document.Sum):
        for member in scorer.members:
            check_features(member.scorer, features)
        return
    chosen, count = scorer.features, len(features.names)
    if not chosen or max(chosen) >= count or len(set(chosen)) < len(chosen):
        raise ValueError(f"scorer.features must be different positions among {count} features")
    if isinstance(scorer, document.Additive):
        return
    for number, tree in enumerate(scorer.trees):
        for place, codes in tree.categories.items():
            feature = chosen[tree.feature[int(place)]]
            if max(codes) >= number_of_codes(features, feature):
                raise ValueError(f"tree {number} lists a category that its feature does not have")


def number_of_codes(features: Features, feature: int) -> int:
    """Return how many codes a feature has; 0 for a number."""
    part = features.parts[feature]
    codes = part.levels if isinstance(part, MissingReason) else getattr(part, "codes", {}).values()
    return len(set(codes))


def scorer_of(written: document.Additive | document.Trees | document.Sum, count: int) -> Scorer:
    """Return the scorer that a document describes, of so many features of the contract."""
    if isinstance(written, document.Sum):
        members = written.members
        return WeightedSum(
            [member.candidate for member in members],
            [scorer_of(member.scorer, count) for member in members],
            np.array([member.weight for member in members]),
        )
    inner: Scorer
    everything = [*range(count)]
    if isinstance(written, document.Trees):
        trees = [nodes_of(tree) for tree in written.trees]
        library = LIBRARIES[written.library]
        inner = Trees(Forest(trees, library, written.start, len(written.features)))
    else:
        parts = dict(written.numbers)
        columns = np.array(parts.pop("columns"), dtype=np.intp)
        linear = Linear(columns, **{name: np.array(v, dtype=float) for name, v in parts.items()})
        tables = [
            Table(bins.column, np.array(bins.edges), np.array(bins.values), bins.missing)
            for bins in written.bins
        ]
        inner = Additive(written.intercept, linear, tables, np.array(written.expected), PACKAGES)
    return inner if written.features == everything else Selected(inner, np.array(written.features))


def nodes_of(tree: document.Tree) -> list[Node]:
    """Return the nodes of a tree in pre-order."""
    columns = (tree.feature, tree.right, tree.threshold, tree.missing_left, tree.cover, tree.value)
    nodes = [
        Node(cover, value, feature, place + 1, right, threshold, None, missing_left)
        for place, (feature, right, threshold, missing_left, cover, value) in enumerate(
            zip(*columns, strict=True)
        )
    ]
    for place, codes in tree.categories.items():
        nodes[int(place)].categories = frozenset(codes)
    return nodes


def calibrator_of(
    written: document.Sigmoid | document.Isotonic | document.ForestShare,
) -> Calibrator:
    """Return the calibrator that a document describes."""
    if isinstance(written, document.Sigmoid):
        return Sigmoid(written.slope, written.intercept)
    if isinstance(written, document.Isotonic):
        return Isotonic(np.array(written.knots), np.array(written.pds))
    return ForestShare(written.prior)


def write(model: Model, path: Path) -> None:
    """Write the file of a model; raises TypeError where it has parts of another kind."""
    files.write_text(path, text(model))


def text(model: Model) -> str:
    """Return the content of the file of a model."""
    written = Document(
        format=1,
        candidate=model.candidate,
        dataset=model.dataset,
        mode=model.mode,
        contract=model.contract_text,
        scorer=written_model.write_scorer(model, model.scorer),
        calibrator=written_model.write_calibrator(model.calibrator),
        trained_on=model.trained_on,
        versions={name: model.versions[name] for name in PACKAGES},
    )
    return written.model_dump_json() + "\n"

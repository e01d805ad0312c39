"""Write the parts of a fitted model as the document of its file."""

from __future__ import annotations

import sys
from dataclasses import asdict

import numpy as np

from stages.models import document
from stages.models.artifact import Model
from stages.models.calibration import Calibrator, ForestShare, Isotonic, Sigmoid
from stages.models.compiled.forest import Node
from stages.models.scorers import Additive, Scorer, Selected, WeightedSum


def write_scorer(model: Model, scorer: Scorer) -> document.Additive | document.Trees | document.Sum:
    """Return the document of the scorer of a model."""
    if isinstance(scorer, WeightedSum):
        parts = zip(scorer.names, scorer.weights.tolist(), scorer.scorers, strict=True)
        members = [
            document.Member(candidate=name, weight=weight, scorer=write_single_scorer(model, part))
            for name, weight, part in parts
        ]
        return document.Sum(form="sum", members=members)
    return write_single_scorer(model, scorer)


def write_single_scorer(model: Model, scorer: Scorer) -> document.Additive | document.Trees:
    """Return the document of a scorer that is no blend."""
    from stages.models import tree_compiler  # noqa: PLC0415  (the service never writes)

    features = [*range(len(model.features.names))]
    if isinstance(scorer, Selected):
        features, scorer = scorer.columns.tolist(), scorer.scorer
    if (forest := tree_compiler.forest_of(scorer)) is not None:
        return document.Trees(
            form="trees",
            features=features,
            library=forest.library.name,
            start=forest.start,
            trees=[write_tree(nodes) for nodes in forest.trees],
        )
    if not isinstance(scorer, Additive):
        raise TypeError(
            f"the scorer of {model.candidate} is a {type(scorer).__name__}, which no model file "
            "holds; `fit` must return one of stages.models.scorers"
        )
    lines = {name: values.tolist() for name, values in vars(scorer.linear).items()}
    lines["flag"] = np.broadcast_to(scorer.linear.flag, scorer.linear.slope.shape).tolist()
    tables = [
        document.Bins(
            column=table.column,
            edges=table.edges.tolist(),
            values=table.values.tolist(),
            missing=table.missing,
        )
        for table in scorer.tables
    ]
    return document.Additive(
        form="additive",
        features=features,
        intercept=scorer.intercept,
        numbers=document.Numbers(**lines),
        bins=tables,
        expected=scorer.expected.tolist(),
    )


def write_tree(nodes: list[Node]) -> document.Tree:
    """Return the document of a tree, its nodes in pre-order."""
    order, waiting = list[int](), [0]
    while waiting:
        order.append(waiting.pop())
        if nodes[order[-1]].feature >= 0:
            waiting += [nodes[order[-1]].right, nodes[order[-1]].left]
    place = {old: new for new, old in enumerate(order)}
    ordered = [nodes[old] for old in order]
    most = sys.float_info.max  # beyond every feature, as the infinity of a library is
    return document.Tree(
        feature=[node.feature for node in ordered],
        right=[place[node.right] if node.feature >= 0 else 0 for node in ordered],
        threshold=[max(-most, min(most, node.threshold)) for node in ordered],
        missing_left=[node.missing_left for node in ordered],
        cover=[node.cover for node in ordered],
        value=[node.value for node in ordered],
        categories={
            str(at): sorted(node.categories) for at, node in enumerate(ordered) if node.categories
        },
    )


def write_calibrator(
    calibrator: Calibrator,
) -> document.Sigmoid | document.Isotonic | document.ForestShare:
    """Return the document of a calibrator."""
    if isinstance(calibrator, Sigmoid):
        return document.Sigmoid(form="sigmoid", **asdict(calibrator))
    if isinstance(calibrator, ForestShare):
        return document.ForestShare(form="forest_share", **asdict(calibrator))
    if isinstance(calibrator, Isotonic):
        knots, pds = calibrator.knots.tolist(), calibrator.pds.tolist()
        return document.Isotonic(form="isotonic", knots=knots, pds=pds)
    raise TypeError(f"the calibrator {type(calibrator).__name__} cannot be stored in a model file")

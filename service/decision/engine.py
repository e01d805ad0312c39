"""The decision engine takes a raw application and returns a decision with its reasons.

    engine = Engine.load(Path("."))
    decision = engine.decide({"income": 54000, ...})

It scores by the pipeline's own feature code and model, so that a served PD equals the offline one
to the last bit. The golden records that the pipeline wrote prove this at every start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decision import hashes, identity
from service.decision.applications import Applications, InvalidApplication
from service.decision.artifacts import (
    read_approved,
    read_golden,
    read_model,
    read_parameters,
)
from service.decision.hashes import GOLDEN, REFERENCE, WINNER, NotReady
from service.decision.identity import Identity
from service.decision.reasons import Approved, Reason, ReasonWriter
from stages.contract.schema import ContractError
from stages.features.matrix import Floats
from stages.models.artifact import Model
from stages.policy.decisions import DECISIONS, Policy
from stages.policy.rules import HardRule


@dataclass(frozen=True, slots=True)
class Decision:
    """What the model and the policy say about one application."""

    default_probability: float
    prediction: int
    decision: str
    credit_score: int
    rating: str
    reasons: list[Reason]
    identity: Identity


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model and the policy say about n applications, as columns (n,) without reasons.

    Attributes
    ----------
    pd : probability of default.
    prediction : 1 where the PD reaches the cut-off, else 0.
    decision : place in DECISIONS.
    score : credit score in points.
    rating : place in the policy's ratings.
    """

    pd: Floats
    prediction: NDArray[np.bool_]
    decision: NDArray[np.int64]
    score: NDArray[np.int64]
    rating: NDArray[np.intp]


class Engine:
    """A model and a policy that decide about the applications of one contract."""

    def __init__(
        self, model: Model, policy: Policy, identity: Identity, approved: Approved | None = None
    ) -> None:
        self.model, self.identity = model, identity
        self.policy = policy.of(model.contract, model.mode)
        self.golden: list[dict[str, Any]] = []
        self.contract, self.features = model.contract, model.features
        self.applications = Applications(model.contract, model.mode)
        self._reasons = ReasonWriter(
            self.contract, self.features, approved or Approved(), self.predict
        )
        self.facts = self._reasons.facts

    @classmethod
    def load(cls, root: Path = Path()) -> Engine:
        """Return the engine of the winner in the folder `root`; raises NotReady."""
        contents = hashes.read_verified(root)
        model = read_model(contents.get(WINNER))
        config = read_parameters(root, model)
        answered_by = identity.of(root, contents[WINNER], config.policy)
        try:
            engine = cls(model, config.policy, answered_by, read_approved(contents.get(REFERENCE)))
        except ContractError as error:
            raise NotReady(str(error)) from error
        engine.prove(contents.get(GOLDEN))
        return engine

    @property
    def policy_record(self) -> tuple[str, str]:
        """The policy's identity, and the text of which it is the hash."""
        return str(self.identity["policy"]), identity.policy_text(self.policy)

    def prove(self, golden: bytes | None) -> None:
        """Score the golden records; raises NotReady unless every PD is the recorded one."""
        records = read_golden(golden)
        try:
            applications = [self.applications.check(record["application"]) for record in records]
        except InvalidApplication as error:
            raise NotReady(f"{GOLDEN} breaks the model's contract: {error}") from error
        matrix = self.matrix(*applications)
        alone = [float(self.predict(row[None])[0]) for row in matrix]
        together = self.predict(matrix).tolist()
        for number, record in enumerate(records, 1):
            recorded = record["default_probability"]
            scored = {alone[number - 1], together[number - 1]}
            if scored != {recorded}:
                raise NotReady(
                    f"golden record {number} of {len(records)} must score {recorded!r}; "
                    f"got {scored}"
                )
        self.golden = records
        try:
            self.decide_matrix(matrix)
            self.contributions(matrix[:1])  # makes the tables of the reasons, once
        except ValueError as error:
            raise NotReady(f"params.yaml cannot be used: {error}") from error

    def decide(self, application: dict[str, Any]) -> Decision:
        """Decide about one raw application; raises InvalidApplication."""
        return self.decide_rows([self.applications.check(application)])[0]

    def decide_rows(self, applications: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about n checked applications; each PD has the bits it would have alone."""
        return self.decide_matrix(self.matrix(*applications)) if applications else []

    def decide_matrix(self, x: Floats) -> list[Decision]:
        """Decide about n applications, given as features (n, F)."""
        scored = self.score_matrix(x)
        ratings, reasons = [*self.policy.ratings], self.reasons(x, scored.pd, scored.decision)
        return [
            Decision(
                default_probability=pd,
                prediction=int(predicted),
                decision=DECISIONS[place],
                credit_score=score,
                rating=ratings[rating],
                reasons=reasons.get(row, []),
                identity=self.identity,
            )
            for row, (pd, predicted, place, score, rating) in enumerate(
                zip(
                    scored.pd.tolist(),
                    scored.prediction.tolist(),
                    scored.decision.tolist(),
                    scored.score.tolist(),
                    scored.rating.tolist(),
                    strict=True,
                )
            )
        ]

    def score_matrix(self, x: Floats) -> Scored:
        """Return PD, decision, score and rating of n applications, given as features (n, F)."""
        pd = self.predict(x)
        return Scored(
            pd=pd,
            prediction=pd >= self.policy.pd_cut_off,
            decision=self.policy.decide(pd, self.by_name(x)),
            score=np.rint(self.policy.score(pd)).astype(np.int64),
            rating=self.policy.rating_places(pd),
        )

    def reasons(self, x: Floats, pd: Floats, places: NDArray[Any]) -> dict[int, list[Reason]]:
        """Return the reasons of each row that is not approved, by its number.

        `x` are features (n, F), `pd` their PDs (n,), `places` the decisions (n,) as positions in
        DECISIONS. Where rules made a decision stricter than the PD, they alone are its reasons.
        """
        rows = np.flatnonzero(places)
        if not len(rows):
            return {}
        contributions = self.contributions(x[rows])[:, :-1]
        broken = [self._deciding_rules(x[row : row + 1], places[row]) for row in rows]
        worded = self._reasons(contributions, x[rows], pd[rows], broken)
        stricter = places[rows] > self.policy.decide_by_pd(pd[rows])
        cases = zip(rows.tolist(), worded, broken, stricter, strict=True)
        return {
            row: words[: len(rules)] if rules and alone else words
            for row, words, rules, alone in cases
        }

    def contributions(self, x: Floats) -> Floats:
        """Return exact Shapley values of features (n, F), and the expected margin: (n, F + 1)."""
        return self.model.scorer.contributions(x)

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds of default (n,) of features (n, F), before calibration."""
        return self.model.scorer.margin(x)

    def predict(self, x: Floats) -> Floats:
        """Return the PDs (n,) of features (n, F), the same bits as `model.predict_matrix`."""
        return self.model.calibrator(self.margin(x))

    def encode(self, *applications: Mapping[str, Any]) -> Floats:
        """Return n checked applications as encoded inputs, as `Features.encode` gives them."""
        return self.features.encode_rows(applications)

    def matrix(self, *applications: Mapping[str, Any]) -> Floats:
        """Return the features (n, F) of n checked applications, bit for bit as `model.features`."""
        return self.features.matrix(self.encode(*applications))

    def by_name(self, x: Floats) -> dict[str, Floats]:
        """Return features by name, each (n,); empty where the policy has no rules to read them."""
        return dict(zip(self.features.names, x.T, strict=True)) if self.policy.rules else {}

    def _deciding_rules(self, x: Floats, place: int) -> list[HardRule]:
        """Return the broken rules that ask for the decision: one that only refers declines none."""
        if not self.policy.rules:
            return []
        broken = self.policy.broken_rules(self.by_name(x))
        return [rule for rule in broken if rule.decision == DECISIONS[place]]

"""The decision engine: raw application in, decision with reasons out. No web, no ledger.

    engine = Engine.load(Path("."))
    decision = engine.decide({"income": 54000, ...})

It scores by the pipeline's own feature code and model, so that a served PD equals the offline one
to the last bit; the golden records that the pipeline wrote prove it at every start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np

from service.decision import identity
from service.decision.applications import InvalidApplication, Requests
from service.decision.explanation import explain
from service.decision.identity import Identity
from service.decision.reasons import Reason, Reasons
from stages import params
from stages.features.matrix import Columns, Floats
from stages.judging.policy import DECISIONS, HardRule, Policy
from stages.models import artifact as models
from stages.models import trees
from stages.models.artifact import Model

WINNER = Path("models/winner.joblib")
GOLDEN = Path("models/golden.jsonl")
NAN = float("nan")
FEW = 64  # rows that compiled trees score faster than their library


class NotReady(Exception):
    """The service cannot decide; the message says why and what to do."""


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


class Engine:
    """A model, a policy and the words of their contract."""

    def __init__(self, model: Model, policy: Policy, identity: Identity) -> None:
        self.model, self.policy, self.identity = model, policy, identity
        self.golden: list[dict[str, Any]] = []
        self.contract, self.features = model.contract, model.features
        self.requests = Requests(model.contract, model.mode)
        self._trees = trees.compiled(model.scorer) or model.scorer
        self._encoders = [(f.name, f.codes) for f in self.features.inputs]
        self._cuts = policy.approve_below, policy.decline_from, policy.pd_cut_off
        self._reasons = Reasons(self.contract, self.features, np.zeros(len(self.features.names)))

    @classmethod
    def load(cls, root: Path = Path()) -> Engine:
        """The engine of the winner that stands in `root`; raises NotReady."""
        path = root / WINNER
        if not path.exists():
            raise NotReady(f"there is no model: {WINNER} is missing; run `make`")
        model = read(path)
        config = parameters(root)
        if (model.dataset, model.mode) != (config.dataset, config.mode):
            raise NotReady(
                f"params.yaml asks for {config.dataset}, mode {config.mode}; {WINNER} was trained "
                f"on {model.dataset}, mode {model.mode}; run `dvc repro`"
            )
        engine = cls(model, config.policy, identity.of(root, path.read_bytes(), config.policy))
        engine.prove(root / GOLDEN)
        return engine

    def prove(self, path: Path) -> None:
        """Score the golden records; raises NotReady unless every PD is the recorded one."""
        records = golden(path)
        try:
            known = [self.requests.check(record["application"]) for record in records]
        except InvalidApplication as error:
            raise NotReady(f"{GOLDEN} breaks the model's contract: {error}") from error
        matrix = self.matrix(*known)
        alone = [float(self.predict(row[None])[0]) for row in matrix]
        together = self.predict(matrix[:FEW]).tolist() + self.predict(matrix)[FEW:].tolist()
        for number, record in enumerate(records, 1):
            pd = record["default_probability"]
            own = {alone[number - 1], together[number - 1]}
            if own != {pd}:
                raise NotReady(
                    f"golden record {number} of {len(records)} must score {pd!r}; got {own}"
                )
        self.golden = records
        self._learn_typical(matrix)
        try:
            self.decide_matrix(matrix)
        except ValueError as error:
            raise NotReady(f"params.yaml cannot be used: {error}") from error

    def decide(self, application: dict[str, Any]) -> Decision:
        """Decide about one raw application; raises InvalidApplication."""
        return self.decide_rows([self.requests.check(application)])[0]

    def decide_rows(self, applications: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about checked applications together; the same bits as one by one."""
        return self.decide_matrix(self.matrix(*applications)) if applications else []

    def decide_many(self, columns: Columns) -> list[Decision]:
        """Decide about n checked applications, given as columns of n raw values each."""
        return self.decide_matrix(self.features(columns))

    def decide_matrix(self, x: Floats) -> list[Decision]:
        """Features (n, F) → n decisions."""
        pds = self.predict(x)
        places = self.policy.decide(pds, self.by_name(x))
        scores = np.rint(self.policy.score(pds)).astype(np.int64).tolist()
        reasons = self.reasons(x, places)
        return [
            Decision(
                default_probability=pd,
                prediction=int(pd >= self._cuts[2]),
                decision=DECISIONS[place],
                credit_score=score,
                rating=self.policy.rating(pd),
                reasons=reasons.get(row, []),
                identity=self.identity,
            )
            for row, (pd, place, score) in enumerate(
                zip(pds.tolist(), places.tolist(), scores, strict=True)
            )
        ]

    def reasons(self, x: Floats, places: Any) -> dict[int, list[Reason]]:
        """Features (n, F), places in DECISIONS (n,) → row → reasons, of rows not approved."""
        rows = np.flatnonzero(places)
        if not len(rows):
            return {}
        contributions = self.contributions(x[rows])[:, :-1]
        return {
            int(row): self._reasons(own, self._broken(x[row : row + 1]))
            for row, own in zip(rows, contributions, strict=True)
        }

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) exact Shapley values in log-odds and the expected margin."""
        return self._trees.contributions(x)

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds of default (n,), before calibration."""
        return (self._trees if len(x) <= FEW else self.model.scorer).margin(x)

    def predict(self, x: Floats) -> Floats:
        """Features (n, F) → PD (n,), the same bits as `model.predict_matrix`."""
        return self.model.calibrator(self.margin(x))

    def explain(self, application: dict[str, Any]) -> dict[str, Any]:
        """Why a checked application is decided as it is, and what would change that."""
        return explain(self, application)

    def encoded(self, *applications: Mapping[str, Any]) -> Floats:
        """n checked applications → encoded inputs (n, inputs), as `Features.encode` gives them."""
        rows = [
            [
                NAN if (value := get(name)) is None else codes[value] if codes else value
                for name, codes in self._encoders
            ]
            for get in [application.get for application in applications]
        ]
        return np.array(rows, dtype=np.float64)

    def matrix(self, *applications: Mapping[str, Any]) -> Floats:
        """n checked applications → features (n, F), the same bits as `model.features`."""
        return self.features.matrix(self.encoded(*applications))

    def by_name(self, x: Floats) -> dict[str, Floats]:
        """Features by name, each (n,), where the policy has rules that read them."""
        return dict(zip(self.features.names, x.T, strict=True)) if self.policy.rules else {}

    def _broken(self, x: Floats) -> list[HardRule]:
        return self.policy.broken_rules(self.by_name(x)) if self.policy.rules else []

    def _learn_typical(self, matrix: Floats) -> None:
        approved = matrix[self.predict(matrix) < self._cuts[0]]
        if len(approved):
            typical = self.contributions(approved)[:, :-1].mean(axis=0)
            self._reasons = Reasons(self.contract, self.features, typical)


def read(path: Path) -> Model:
    """The artifact at `path`; raises NotReady where it cannot be read or was made elsewhere."""
    try:
        model = models.load(path)
    # A damaged pickle can raise anything that the code it stumbles into raises.
    except Exception as error:
        raise NotReady(
            f"{WINNER} cannot be read ({type(error).__name__}: {str(error)[:200]}); "
            "restore it by `dvc checkout`"
        ) from error
    here = {name: installed(name) for name in model.versions}
    differ = [f"{n} {v} (here {here[n]})" for n, v in model.versions.items() if here[n] != v]
    if differ:
        raise NotReady(
            f"the model was trained with {', '.join(differ)}; install the locked versions "
            "(requirements/), or train again"
        )
    return model


def installed(name: str) -> str:
    """The version of a library; "none" where it is not installed."""
    try:
        return models.installed((name,))[name]
    except PackageNotFoundError:
        return "none"


def golden(path: Path) -> list[dict[str, Any]]:
    """The golden records; raises NotReady where there are none that could prove anything."""
    if not path.exists():
        raise NotReady(f"there are no golden records: {GOLDEN} is missing; run `dvc repro`")
    try:
        records: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        usable = all({*r["application"], r["default_probability"]} for r in records)
    except (ValueError, KeyError, TypeError) as error:
        raise NotReady(f"{GOLDEN} cannot be read ({error!r}); run `dvc repro`") from error
    if not (records and usable):
        raise NotReady(f"{GOLDEN} holds no golden record; run `dvc repro`")
    return records


def parameters(root: Path) -> params.Params:
    """`params.yaml`, or NotReady with what is wrong with it."""
    try:
        return params.load(root / "params.yaml")
    except (OSError, params.ParamsError) as error:
        raise NotReady(f"params.yaml cannot be used: {error}") from error

"""The other ways to serve that the service is timed against; each is one ASGI application.

`reference` is what tutorials build: a synchronous endpoint of FastAPI, a pydantic model, a
DataFrame of one row through a ColumnTransformer, one INSERT a request into SQLite as it comes.
`bare` decodes, adds two numbers and encodes: what any service costs at least. `Unrecorded` is the
service itself, without its ledger.
"""

import pickle
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import bentoml
import pandas as pd
from fastapi import FastAPI
from pydantic_core import from_json, to_json
from starlette.types import Message, Receive, Scope, Send

from service.api.batching import Batcher
from service.api.drafts import Asked, decision_content
from service.decision.applications import Applications
from service.ledger.storage.entries import new_id
from service.service import CreditPD, GuardedService
from stages import params
from stages.contract import reading as contracts

PIPELINE = Path("models/pipeline.pickle")
DATABASE = "reference.sqlite"


def reference() -> FastAPI:
    """Return the reference way, which scores by the pipeline and writes to SQLite."""
    config = params.load()
    shape = Applications(contracts.load(config.dataset), config.mode).model
    pipeline = pickle.loads(PIPELINE.read_bytes())  # noqa: S301  (written by this bench)
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute("CREATE TABLE decisions (id TEXT, time REAL, application TEXT, pd REAL)")
    app = FastAPI()

    @app.post("/predict")
    def predict(application: shape) -> dict[str, Any]:  # type: ignore[valid-type]
        row = pd.DataFrame([application.model_dump()])[pipeline.feature_names_in_]
        pd_ = float(pipeline.predict_proba(row)[0, 1])
        row_values = str(uuid4()), time.time(), application.model_dump_json(), pd_
        with closing(sqlite3.connect(DATABASE)) as database, database:
            database.execute("INSERT INTO decisions VALUES (?, ?, ?, ?)", row_values)
        return {"default_probability": pd_, "prediction": int(pd_ >= config.policy.pd_cut_off)}

    return app


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Decode the body, add two numbers, and encode the sum."""
    if scope["type"] != "http":
        return
    message: Message = await receive()
    values = [v for v in from_json(message["body"]).values() if isinstance(v, (int, float))]
    body = to_json({"sum": values[0] + values[1]})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Forgetful(CreditPD.inner):  # type: ignore[misc,name-defined]
    """The service without its ledger: it records nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.api.decisions._decide_together = Batcher(self.decide)

    async def decide(self, asked: list[Asked]) -> list[dict[str, Any]]:
        """Return answers that no ledger records."""
        applications, now = [each.application for each in asked], time.time_ns()
        decisions = self.api.state.loaded_engine().decide_rows(applications)
        return [
            {"prediction_id": new_id(now), **decision_content(d), "timestamp": now}
            for d in decisions
        ]


Unrecorded = bentoml.service(service_class=GuardedService, name="unrecorded", **CreditPD.config)(
    Forgetful
)

"""The other ways to serve that the service is timed against; each is one ASGI application.

`reference` is what tutorials build: a synchronous endpoint in a thread pool (as FastAPI runs it), a
pydantic model, a DataFrame of one row through a ColumnTransformer, one INSERT and commit a request.
`bare` decodes, adds two numbers and encodes: what any service costs at least. `Unrecorded` is the
service itself, without its ledger.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.desk import content
from service.engine import Decision
from service.front import Message, Receive, Scope, Send
from service.ledger.entries import new_id
from service.requests import Requests
from service.service import CreditPD, Fronted
from stages import contract, params

PIPELINE = Path("models/pipeline.pickle")


def reference() -> Starlette:
    """The reference way, on the pipeline and into the SQLite file of this folder."""
    config = params.load()
    shape = Requests(contract.load(config.dataset), config.mode).model
    pipeline = pickle.loads(PIPELINE.read_bytes())  # noqa: S301  (our own)
    database, lock = sqlite3.connect("reference.sqlite", check_same_thread=False), threading.Lock()
    database.execute("CREATE TABLE decisions (time REAL, pd REAL)")

    def decide(body: dict[str, Any]) -> dict[str, Any]:
        application = shape.model_validate(body).model_dump(exclude_unset=True)
        row = pd.DataFrame([application]).reindex(columns=pipeline.feature_names_in_)
        pd_ = float(pipeline.predict_proba(row)[0, 1])
        with lock, database:
            database.execute("INSERT INTO decisions VALUES (?, ?)", (time.time(), pd_))
        return {"default_probability": pd_, "prediction": int(pd_ >= config.policy.pd_cut_off)}

    async def predict(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(decide, await request.json()))

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Decode, add, encode."""
    if scope["type"] != "http":
        return
    message: Message = await receive()
    values = [v for v in from_json(message["body"]).values() if isinstance(v, (int, float))]
    body = to_json({"sum": values[0] + values[1]})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def unrecorded(decision: Decision, application: dict[str, Any]) -> dict[str, Any]:
    """An answer that is in no ledger."""
    now = time.time_ns()
    return {"prediction_id": new_id(now), **content(decision), "timestamp": now}


class Forgetful(CreditPD.inner):  # type: ignore[misc,name-defined]
    """The service, with nothing recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.desk.record = unrecorded


os.environ.setdefault("CREDIT_PD_MONITOR", "off")
Unrecorded = bentoml.service(service_class=Fronted, name="unrecorded", **CreditPD.config)(Forgetful)

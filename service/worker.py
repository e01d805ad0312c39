"""What a worker process of the service answers with: the handlers, and the application."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bentoml
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp

from service.api.access.authentication import create_access
from service.api.application.asgi import Application
from service.api.application.request_log import RequestLog
from service.api.handlers.api import Api
from service.api.load.connections import use_for_uvicorn
from service.api.requests import Handler, Request, Routes, respond
from service.ledger import Ledger
from service.settings import Settings
from service.users.configured import Users

ROOT = Path(__file__).parent.parent
# The ledger's thread waits so long for its turn whenever the event loop is busy, several times for
# each group of decisions; Python's default of 5 ms made 50 of them.
SWITCH_INTERVAL = 0.0005  # seconds
NO_USERS = (
    "no users are configured: requests from this machine may do everything, and others are "
    "refused unless CREDIT_PD_WITHOUT_USERS says that they are guarded; set CREDIT_PD_USERS"
)


def create_application(inner: ASGIApp, configured: Settings, users: Users) -> ASGIApp:
    """Return the application that answers every request, around BentoML's."""
    use_for_uvicorn()
    sys.setswitchinterval(SWITCH_INTERVAL)
    application = Application(
        inner,
        running_routes,
        create_access(configured, users),
        configured.max_body,
        configured.max_requests,
        configured.caller_rate,
        RequestLog(configured.request_log == "on"),
    )
    if configured.traces == "off":
        return application
    from service.api.application.traces import trace  # noqa: PLC0415  (off costs nothing)

    return trace(application)


def running_routes() -> Routes:
    """Return the routes of the running service."""
    routes: Routes = bentoml.get_current_service().api.routes
    return routes


def create_api(configured: Settings, users: Users) -> Api:
    """Return the handlers, with the ledger open and the model loaded; say what is not ready."""
    has_users = users.keys is not None
    api = Api(ROOT, Ledger(), configured.max_batch, has_users=has_users)
    api.state.load()
    if api.state.engine is None:
        print(f"service: not ready: {api.state.problem}", file=sys.stderr, flush=True)
    if not has_users:
        print(f"service: {NO_USERS}", file=sys.stderr, flush=True)
    return api


async def call(handler: Handler, value: object) -> dict[str, Any]:
    """Return a handler's answer to a call by BentoML; raises InvalidArgument where it refuses."""
    status, body = await respond(handler, Request("", {}, to_json(value)))
    answer: dict[str, Any] = from_json(body)
    if status >= 400:
        raise bentoml.exceptions.InvalidArgument(answer["errors"][0]["message"])
    return answer

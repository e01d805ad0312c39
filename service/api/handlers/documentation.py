"""Handle requests about the served model and about the API itself."""

from __future__ import annotations

from collections.abc import Callable

from pydantic_core import to_json

from service.api.description import docs, model_info, openapi
from service.api.description.operations import Description
from service.api.handlers.state import EngineState
from service.api.requests import Request, Response, Routes


class Documentation:
    """The endpoints that describe the winner and the API."""

    def __init__(self, state: EngineState, has_users: bool) -> None:
        self.state, self.has_users = state, has_users
        self._rendered: dict[tuple[str, bool], bytes] = {}
        self.routes: Routes = {
            "/model-info": {"GET": self.model_info},
            "/docs": {"GET": self.docs},
            "/docs.json": {"GET": self.docs_json},
        }

    async def model_info(self, request: Request) -> Response:
        """Describe the winner, its contract and the policy."""
        return 200, to_json(model_info.describe(self.state.loaded_engine(), self.state.root))

    async def docs_json(self, request: Request) -> Response:
        """Return the OpenAPI description."""
        return 200, self._render("json", to_json)

    async def docs(self, request: Request) -> Response:
        """Return the OpenAPI description as an HTML page."""
        return 200, self._render("page", docs.render)

    def _render(self, form: str, render: Callable[[Description], bytes]) -> bytes:
        """Return the API's description; it is the same for every request, but takes long."""
        engine = self.state.engine
        key = form, engine is not None
        if key not in self._rendered:
            applications = engine.applications if engine else None
            document = openapi.describe(applications, self.state.max_batch, self.has_users)
            self._rendered[key] = render(document)
        return self._rendered[key]

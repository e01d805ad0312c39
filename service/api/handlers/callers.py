"""Answer callers who they are."""

from __future__ import annotations

from pydantic_core import to_json

from service.api.requests import Request, Response, Routes
from service.users.callers import ROLES


class Callers:
    """The endpoint by which the page knows who has logged in, and what to offer."""

    def __init__(self) -> None:
        self.routes: Routes = {"/whoami": {"GET": self.whoami}}

    async def whoami(self, request: Request) -> Response:
        """Return the caller's name and roles; every role, where no users are configured."""
        caller = request.caller
        name, kind = (caller.name, caller.type) if caller else (None, None)
        roles = caller.roles if caller else ROLES
        return 200, to_json({"name": name, "type": kind, "roles": sorted(roles)})

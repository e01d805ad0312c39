"""The roles that each endpoint needs: this table is the only place that says so."""

from __future__ import annotations

from service.api.requests import refusal
from service.users.callers import ROLES, Caller

EVERYBODY: frozenset[str] = frozenset()  # no credentials are needed
ANY_CALLER = frozenset(ROLES)
READERS = frozenset({"read", "audit"})
MONITORS = frozenset({"read", "audit", "admin"})
DOCUMENTATION = ("/docs", "/docs.json")  # open where the operator says so
PAGE_FILES = "/ui/"  # the files of the page, which asks for credentials itself

# A caller needs one of the roles of a path.
PERMISSIONS: dict[str, frozenset[str]] = {
    "/": EVERYBODY,
    "/health": EVERYBODY,
    "/healthz": EVERYBODY,
    "/livez": EVERYBODY,
    "/readyz": EVERYBODY,
    "/login": EVERYBODY,
    "/callback": EVERYBODY,
    "/logout": EVERYBODY,
    "/docs": ANY_CALLER,
    "/docs.json": ANY_CALLER,
    "/model-info": ANY_CALLER,
    "/schema.json": ANY_CALLER,
    "/whoami": ANY_CALLER,
    "/predict": frozenset({"decide"}),
    "/predict_batch": frozenset({"decide"}),
    "/explain": frozenset({"decide", "review"}),
    "/overrides": frozenset({"review"}),
    "/approvals": frozenset({"approve"}),
    "/notes": frozenset({"review", "approve"}),
    "/queue": READERS,
    "/outcomes": frozenset({"outcomes"}),
    "/logs": READERS,
    "/cases/{id}": READERS,
    "/predictions/{id}": READERS,
    "/predictions/{id}/receipt": READERS,
    "/predictions/{id}/letter.html": READERS,
    "/predictions/{id}/letter.pdf": READERS,
    "/predictions/{id}/explanation.html": READERS,
    "/predictions/{id}/explanation.pdf": READERS,
    "/drift-reports": MONITORS,
    "/drift-reports/{id}": MONITORS,
    "/metrics": frozenset({"audit", "admin"}),
}


def is_open(path: str, has_open_docs: bool) -> bool:
    """Tell whether the path of a request needs no credentials."""
    path = path.removeprefix("/v1")
    if path.startswith(PAGE_FILES) or (has_open_docs and path in DOCUMENTATION):
        return True
    return PERMISSIONS.get(path) == EVERYBODY


def require_role(caller: Caller | None, endpoint: str) -> None:
    """Refuse a caller that has none of the roles of an endpoint with status 403.

    The caller is None where no users are configured, and where the path needs no credentials.
    """
    needed = PERMISSIONS[endpoint]
    if caller is None or not needed or caller.roles & needed:
        return
    allowed = " or ".join(sorted(needed))
    roles = ", ".join(sorted(caller.roles))
    raise refusal(
        403, f"this needs the role {allowed}; {caller.name} has {roles}", "", allowed, roles
    )

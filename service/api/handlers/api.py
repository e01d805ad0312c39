"""All handlers of a worker, and the route of each."""

from __future__ import annotations

from pathlib import Path

from service.api.handlers.callers import Callers
from service.api.handlers.decisions import Decisions
from service.api.handlers.documentation import Documentation
from service.api.handlers.letters import Letters
from service.api.handlers.monitoring import Monitoring
from service.api.handlers.probes import Probes
from service.api.handlers.records import Records
from service.api.handlers.review import Review
from service.api.handlers.state import EngineState
from service.api.requests import Routes
from service.ledger import Ledger


class Api:
    """The endpoints of one worker; `has_users` tells whether requests need a key or a token."""

    def __init__(
        self, root: Path, ledger: Ledger, max_batch: int = 1000, has_users: bool = False
    ) -> None:
        self.state = EngineState(root, ledger, max_batch)
        self.decisions = Decisions(self.state)
        self.records = Records(self.state)
        self.review = Review(self.state)
        self.letters = Letters(self.state)
        self.monitoring = Monitoring(self.state)
        self.probes = Probes(self.state)
        self.documentation = Documentation(self.state, has_users)
        self.routes: Routes = {
            **self.decisions.routes,
            **self.records.routes,
            **self.review.routes,
            **self.letters.routes,
            **self.monitoring.routes,
            **self.probes.routes,
            **self.documentation.routes,
            **Callers().routes,
        }

# mypy: disallow-subclassing-any=False
"""Let BentoML's supervisor start a new worker soon after one has ended.

BentoML looks every ten seconds whether the workers still run, and has no option for it.
"""

from __future__ import annotations

from typing import Any

from bentoml._internal.utils import circus
from circus.exc import ConflictError

LOOK_EVERY = 1.0  # seconds


class Supervisor(circus.Arbiter):
    """A supervisor that looks every LOOK_EVERY seconds for workers that have ended."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"check_delay": LOOK_EVERY})

    def manage_watchers(self) -> Any:
        """Start a worker for each that has ended, but not while workers are started or stopped."""
        try:
            return super().manage_watchers()
        except ConflictError:
            return None


def use_for_bentoml() -> None:
    """Let BentoML supervise its workers by a `Supervisor`."""
    setattr(circus, "Arbiter", Supervisor)  # noqa: B010  (mypy refuses the assignment)

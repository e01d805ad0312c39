"""Decisions to record, forgeries, and a process that records until it is killed."""

import asyncio
import os
import sys
import time
from collections.abc import Callable

from sqlalchemy import Engine

from service.ledger import Draft, Ledger, draft
from service.ledger.storage import totals


def decided(
    decision: str = "decline",
    pd: float = 0.1 + 0.2,
    reference: str | None = None,
    **application: object,
) -> Draft:
    """Return a decision as the service records it."""
    return draft(
        "decision",
        {
            "application": {"income": 54_000, "purpose": "MEDICAL", **application},
            "default_probability": pd,
            "credit_score": 612,
            "rating": "B2",
            "decision": decision,
            "reasons": [{"field": "income", "text": "Einkommen zu niedrig für den Betrag"}],
            "identity": {"model": "m1", "policy": "p1", "data": "d1", "image": "i1"},
            **({} if reference is None else {"reference": reference}),
        },
        protected=("gender",),
    )


def disarm(engine: Engine) -> None:
    """Remove the triggers that refuse changes, as a forger would."""
    names = {"sqlite": ("no_update", "no_delete"), "postgresql": ("append_only",)}
    on = " ON ledger_entries" if engine.dialect.name == "postgresql" else ""
    for name in names[engine.dialect.name]:
        change(engine, f"DROP TRIGGER ledger_entries_{name}{on}")


def change(engine: Engine, statement: str) -> None:
    """Run a statement behind the ledger's back."""
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until the condition holds; fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.005)


async def record(ledger: Ledger, clients: int, each: int) -> None:
    """Append concurrently; an id is written to standard output once its append returned."""

    async def client() -> None:
        for _ in range(each):
            entry = await ledger.append(decided())
            os.write(1, f"{entry.id}\n".encode())

    await asyncio.gather(*(client() for _ in range(clients)))


def main() -> None:
    """Run `python -m tests.support.ledger_client URL CLIENTS EACH STEP`, the step of the totals."""
    totals.STEP = int(sys.argv[4])
    ledger = Ledger(sys.argv[1])
    asyncio.run(record(ledger, int(sys.argv[2]), int(sys.argv[3])))
    ledger.close()


if __name__ == "__main__":
    main()

"""Append decisions to a new ledger, to time it: `python benches/serving/appends.py URL SECONDS`.

64 clients append one decision each, again and again, in one process. Prints a JSON object: entries
a second, and microseconds of CPU an entry. It uses only what every release of the ledger has, so
that `PYTHONPATH` may name the checkout of another one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from service.ledger import Ledger, draft

CLIENTS = 64
APPLICATION = {
    "loan_amount": 250_000.0,
    "income": 54_000.0,
    "tenure_months": 36,
    "purpose": "Home",
    "age": 41,
    "residence_type": "Owned",
    "credit_utilization_ratio": 0.42,
    "number_of_open_accounts": 3,
    "delinquent_months": 0,
    "avg_dpd_per_delinquency": 0.0,
    "loan_type": "Secured",
    "gender": "F",
}
REASONS = [
    {"field": "income", "value": 54_000, "points": -12.5, "text": "The income is low for the loan"},
    {"field": "tenure_months", "value": 36, "points": -3.25, "text": "The loan runs for long"},
]


def decision(number: int) -> dict[str, object]:
    """Return a decision as the service records it."""
    return {
        "application": {**APPLICATION, "income": 54_000.0 + number % 9_000},
        "default_probability": 0.01 + number % 997 / 10_000,
        "credit_score": 500.0 + number % 300,
        "rating": "ABCDE"[number % 5],
        "decision": ("approve", "refer", "decline")[number % 3],
        "reasons": REASONS if number % 3 else [],
        "identity": {"model": "m1", "policy": "p1", "data": "d1", "image": "i1"},
    }


async def append(ledger: Ledger, seconds: float) -> int:
    """Append for so many seconds, and return the number of entries."""
    end, count = time.perf_counter() + seconds, 0

    async def client(number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await ledger.append(draft("decision", decision(number + count)))
            count += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return count


def main() -> None:
    """Run from the command line."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    ledger = Ledger(url)
    ledger.append_many([draft("decision", decision(0))])
    since, cpu = time.perf_counter(), time.process_time()
    count = asyncio.run(append(ledger, seconds))
    took, used = time.perf_counter() - since, time.process_time() - cpu
    ledger.close()
    print(json.dumps({"rate": count / took, "cpu": 1e6 * used / count}))


if __name__ == "__main__":
    main()

"""A process that records one request under a key: `python -m ... URL KEY NAME`.

It prints the identifier of what was recorded under the key, by itself or by another process.
"""

import asyncio
import os
import sys

from service.ledger import Ledger
from service.ledger.claims import AlreadyClaimed, Claim
from tests.support.ledger_client import decided


async def decide_once(ledger: Ledger, key: str) -> str:
    """Record a decision under a key, and return the identifier of the key's decision."""
    entry = decided()
    try:
        await ledger.append_group([entry], Claim(key, "body", entry.id))
    except AlreadyClaimed as error:
        return error.earlier.answer
    return entry.id


async def decide_all(ledger: Ledger, count: int) -> None:
    """Use the keys 0 to count - 1, some at a time."""

    async def one(key: str) -> None:
        decision = await decide_once(ledger, key)
        os.write(1, f"{key} {decision}\n".encode())

    for start in range(0, count, 10):
        await asyncio.gather(*(one(str(key)) for key in range(start, min(start + 10, count))))


if __name__ == "__main__":
    opened = Ledger(sys.argv[1])
    asyncio.run(decide_all(opened, int(sys.argv[2])))
    opened.close()

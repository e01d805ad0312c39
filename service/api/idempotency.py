"""Answer a repeated request as before (`Idempotency-Key`).

The header is that of draft-ietf-httpapi-idempotency-key-header. A key that comes back with another
body is refused with 409; the draft suggests 422, which here means a body that breaks the contract.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NoReturn

from service.api.requests import Replayed, Request, refusal
from service.ledger import Ledger
from service.ledger.claims import AlreadyClaimed, Claim, find

KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


async def claim_request(request: Request, endpoint: str, ledger: Ledger) -> Claim | None:
    """Return the claim of a request with a key, None without one.

    A database that was not migrated yet cannot keep claims: then keys are ignored, as they were by
    the release before.

    Raises Replayed when the same request was answered before, and Refused when the key is not
    valid or came with another body. Keys of different callers and endpoints are different.
    """
    text = request.idempotency_key
    if text is None:
        return None
    match = KEY.fullmatch(text)
    if not match:
        limit = "1 to 255 visible ASCII characters without quotes"
        raise refusal(422, f"Idempotency-Key must be {limit}", "Idempotency-Key", limit)
    caller = request.caller
    who = [caller.type, caller.subject or caller.name] if caller else []
    key = "\n".join([endpoint, match[1], *who])
    claim = Claim(sha256(key.encode()).hexdigest(), sha256(request.body).hexdigest())
    if not await ledger.in_thread(ledger.has_claims):
        return None
    earlier = await ledger.in_thread(find, ledger.engine, claim.key)
    if earlier is not None:
        replay(AlreadyClaimed(claim, earlier))
    return claim


def replay(found: AlreadyClaimed) -> NoReturn:
    """Raise Replayed with the answer of the earlier request.

    Raises Refused if it had another body, and if a decision that it was answered was erased since.
    """
    if not found.earlier.body:
        raise refusal(410, "a decision of this request was recorded, and erased since", "")
    if found.claim.body != found.earlier.body:
        problem = "this Idempotency-Key was used for another body; use a new key for a new request"
        raise refusal(409, problem, "Idempotency-Key")
    raise Replayed(found.earlier.answer.encode())

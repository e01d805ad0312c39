"""Verify the ledger: its chain, its columns and the personal parts beside it.

- `chain`: verify a whole ledger, in one process or several
- `earlier`: check that nothing is missing of what was verified before
- `spans`: walk a span of the chain
- `overrides`: hold overrides against proposals, and the queue of open referrals against entries
- `totals`: hold the totals of decisions against entries
- `results`: record and read the results, for metrics
- `command`: `python -m service.ledger verify`
- `personal_parts`: hold personal parts against their commitments, and erasures against entries
"""

from service.ledger.verify.chain import Verification, verify

__all__ = ["Verification", "verify"]

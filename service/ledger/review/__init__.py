"""What officers record about decisions, and which referrals wait for them.

A referral is open until an override decides it. Where the application exceeds the policy's limit,
an officer (the maker) records a proposal, which decides nothing: an override follows when another
one (the checker) approves it, and a rejection leaves the referral open. So wherever an override
stands, the case is decided.

- `steps`: append overrides, proposals, approvals and rejections under the lock of the chain, so
  that of two simultaneous ones one counts
- `queue`: the referrals that are open, those that wait longest first
"""

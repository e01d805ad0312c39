"""The transparency log: proofs that the ledger's entries are those that were recorded.

Whoever can write the ledger's database can write a new chain of hashes too. Here the entries are
the leaves of a Merkle tree (RFC 9162); a process with a key of its own signs checkpoints of it
(C2SP's tlog-checkpoint), and witnesses cosign a checkpoint only where it extends what they have
seen before (tlog-witness). From then on no entry before it can change unnoticed.

- `verify_receipt`: the stand-alone check of a receipt, and the formats that all others share
- `merkle_tree`: roots, inclusion proofs and consistency proofs
- `signing`: private keys and the notes signed with them
- `log`: sign what the ledger holds, and make receipts
- `witness`, `witness_client`: cosign checkpoints, and ask for cosignatures
- `audit`: hold a whole ledger against checkpoints that were kept elsewhere
- `__main__`: the commands of `python -m service.transparency`, from `keygen` to `verify`

The service imports `log` and `verify_receipt` from here; the rest runs in processes of its own.
"""

"""Hold a whole ledger against checkpoints that were signed and kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from service.ledger.storage.database import connection_to
from service.ledger.storage.schema import read_head
from service.transparency.log import ChainWalk, Mismatch
from service.transparency.merkle_tree import BLOCK, MerkleTree, block_hash
from service.transparency.verify_receipt import (
    Invalid,
    Key,
    LogCheckpoint,
    parse_checkpoint,
    signers,
)


class Audit(NamedTuple):
    """What an audit has seen: entries that were walked, and of how many a quorum has signed."""

    entries: int
    witnessed: int


def audit(
    engine: Engine, notes: Sequence[str], log: Key, witnesses: Sequence[Key], quorum: int = 2
) -> Audit:
    """Walk every entry, and require that each checkpoint is that of the entries as they are now.

    `notes` are signed checkpoints that were kept where nobody can write who can write the
    database: by the witnesses, or in a receipt. What stands in the database itself proves nothing
    here and is not read. At least one of the notes needs `quorum` cosignatures.

    Raises Mismatch where the ledger is not what was signed, Invalid where a note is not signed by
    `log` or none has its quorum; LedgerUnavailable.
    """
    checkpoints = [_require_signed(note, log) for note in notes]
    witnessed = [
        checkpoint.size
        for note, checkpoint in zip(notes, checkpoints, strict=True)
        if len(signers(note, witnesses)) >= quorum
    ]
    if not witnessed:
        raise Invalid(f"no checkpoint is cosigned by {quorum} of the witnesses")
    with connection_to(engine) as connection:
        end = read_head(connection)
        longest = max(checkpoints, key=lambda checkpoint: checkpoint.size)
        if longest.size > end.sequence:
            raise Mismatch(f"the ledger ends at {end.sequence}, and {longest.size} were signed")
        walk = ChainWalk(connection, 0, end.sequence)
        _compare(walk, checkpoints)
    _require_witnessed_erasures(walk, max(witnessed))
    if walk.last != end:
        raise Mismatch(f"the head says {end}, and the last entry is {walk.last}")
    return Audit(end.sequence, max(witnessed))


def _require_witnessed_erasures(walk: ChainWalk, witnessed: int) -> None:
    """Require that an entry which the witnesses have seen vouches for each emptied payload.

    Otherwise a forger could pass off a change as an erasure, by an entry that is added behind.
    """
    for number, digest in walk.emptied.items():
        said = [say for at, say in walk.vouched.items() if number < at <= witnessed]
        if not any(say.get(str(number)) == digest for say in said):
            raise Mismatch(f"entry {number} is emptied, and no entry that was witnessed says so")


def _require_signed(note: str, log: Key) -> LogCheckpoint:
    checkpoint = parse_checkpoint(note)[1]
    if checkpoint.origin != log.name or not signers(note, [log]):
        raise Invalid(f"a checkpoint of {checkpoint.size} entries is not signed by {log.name}")
    return checkpoint


def _compare(walk: ChainWalk, checkpoints: Sequence[LogCheckpoint]) -> None:
    """Hold each checkpoint against the tree of the entries that were walked."""
    wanted = {checkpoint.size // BLOCK for checkpoint in checkpoints}
    kept: dict[int, list[bytes]] = {}  # leaves of the blocks in which a checkpoint ends
    hashes = []
    for number, leaves in enumerate(walk.blocks()):
        if len(leaves) == BLOCK:
            hashes.append(block_hash(leaves))
        if number in wanted:
            kept[number] = leaves
    for checkpoint in checkpoints:
        if checkpoint.size > walk.last.sequence:
            raise Mismatch(f"the entries after {walk.last.sequence} are missing")
        if MerkleTree(checkpoint.size, hashes, kept.__getitem__).root() != checkpoint.root:
            raise Mismatch(f"the first {checkpoint.size} entries are not those that were signed")

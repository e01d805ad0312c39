"""The transparency log: the ledger's entries as a tree, and the checkpoints that were signed.

`TransparencyLog.publish` walks what was recorded since the last checkpoint, signs the tree that it
makes, and has it cosigned by witnesses. It reads entries and writes two tables of its own, so that
the account of the database which it uses needs no right to change an entry.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, Table, Text, select

from service.ledger.storage.commitments import COMMITMENTS, RECORDED_DIGEST, digest_of, is_emptied
from service.ledger.storage.database import begin_writing, connection_to
from service.ledger.storage.entries import GENESIS, Head, chained_hash
from service.ledger.storage.personal_tables import read_part
from service.ledger.storage.schema import entries, read_hash, read_head
from service.transparency.merkle_tree import BLOCK, MerkleTree, block_hash
from service.transparency.signing import Signer, sign_checkpoint
from service.transparency.verify_receipt import (
    FORMATS,
    Invalid,
    LogCheckpoint,
    leaf_hash,
    parse_checkpoint,
)
from service.transparency.witness_client import WitnessClient

BATCH = 8 * BLOCK  # entries in memory at a time

metadata = MetaData()
blocks = Table("ledger_blocks", metadata, Column("block", BigInteger), Column("hash", Text))
checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", BigInteger),
    Column("time", Text),
    Column("note", Text),
)


class Mismatch(Exception):
    """The ledger is not what was signed: the message names the entry or the checkpoint."""


class Published(NamedTuple):
    """A signed checkpoint with its time, and why witnesses did not sign it, by their names."""

    size: int
    time: str
    note: str
    refusals: dict[str, str]

    @property
    def cosignatures(self) -> int:
        """The number of signatures besides the log's own; they were checked before they came in."""
        return self.note.rpartition("\n\n")[2].count("\n") - 1


class TransparencyLog:
    """The tree over one ledger."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def newest(self) -> Published | None:
        """Return the newest checkpoint; None where there is none."""
        with connection_to(self.engine) as connection:
            return _newest(connection)

    def publish(self, signer: Signer, witnesses: Sequence[WitnessClient] = ()) -> Published:
        """Sign what the ledger holds now, have it cosigned, and keep it.

        Raises Mismatch, and signs nothing, where an entry since the last checkpoint does not
        follow the one before it, or where the ledger became shorter; LedgerUnavailable.
        """
        with connection_to(self.engine) as connection:
            end = self._extend(connection)
            root = read_tree(connection, end.sequence).root()
        note = sign_checkpoint(LogCheckpoint(signer.key.name, end.sequence, root), signer)
        refusals = {}
        for witness in witnesses:
            try:
                note += witness.cosign(note, self.consistency_proof)
            except (Invalid, OSError) as error:
                refusals[witness.key.name] = str(error)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        with connection_to(self.engine) as connection:
            begin_writing(connection)
            _store_checkpoint(connection, end.sequence, moment, note)
            connection.commit()
        return Published(end.sequence, moment, note, refusals)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `new` entries begin with the first `old`."""
        with connection_to(self.engine) as connection:
            return read_tree(connection, new).consistency_proof(old, new)

    def receipt(self, entry_id: str) -> dict[str, Any]:
        """Return the receipt of an entry, against the newest checkpoint that holds it.

        Raises KeyError where there is no such entry, Invalid where no checkpoint holds it yet, and
        where an earlier release has recorded it and it was erased.
        """
        with connection_to(self.engine) as connection:
            query = select(entries.c.sequence, entries.c.previous_hash, entries.c.payload)
            row = connection.execute(query.where(entries.c.id == entry_id)).one_or_none()
            if row is None:
                raise KeyError(entry_id)
            if is_emptied(row.payload):
                raise Invalid("the entry was erased, and what was recorded cannot be shown again")
            newest = _newest(connection)
            if newest is None or newest.size < row.sequence:
                raise Invalid(f"no checkpoint holds entry {row.sequence} yet: try again shortly")
            part = read_part(connection, row.sequence)
            is_apart = COMMITMENTS in json.loads(row.payload)
            tree = read_tree(connection, newest.size)
            proof = tree.inclusion_proof(row.sequence - 1, newest.size)
        return {
            "format": FORMATS[is_apart],
            "entry": dict(row._mapping),
            "proof": [base64.b64encode(part).decode() for part in proof],
            "checkpoint": newest.note,
        } | ({"personal": part._asdict() if part else None} if is_apart else {})

    def _extend(self, connection: Connection) -> Head:
        """Check the entries since the last whole block, and store the blocks that became whole."""
        stored = read_blocks(connection)
        end = read_head(connection)
        newest = _newest(connection)
        if newest and newest.size > end.sequence:
            raise Mismatch(f"the ledger ends at {end.sequence}, and {newest.size} were signed")
        first = len(stored) * BLOCK
        walk = ChainWalk(connection, first, end.sequence)
        fresh = []
        for number, leaves in enumerate(walk.blocks(), len(stored)):
            if len(leaves) == BLOCK:
                fresh.append({"block": number, "hash": block_hash(leaves).hex()})
        if walk.last != end:
            raise Mismatch(f"the head says {end}, and the last entry is {walk.last}")
        connection.rollback()
        if fresh:
            begin_writing(connection)
            known = set(connection.execute(select(blocks.c.block)).scalars())
            fresh = [row for row in fresh if row["block"] not in known]
            if fresh:
                connection.execute(blocks.insert(), fresh)
            connection.commit()
        return end


class ChainWalk:
    """A walk along the chain from entry `first` + 1 to `end`, which checks each entry's hash."""

    def __init__(self, connection: Connection, first: int, end: int) -> None:
        self._connection = connection
        self._end = end
        self.emptied: dict[int, str] = {}  # digests of erased payloads
        self.vouched: dict[int, dict[str, str]] = {}  # what erasures say of them
        self.last = Head(0, GENESIS)
        if first:
            recorded = read_hash(connection, first)
            if recorded is None:
                raise Mismatch(f"entry {first} is missing")
            self.last = Head(first, recorded)

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield the leaf hashes of block after block; the last may be shorter than BLOCK.

        Raises Mismatch for an entry that is missing, that was changed or does not follow.
        """
        columns = (entries.c.sequence, entries.c.previous_hash, entries.c.payload, entries.c.hash)
        leaves: list[bytes] = []
        while self.last.sequence < self._end:
            query = select(*columns).where(
                entries.c.sequence > self.last.sequence, entries.c.sequence <= self._end
            )
            rows = self._connection.execute(query.order_by(entries.c.sequence).limit(BATCH)).all()
            if not rows:
                return
            for sequence, previous, payload, recorded in rows:
                calculated = bytes.fromhex(chained_hash(sequence, previous, digest_of(payload)))
                if (sequence, previous) != (self.last.sequence + 1, self.last.hash):
                    raise Mismatch(f"entry {sequence} does not follow {self.last}")
                if calculated.hex() != recorded:
                    raise Mismatch(f"entry {sequence} was changed: its content has another hash")
                if RECORDED_DIGEST in payload or '"emptied":' in payload:
                    self._note_erasure(sequence, payload)
                self.last = Head(sequence, recorded)
                leaves.append(leaf_hash(calculated))
                if len(leaves) == BLOCK:
                    yield leaves
                    leaves = []
        if leaves:
            yield leaves

    def _note_erasure(self, sequence: int, payload: str) -> None:
        content = json.loads(payload)
        if RECORDED_DIGEST in content:
            self.emptied[sequence] = sha256(payload.encode()).hexdigest()
        elif content.get("kind") == "erase":
            self.vouched[sequence] = content.get("emptied", {})


def read_blocks(connection: Connection) -> list[bytes]:
    """Return the hashes of the whole blocks, in order; raises Mismatch where one is missing."""
    rows = connection.execute(select(blocks).order_by(blocks.c.block)).all()
    if [row.block for row in rows] != list(range(len(rows))):
        raise Mismatch("blocks of the tree are missing: empty the table ledger_blocks, and publish")
    return [bytes.fromhex(row.hash) for row in rows]


def read_tree(connection: Connection, size: int) -> MerkleTree:
    """Return the tree of the first `size` entries, as the stored blocks and hashes give it."""

    def read_block(block: int) -> list[bytes]:
        query = select(entries.c.hash).where(
            entries.c.sequence > block * BLOCK,
            entries.c.sequence <= min(size, (block + 1) * BLOCK),
        )
        hashes = connection.execute(query.order_by(entries.c.sequence)).scalars()
        return [leaf_hash(bytes.fromhex(each)) for each in hashes]

    return MerkleTree(size, read_blocks(connection), read_block)


def _newest(connection: Connection) -> Published | None:
    query = select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Published(row.size, row.time, row.note, {})


def _store_checkpoint(connection: Connection, size: int, moment: str, note: str) -> None:
    """Keep a checkpoint; of one size, the note with more signatures stays."""
    query = select(checkpoints.c.note).where(checkpoints.c.size == size)
    before = connection.execute(query).scalar_one_or_none()
    values = {"size": size, "time": moment, "note": note}
    if before is None:
        connection.execute(checkpoints.insert(), values)
        return
    if parse_checkpoint(before)[1] != parse_checkpoint(note)[1]:
        raise Mismatch(f"another tree of {size} entries was signed before")
    if len(note) > len(before):
        connection.execute(checkpoints.update().where(checkpoints.c.size == size), values)

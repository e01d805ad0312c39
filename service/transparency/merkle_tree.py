"""The Merkle tree over the ledger's entries (RFC 9162, section 2.1): roots and proofs.

A tree of n leaves is read as whole blocks of BLOCK leaves, whose hashes are stored, and the leaves
of single blocks, which are read when a proof needs them: a proof in a tree of a million leaves
reads some four thousand stored hashes and a few hundred leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from service.transparency.verify_receipt import Invalid, node_hash

BLOCK = 256
EMPTY = sha256().digest()  # the root of a tree without leaves


class MerkleTree:
    """A tree of `size` leaves, and every smaller tree that it extends."""

    def __init__(
        self,
        size: int,
        blocks: Sequence[bytes],
        read_block: Callable[[int], Sequence[bytes]],
    ) -> None:
        """Take the hashes of the whole blocks, and a function that returns a block's leaf hashes.

        `blocks` holds `size // BLOCK` hashes of 32 bytes; of the last block, `read_block` returns
        the leaves that there are.
        """
        self.size = size
        self._blocks = blocks
        self._read_block = read_block
        self._leaves: dict[int, Sequence[bytes]] = {}

    def root(self, size: int | None = None) -> bytes:
        """Return the root (32 bytes) of the first `size` leaves, of all where it is not given."""
        size = self.size if size is None else size
        return self._range(0, size) if size else EMPTY

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the hashes that lead from leaf `index` to the root of the first `size` leaves."""
        proof: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + largest_power_below(end - start)
            if index < middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start = middle
        return proof[::-1]

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the hashes that show that the first `new` leaves begin with the first `old`.

        The proof is empty where `old` is 0 or equals `new`.
        """
        if old in (0, new):
            return []
        proof: list[bytes] = []
        start, end, is_whole = 0, new, True  # whether old's part of the range is a tree of old
        while old != end:
            middle = start + largest_power_below(end - start)
            if old <= middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start, is_whole = middle, False
        if not is_whole:
            proof.append(self._range(start, end))
        return proof[::-1]

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        if width == BLOCK:
            return self._blocks[start // BLOCK]
        if width == 1:
            return self._leaves_of(start // BLOCK)[start % BLOCK]
        middle = start + largest_power_below(width)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _leaves_of(self, block: int) -> Sequence[bytes]:
        if block not in self._leaves:
            self._leaves[block] = self._read_block(block)
        return self._leaves[block]


def block_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the hash (32 bytes) of BLOCK leaf hashes."""
    level = list(leaves)
    while len(level) > 1:
        level = [node_hash(*pair) for pair in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def largest_power_below(width: int) -> int:
    """Return the largest power of two that is smaller than `width`, which is at least 2."""
    return 1 << (width - 1).bit_length() - 1


def require_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise Invalid unless the tree of `new` leaves begins with the tree of `old` leaves.

    Algorithm: RFC 9162, section 2.1.4.2; a tree of no leaves begins every tree.
    """
    if old > new:
        raise Invalid(f"a tree of {new} entries cannot extend one of {old}")
    if old in (0, new):
        if proof or (old == new and old_root != new_root):
            raise Invalid(f"the trees of {new} entries differ")
        return
    parts = list(proof)
    if old & (old - 1) == 0:  # a whole subtree, which the proof leaves out
        parts.insert(0, old_root)
    if not parts:
        raise Invalid("the consistency proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = parts[0]
    for part in parts[1:]:
        if last == 0:
            raise Invalid("the consistency proof is too long")
        if node & 1 or node == last:
            of_old, of_new = node_hash(part, of_old), node_hash(part, of_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            of_new = node_hash(of_new, part)
        node, last = node >> 1, last >> 1
    if last or of_old != old_root or of_new != new_root:
        raise Invalid(f"the tree of {new} entries does not begin with that of {old}")

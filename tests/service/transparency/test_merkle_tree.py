from __future__ import annotations

from hashlib import sha256

import pytest

from service.transparency import merkle_tree
from service.transparency.merkle_tree import (
    EMPTY,
    MerkleTree,
    block_hash,
    largest_power_below,
    require_consistency,
)
from service.transparency.verify_receipt import Invalid, leaf_hash, node_hash, root_of_inclusion

# The leaves and roots of Certificate Transparency's reference test (RFC 6962's trees of 1 to 8).
ENTRIES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [sha256(bytes([0, n])).digest() for n in range(70)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle_tree, "BLOCK", 4)


def tree_of(leaves: list[bytes]) -> MerkleTree:
    whole = [block_hash(leaves[n * 4 : n * 4 + 4]) for n in range(len(leaves) // 4)]
    return MerkleTree(len(leaves), whole, lambda block: leaves[block * 4 : block * 4 + 4])


def root_by_definition(leaves: list[bytes]) -> bytes:
    """Return MTH of RFC 9162, section 2.1.1, written as it stands there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"").digest()
    middle = largest_power_below(len(leaves))
    return node_hash(root_by_definition(leaves[:middle]), root_by_definition(leaves[middle:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES[:size]]
    assert tree_of(leaves).root().hex() == ROOTS[size - 1]


def test_the_root_of_every_size_is_that_of_the_definition() -> None:
    tree = tree_of(LEAVES)
    assert tree.root(0) == EMPTY == root_by_definition([])
    for size in range(1, 71):
        assert tree.root(size) == root_by_definition(LEAVES[:size])


def test_every_entry_is_proven_in_every_tree() -> None:
    tree = tree_of(LEAVES)
    for size in range(1, 71):
        root = root_by_definition(LEAVES[:size])
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            assert root_of_inclusion(LEAVES[index], index, size, proof) == root
            other = (index + 1) % 70
            assert root_of_inclusion(LEAVES[other], index, size, proof) != root


def test_every_tree_is_proven_to_begin_every_later_one() -> None:
    tree = tree_of(LEAVES)
    for new in range(1, 71):
        for old in range(new + 1):
            proof = tree.consistency_proof(old, new)
            require_consistency(old, tree.root(old), new, tree.root(new), proof)


def test_a_consistency_proof_with_a_part_changed_or_left_out_is_refused() -> None:
    tree = tree_of(LEAVES)
    for old, new in [(1, 2), (3, 7), (6, 13), (8, 70), (33, 64), (64, 70), (69, 70)]:
        proof = tree.consistency_proof(old, new)
        roots = old, tree.root(old), new, tree.root(new)
        for place in range(len(proof)):
            rest = proof[:place] + proof[place + 1 :]
            changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
            for wrong in (rest, changed, [*proof, bytes(32)]):
                with pytest.raises(Invalid):
                    require_consistency(*roots, wrong)
        with pytest.raises(Invalid, match="does not begin with"):
            require_consistency(old, tree.root(old + 1), new, tree.root(new), proof)


def test_an_inclusion_proof_of_the_wrong_length_is_refused() -> None:
    proof = tree_of(LEAVES).inclusion_proof(5, 70)
    with pytest.raises(Invalid, match="too short"):
        root_of_inclusion(LEAVES[5], 5, 70, proof[:-1])
    with pytest.raises(Invalid, match="too long"):
        root_of_inclusion(LEAVES[5], 5, 70, [*proof, bytes(32)])
    with pytest.raises(Invalid, match="has no entry 71"):
        root_of_inclusion(LEAVES[5], 70, 70, proof)


def test_a_shorter_tree_extends_nothing() -> None:
    tree = tree_of(LEAVES)
    with pytest.raises(Invalid, match="cannot extend"):
        require_consistency(8, tree.root(8), 7, tree.root(7), [])
    with pytest.raises(Invalid, match="trees of 8 entries differ"):
        require_consistency(8, tree.root(8), 8, tree.root(7), [])

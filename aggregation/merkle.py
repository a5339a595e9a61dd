"""Merkle trees as in Certificate Transparency (RFC 6962, section 2.1), with SHA-256.

Leaves and inner nodes are hashed with different prefixes, so neither can pose as the other, and a tree of n
leaves is split at the largest power of two below n.  That shape is the same as pairing the nodes of each
level from the left and moving an odd last one up unchanged, which is how it is computed here.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from aggregation.errors import MerklePathError

if TYPE_CHECKING:
    from collections.abc import Sequence


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the leaves' bytes; of no leaves, the hash of nothing."""
    if not leaves:
        return sha256(b"").digest()
    level = [_hash_leaf(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of a leaf: the sibling hashes from the leaf to the root.

    Raises:
      MerklePathError: there is no leaf of that index.

    """
    if not 0 <= index < len(leaves):
        raise MerklePathError(f"expected a leaf index below {len(leaves)}, got {index}")
    level = [_hash_leaf(leaf) for leaf in leaves]
    path = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _next_level(level)
        index >>= 1
    return path


def merkle_paths(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the audit paths of all leaves, for about the price of one: every leaf is hashed once."""
    paths: list[list[bytes]] = [[] for _ in leaves]
    level = [_hash_leaf(leaf) for leaf in leaves]
    height = 0
    while len(level) > 1:
        for index, path in enumerate(paths):
            sibling = index >> height ^ 1
            if sibling < len(level):
                path.append(level[sibling])
        level = _next_level(level)
        height += 1
    return paths


def verify_merkle_path(root: bytes, leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> None:
    """Check that the leaf's bytes stand at the index of the tree of `count` leaves with that root.

    Raises:
      MerklePathError: index, length of the path, size of a hash or the root is wrong.

    """
    if not 0 <= index < count:
        raise MerklePathError(f"expected a leaf index below {count}, got {index}")
    digest = _hash_leaf(leaf)
    position, last, used = index, count - 1, 0
    while last:
        # The last node of a level with an odd number of nodes has no sibling: it moves up as it is.
        if position != last or position & 1:
            if used == len(path):
                raise MerklePathError(f"expected a longer path for leaf {index} of {count}, got {len(path)}")
            sibling = path[used]
            used += 1
            if len(sibling) != 32:
                raise MerklePathError(f"expected hashes of 32 bytes in the path, got one of {len(sibling)}")
            digest = _hash_node(sibling, digest) if position & 1 else _hash_node(digest, sibling)
        position >>= 1
        last >>= 1
    if used != len(path):
        raise MerklePathError(
            f"expected a path of {used} hashes for leaf {index} of {count}, got {len(path)}"
        )
    if digest != root:
        raise MerklePathError(f"expected the root {root.hex()}, got {digest.hex()}")


def _hash_leaf(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _hash_node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _next_level(level: list[bytes]) -> list[bytes]:
    paired = [_hash_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return paired + level[-1:] if len(level) & 1 else paired

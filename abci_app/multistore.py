"""The app hash: a Merkle tree over the roots of the stores.

It is the "simple Merkle map" that Cosmos chains commit to: an RFC 6962 tree whose leaves are (store name, store root),
sorted by name.  ICS-23's `TendermintSpec` describes it, so the proof of a key is a chain of two proofs: the key in its
store, and the store in the app hash.

Sources: cosmossdk.io/store `types/commit_info.go`; RFC 6962 section 2.1; ICS-23.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.trie import encode_uvarint
from wire.cosmos.ics23.v1 import proofs_pb2
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAF_PREFIX: Final = b"\x00"
_INNER_PREFIX: Final = b"\x01"


def _hash_leaf(name: bytes, root: bytes) -> bytes:
    """Return the hash of a leaf; as in the trie, the value is hashed first."""
    return sha256(_LEAF_PREFIX + encode_uvarint(len(name)) + name + b"\x20" + sha256(root).digest()).digest()


def _split(count: int) -> int:
    """Return how many of several leaves go left: the largest power of two below their number."""
    return 1 << ((count - 1).bit_length() - 1)


def _hash_range(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, of which there is at least one."""
    if len(hashes) == 1:
        return hashes[0]
    middle = _split(len(hashes))
    return sha256(_INNER_PREFIX + _hash_range(hashes[:middle]) + _hash_range(hashes[middle:])).digest()


def _inner_ops(hashes: Sequence[bytes], index: int) -> list[proofs_pb2.InnerOp]:
    """Return the steps from a leaf to the root, leaf first."""
    if len(hashes) == 1:
        return []
    middle = _split(len(hashes))
    left, right = hashes[:middle], hashes[middle:]
    if index < middle:
        op = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=_INNER_PREFIX, suffix=_hash_range(right))
        return [*_inner_ops(left, index), op]
    op = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=_INNER_PREFIX + _hash_range(left))
    return [*_inner_ops(right, index - middle), op]


def hash_stores(roots: Mapping[str, bytes]) -> bytes:
    """Return the app hash over the roots by store name.

    Raises:
      ValueError: there is no store.

    """
    if not roots:
        raise ValueError("expected at least one store, got none")
    names = sorted(name.encode() for name in roots)
    return _hash_range([_hash_leaf(name, roots[name.decode()]) for name in names])


def prove_store(roots: Mapping[str, bytes], store: str) -> proofs_pb2.CommitmentProof:
    """Return the ICS-23 proof (`TendermintSpec`) that a store has its root under the app hash.

    Raises:
      ValueError: there is no such store.

    """
    if store not in roots:
        raise ValueError(f"expected one of the stores {sorted(roots)}, got {store}")
    names = sorted(name.encode() for name in roots)
    hashes = [_hash_leaf(name, roots[name.decode()]) for name in names]
    leaf = proofs_pb2.LeafOp(
        hash=proofs_pb2.SHA256,
        prehash_value=proofs_pb2.SHA256,
        length=proofs_pb2.VAR_PROTO,
        prefix=_LEAF_PREFIX,
    )
    path = _inner_ops(hashes, names.index(store.encode()))
    exist = proofs_pb2.ExistenceProof(key=store.encode(), value=roots[store], leaf=leaf, path=path)
    return proofs_pb2.CommitmentProof(exist=exist)


def chain_proofs(*proofs: proofs_pb2.CommitmentProof) -> bytes:
    """Return an encoded `MerkleProof`: proofs from the key's store up to the app hash."""
    return commitment_pb2.MerkleProof(proofs=proofs).SerializeToString(deterministic=True)

"""Formats of Merkle trees, as a light client keeps them to check proofs by.

Source: cosmos/ics23 `proofs.proto` and `proof.go`.  Only what ICS-23 can check soundly is accepted: trees of two
children that hash with SHA-256, whose leaves cannot be mistaken for inner nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ibc.errors import UnsupportedProofSpec
from wire.cosmos.ics23.v1 import proofs_pb2

HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ProofSpec:
    """The format of one tree."""

    leaf_prefix: bytes
    """What every leaf's preimage starts with, and no inner node's."""
    prehash_key: bool
    """Whether a leaf holds the key's hash instead of the key."""
    prehash_value: bool
    """Whether a leaf holds the value's hash instead of the value."""
    length_prefix: bool
    """Whether the length stands before key and value in a leaf, as a varint."""
    child_size: int
    """Bytes of a child in an inner node: its hash and the length before it, if there is one."""
    min_prefix: int
    """Fewest bytes before the left child."""
    max_prefix: int
    """Most bytes before the left child."""
    empty_child: bytes = b""
    """What stands for a missing child; empty where nodes have both children."""
    max_depth: int = 0
    """Most inner nodes on a path; 0 stands for the verifier's own bound."""
    min_depth: int = 0
    """Fewest inner nodes on a path."""
    prehash_key_before_comparison: bool = False
    """Whether the tree sorts its leaves by the hashes of their keys."""

    @property
    def has_iavl_nodes(self) -> bool:
        """Whether the node format is IAVL's, so that prefixes hold height, size and version."""
        return self._holds_values_hashed and self._inner_lengths == (33, 4, 12)

    @property
    def has_simple_nodes(self) -> bool:
        """Whether the node format is that of CometBFT's simple map, so that inner prefixes start with one known byte."""
        return self._holds_values_hashed and self._inner_lengths == (32, 1, 1)

    @property
    def _holds_values_hashed(self) -> bool:
        return not self.prehash_key and self.prehash_value and self.length_prefix

    @property
    def _inner_lengths(self) -> tuple[int, int, int]:
        return self.child_size, self.min_prefix, self.max_prefix


IAVL_SPEC: Final = ProofSpec(
    leaf_prefix=b"\x00",
    prehash_key=False,
    prehash_value=True,
    length_prefix=True,
    child_size=33,
    min_prefix=4,
    max_prefix=12,
)
"""IAVL trees: Cosmos SDK stores, and our provable store."""

TENDERMINT_SPEC: Final = ProofSpec(
    leaf_prefix=b"\x00",
    prehash_key=False,
    prehash_value=True,
    length_prefix=True,
    child_size=32,
    min_prefix=1,
    max_prefix=1,
)
"""The simple Merkle map of CometBFT: from store names to store roots."""

SMT_SPEC: Final = ProofSpec(
    leaf_prefix=b"\x00",
    prehash_key=True,
    prehash_value=True,
    length_prefix=False,
    child_size=32,
    min_prefix=1,
    max_prefix=1,
    empty_child=bytes(32),
    max_depth=256,
    prehash_key_before_comparison=True,
)
"""Sparse Merkle trees, with empty branches."""

DEFAULT_SPECS: Final = (IAVL_SPEC, TENDERMINT_SPEC)
"""What ibc-go uses where nothing else is said, the innermost tree first."""


def spec_from_wire(spec: proofs_pb2.ProofSpec) -> ProofSpec:
    """Return the format that a message describes.

    Raises:
      UnsupportedProofSpec: it is unsound, or of a kind that is not supported.

    """
    leaf, inner = spec.leaf_spec, spec.inner_spec
    _check_operations(leaf, inner)
    no_length = leaf.length == proofs_pb2.NO_PREFIX
    if no_length and (leaf.prehash_key, leaf.prehash_value) != (proofs_pb2.SHA256, proofs_pb2.SHA256):
        raise UnsupportedProofSpec(
            "expected key and value of a leaf to be hashed or to have lengths, got neither"
        )
    if not HASH_BYTES <= inner.child_size <= 2 * HASH_BYTES:
        raise UnsupportedProofSpec(
            f"expected a child size of {HASH_BYTES} to {2 * HASH_BYTES}, got {inner.child_size}"
        )
    shortest, longest = inner.min_prefix_length, inner.max_prefix_length
    # Without the upper bound a right child could also be read as a left one (cosmos/ics23#369).
    if not 1 <= len(leaf.prefix) <= shortest <= longest < shortest + inner.child_size:
        raise UnsupportedProofSpec(
            f"expected 1 <= leaf prefix <= min prefix <= max prefix < min prefix + child size, got "
            f"{len(leaf.prefix)}, {shortest}, {longest} and {inner.child_size}"
        )
    if inner.empty_child and len(inner.empty_child) != inner.child_size:
        raise UnsupportedProofSpec(
            f"expected an empty child of {inner.child_size} bytes, got {len(inner.empty_child)}"
        )
    if spec.min_depth < 0 or spec.max_depth < 0:
        raise UnsupportedProofSpec(f"expected depths from 0, got {spec.min_depth} and {spec.max_depth}")
    return ProofSpec(
        leaf_prefix=leaf.prefix,
        prehash_key=leaf.prehash_key == proofs_pb2.SHA256,
        prehash_value=leaf.prehash_value == proofs_pb2.SHA256,
        length_prefix=not no_length,
        child_size=inner.child_size,
        min_prefix=shortest,
        max_prefix=longest,
        empty_child=inner.empty_child,
        max_depth=spec.max_depth,
        min_depth=spec.min_depth,
        prehash_key_before_comparison=spec.prehash_key_before_comparison,
    )


def _check_operations(leaf: proofs_pb2.LeafOp, inner: proofs_pb2.InnerSpec) -> None:
    if (leaf.hash, inner.hash) != (proofs_pb2.SHA256, proofs_pb2.SHA256):
        raise UnsupportedProofSpec(f"expected SHA-256 for all nodes, got {leaf.hash} and {inner.hash}")
    for prehash in (leaf.prehash_key, leaf.prehash_value):
        if prehash not in (proofs_pb2.NO_HASH, proofs_pb2.SHA256):
            raise UnsupportedProofSpec(f"expected no hash or SHA-256 before hashing a leaf, got {prehash}")
    if leaf.length not in (proofs_pb2.NO_PREFIX, proofs_pb2.VAR_PROTO):
        raise UnsupportedProofSpec(f"expected no length or a varint before leaf data, got {leaf.length}")
    if list(inner.child_order) != [0, 1]:
        raise UnsupportedProofSpec(f"expected two children in order, got {list(inner.child_order)[:8]}")


def spec_to_wire(spec: ProofSpec) -> proofs_pb2.ProofSpec:
    """Return the format as a message."""
    return proofs_pb2.ProofSpec(
        leaf_spec=proofs_pb2.LeafOp(
            hash=proofs_pb2.SHA256,
            prehash_key=proofs_pb2.SHA256 if spec.prehash_key else proofs_pb2.NO_HASH,
            prehash_value=proofs_pb2.SHA256 if spec.prehash_value else proofs_pb2.NO_HASH,
            length=proofs_pb2.VAR_PROTO if spec.length_prefix else proofs_pb2.NO_PREFIX,
            prefix=spec.leaf_prefix,
        ),
        inner_spec=proofs_pb2.InnerSpec(
            child_order=[0, 1],
            child_size=spec.child_size,
            min_prefix_length=spec.min_prefix,
            max_prefix_length=spec.max_prefix,
            empty_child=spec.empty_child,
            hash=proofs_pb2.SHA256,
        ),
        max_depth=spec.max_depth,
        min_depth=spec.min_depth,
        prehash_key_before_comparison=spec.prehash_key_before_comparison,
    )

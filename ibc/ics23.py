"""ICS-23: verification that a key has a value in a Merkle tree, or that it is absent.

A proof lists hash operations from a leaf up to the root.  Hashing alone proves nothing: without a description of
what a real tree's nodes look like, an inner node can be passed off as a leaf, or a leaf in the middle of the tree as
its right edge.  The Dragonberry forgeries of 2022 were of that kind: they showed keys to be absent that existed.  So
every operation is compared with a `ProofSpec` before anything is hashed, by these rules:

1. the leaf hashes as the spec says, and its prefix starts with the spec's leaf prefix;
2. an inner prefix does not start with the leaf prefix, and prefix and suffix have lengths that put the child at one
   of the two places of a node;
3. the number of inner nodes is within the spec's bounds, or 128 if it sets none;
4. an IAVL node's prefix holds height, size and version: 0 and 1 in a leaf, and in an inner node a height of at least
   its distance from the leaf;
5. an inner prefix of the simple map starts with 0x01, which every inner node of RFC 6962's trees starts with;
6. an absent key lies strictly between two leaves that are next to each other, or beyond the edge of the tree.

Source: cosmos/ics23 go v0.11.0 with the hardening of its main branch (cosmos/ics23#369), with Tendermint and IAVL
specs and trees of two children that hash with SHA-256.  Batch and compressed proofs are refused.  The rule that no
result may be longer than a child holds by itself: results have 32 bytes, and no shorter child is accepted in a spec.
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ibc.errors import (
    DepthOutOfRange,
    EmptyKeyOrValue,
    IbcError,
    InnerMismatch,
    KeyNotBetween,
    LeafMismatch,
    MalformedProof,
    NotNeighbours,
    ProofKeyMismatch,
    ProofValueMismatch,
    RootMismatch,
    UnsupportedProof,
    WrongProofKind,
)
from ibc.protowire import encode_uvarint
from tx.codec import decode_canonical
from tx.failures import TxError
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibc.proof_spec import ProofSpec

DEFAULT_MAX_DEPTH: Final = 128
"""Most inner nodes where the spec sets no bound."""

_SIMPLE_INNER_PREFIX = b"\x01"
_MAX_VARINT_BYTES = 10
_MAX_INT_64 = (1 << 63) - 1


class Side(Enum):
    """Which child of its parent a node is."""

    LEFT = 0
    RIGHT = 1


def verify_membership(spec: ProofSpec, root: bytes, proof_bytes: bytes, key: bytes, value: bytes) -> None:
    """Verify that the tree with that root maps the key to the value.

    Raises:
      IbcError: the proof is malformed, breaks a rule of the spec, or is about something else.

    """
    _check_root(root, existence_root(spec, require_existence(decode_proof(proof_bytes)), key, value))


def verify_non_membership(spec: ProofSpec, root: bytes, proof_bytes: bytes, key: bytes) -> None:
    """Verify that the tree with that root does not contain the key.

    Raises:
      IbcError: the proof is malformed, breaks a rule of the spec, or is about something else.

    """
    _check_root(root, absence_root(spec, require_absence(decode_proof(proof_bytes)), key))


def _check_root(expected: bytes, got: bytes) -> None:
    if expected != got:
        raise RootMismatch(f"expected the root {expected.hex()}, got {got.hex()}")


def decode_proof(data: bytes) -> proofs_pb2.CommitmentProof:
    """Return the proof that the bytes encode.

    Raises:
      MalformedProof: the bytes are not the canonical encoding of a proof.

    """
    try:
        return decode_canonical(proofs_pb2.CommitmentProof, data)
    except TxError as error:
        raise MalformedProof(error.message) from error


def require_existence(proof: proofs_pb2.CommitmentProof) -> proofs_pb2.ExistenceProof:
    """Return the proof of existence.

    Raises:
      UnsupportedProof: it is a batch or compressed proof.
      WrongProofKind: it is a proof of absence, or nothing.

    """
    kind = _require_single(proof)
    if kind != "exist":
        raise WrongProofKind(f"expected a proof of existence, got {kind}")
    return proof.exist


def require_absence(proof: proofs_pb2.CommitmentProof) -> proofs_pb2.NonExistenceProof:
    """Return the proof of absence.

    Raises:
      UnsupportedProof: it is a batch or compressed proof.
      WrongProofKind: it is a proof of existence, or nothing.

    """
    kind = _require_single(proof)
    if kind != "nonexist":
        raise WrongProofKind(f"expected a proof of absence, got {kind}")
    return proof.nonexist


def _require_single(proof: proofs_pb2.CommitmentProof) -> str:
    kind = proof.WhichOneof("proof")
    if kind in ("batch", "compressed"):
        raise UnsupportedProof(f"expected a single proof, got a {kind} one")
    return kind or "an empty proof"


def existence_root(spec: ProofSpec, proof: proofs_pb2.ExistenceProof, key: bytes, value: bytes) -> bytes:
    """Check a proof of existence against its spec and return the root that it leads to.

    Raises:
      IbcError: the proof breaks a rule, or is about another key or value.

    """
    if proof.key != key:
        raise ProofKeyMismatch(f"expected a proof of key {key.hex()}, got one of {proof.key.hex()}")
    if proof.value != value:
        raise ProofValueMismatch(f"expected a proof of value {value.hex()}, got one of {proof.value.hex()}")
    return _checked_root(spec, proof)


def _checked_root(spec: ProofSpec, proof: proofs_pb2.ExistenceProof) -> bytes:
    if not proof.HasField("leaf"):
        raise MalformedProof("expected a leaf operation, got none")
    if not proof.key or not proof.value:
        raise EmptyKeyOrValue(
            f"expected a key and a value, got {len(proof.key)} and {len(proof.value)} bytes"
        )
    depth, longest = len(proof.path), spec.max_depth or DEFAULT_MAX_DEPTH
    if not spec.min_depth <= depth <= longest:
        raise DepthOutOfRange(f"expected {spec.min_depth} to {longest} inner nodes, got {depth}")
    _check_leaf(spec, proof.leaf)
    for layer, node in enumerate(proof.path, start=1):
        _check_inner(spec, node, layer)
    result = sha256(
        proof.leaf.prefix
        + _leaf_part(proof.key, prehash=spec.prehash_key, with_length=spec.length_prefix)
        + _leaf_part(proof.value, prehash=spec.prehash_value, with_length=spec.length_prefix)
    ).digest()
    for node in proof.path:
        result = sha256(node.prefix + result + node.suffix).digest()
    return result


def _leaf_part(data: bytes, *, prehash: bool, with_length: bool) -> bytes:
    hashed = sha256(data).digest() if prehash else data
    return encode_uvarint(len(hashed)) + hashed if with_length else hashed


def _check_leaf(spec: ProofSpec, leaf: proofs_pb2.LeafOp) -> None:
    expected = (
        proofs_pb2.SHA256,
        proofs_pb2.SHA256 if spec.prehash_key else proofs_pb2.NO_HASH,
        proofs_pb2.SHA256 if spec.prehash_value else proofs_pb2.NO_HASH,
        proofs_pb2.VAR_PROTO if spec.length_prefix else proofs_pb2.NO_PREFIX,
    )
    got = (leaf.hash, leaf.prehash_key, leaf.prehash_value, leaf.length)
    if got != expected:
        raise LeafMismatch(f"expected leaf operations {expected}, got {got}")
    if not leaf.prefix.startswith(spec.leaf_prefix):
        raise LeafMismatch(
            f"expected a leaf prefix that starts with {spec.leaf_prefix.hex()}, got {leaf.prefix.hex()}"
        )
    if spec.has_iavl_nodes:
        height, size, rest = _read_iavl_prefix(leaf.prefix, LeafMismatch)
        if height != 0 or size != 1 or rest != 0:
            raise LeafMismatch(
                f"expected an IAVL leaf of height 0 and size 1, got prefix {leaf.prefix.hex()}"
            )


def _check_inner(spec: ProofSpec, node: proofs_pb2.InnerOp, layer: int) -> None:
    """Check one inner node; `layer` is its distance from the leaf."""
    if node.hash != proofs_pb2.SHA256:
        raise InnerMismatch(f"expected hash operation {proofs_pb2.SHA256}, got {node.hash}")
    if node.prefix.startswith(spec.leaf_prefix):
        raise InnerMismatch(
            f"expected an inner prefix, got {node.prefix.hex()}, which starts as a leaf's does"
        )
    child_side(spec, node)
    if spec.has_simple_nodes and not node.prefix.startswith(_SIMPLE_INNER_PREFIX):
        raise InnerMismatch(
            f"expected an inner prefix that starts with {_SIMPLE_INNER_PREFIX.hex()}, got {node.prefix.hex()}"
        )
    if spec.has_iavl_nodes:
        height, _size, rest = _read_iavl_prefix(node.prefix, InnerMismatch)
        if height < layer:
            raise InnerMismatch(f"expected an IAVL height of at least {layer}, got {height}")
        # What follows is the length of the next hash, with the whole left child before it or not.
        if rest not in (1, 1 + spec.child_size):
            raise InnerMismatch(
                f"expected 1 or {1 + spec.child_size} bytes after the IAVL varints, got {rest}"
            )


def child_side(spec: ProofSpec, node: proofs_pb2.InnerOp) -> Side:
    """Return which child the proof goes through, from the lengths of what stands around it.

    Raises:
      InnerMismatch: the lengths fit neither place.

    """
    before, after = len(node.prefix), len(node.suffix)
    if after == spec.child_size and spec.min_prefix <= before <= spec.max_prefix:
        return Side.LEFT
    if after == 0 and spec.min_prefix <= before - spec.child_size <= spec.max_prefix:
        return Side.RIGHT
    raise InnerMismatch(
        f"expected prefix and suffix to hold {spec.min_prefix} to {spec.max_prefix} bytes and one child of "
        f"{spec.child_size}, got {before} and {after} bytes"
    )


def _read_iavl_prefix(prefix: bytes, mismatch: type[IbcError]) -> tuple[int, int, int]:
    """Return height, size and the number of bytes after the three varints (height, size, version).

    Raises:
      IbcError: of the given class, when a varint is cut off, negative, too large or longer than it needs to be.

    """
    numbers = []
    position = 0
    for _ in range(3):
        decoded = _read_varint(prefix, position)
        if decoded is None:
            raise mismatch(f"expected three non-negative varints, got the prefix {prefix.hex()}")
        number, position = decoded
        numbers.append(number)
    return numbers[0], numbers[1], len(prefix) - position


def _read_varint(data: bytes, start: int) -> tuple[int, int] | None:
    """Return a zigzag varint and the position after it, or None when it is none that a tree writes."""
    number = 0
    for index, byte in enumerate(data[start : start + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            is_negative, is_padded = number & 1, byte == 0 and index > 0
            if is_negative or is_padded or number >> 1 > _MAX_INT_64:
                return None
            return number >> 1, start + index + 1
    return None


def absence_root(spec: ProofSpec, proof: proofs_pb2.NonExistenceProof, key: bytes) -> bytes:
    """Check a proof of absence against its spec and return the root that its neighbours lead to.

    Raises:
      IbcError: the proof breaks a rule, or its neighbours do not enclose the key.

    """
    if not key:
        raise EmptyKeyOrValue("expected a key, got an empty one")
    left = proof.left if proof.HasField("left") else None
    right = proof.right if proof.HasField("right") else None
    roots = [_checked_root(spec, neighbour) for neighbour in (left, right) if neighbour is not None]
    if not roots:
        raise MalformedProof("expected at least one neighbour of the absent key, got none")
    _check_root(roots[0], roots[-1])
    place = _place_of(spec, key)
    if right is not None and place >= _place_of(spec, right.key):
        raise KeyNotBetween(f"expected a right neighbour above key {key.hex()}, got {right.key.hex()}")
    if left is not None and place <= _place_of(spec, left.key):
        raise KeyNotBetween(f"expected a left neighbour below key {key.hex()}, got {left.key.hex()}")
    if left is not None and right is not None:
        _check_neighbours(spec, list(left.path), list(right.path))
    elif left is not None:
        _check_right_most(spec, left.path)
    elif right is not None:
        _check_left_most(spec, right.path)
    return roots[0]


def _place_of(spec: ProofSpec, key: bytes) -> bytes:
    """Return what the tree orders its leaves by."""
    return sha256(key).digest() if spec.prehash_key_before_comparison and spec.prehash_key else key


def _check_left_most(spec: ProofSpec, path: Sequence[proofs_pb2.InnerOp]) -> None:
    """Check that no leaf is to the left of the path: it only turns right beside empty children.

    Where a tree has none, the spec's empty child is no bytes, which no child ever is.
    """
    for node in path:
        if child_side(spec, node) is Side.RIGHT and node.prefix[-spec.child_size :] != spec.empty_child:
            raise NotNeighbours(
                "expected the tree's left-most leaf below the split, got a leaf with others before it"
            )


def _check_right_most(spec: ProofSpec, path: Sequence[proofs_pb2.InnerOp]) -> None:
    """Check that no leaf is to the right of the path: it only turns left beside empty children."""
    for node in path:
        if child_side(spec, node) is Side.LEFT and node.suffix != spec.empty_child:
            raise NotNeighbours(
                "expected the tree's right-most leaf below the split, got a leaf with others after it"
            )


def _check_neighbours(
    spec: ProofSpec, left: list[proofs_pb2.InnerOp], right: list[proofs_pb2.InnerOp]
) -> None:
    """Check that two leaves are next to each other.

    From the root down their paths are the same until they part at one node, the left one into its left child; from
    there the left path keeps to the right edge, and the right one to the left edge.
    """
    while left and right and left[-1].prefix == right[-1].prefix and left[-1].suffix == right[-1].suffix:
        left.pop()
        right.pop()
    if not left or not right:
        raise NotNeighbours(
            "expected two leaves whose paths part at one node, got one path that contains the other"
        )
    sides = child_side(spec, left.pop()), child_side(spec, right.pop())
    if sides != (Side.LEFT, Side.RIGHT):
        raise NotNeighbours(
            f"expected paths that part to the left and to the right, got {sides[0]} and {sides[1]}"
        )
    _check_right_most(spec, left)
    _check_left_most(spec, right)

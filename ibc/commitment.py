"""Proofs through nested trees: a key in a store, and the store's root in the app hash.

Source: ibc-go `23-commitment/types/merkle.go`.  Proofs and specs are listed from the innermost tree, keys from the
outermost one.  Only the innermost proof may show absence; a proof of absence further out would prove nothing about
the value (cardano-ibc-incubator#673).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibc.errors import EmptyKeyOrValue, MalformedProof, ProofCountMismatch, RootMismatch
from ibc.ics23 import absence_root, existence_root, require_absence, require_existence
from tx.codec import decode_canonical
from tx.failures import TxError
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibc.proof_spec import ProofSpec
    from wire.cosmos.ics23.v1 import proofs_pb2


def build_merkle_path(prefix: Sequence[bytes], key: bytes) -> tuple[bytes, ...]:
    """Return the path of a key under a counterparty's prefix: the key is appended to the last element.

    Raises:
      ProofCountMismatch: the prefix has no element.

    """
    if not prefix:
        raise ProofCountMismatch("expected a Merkle prefix of at least one element, got none")
    return (*prefix[:-1], prefix[-1] + key)


def verify_chained_membership(
    specs: Sequence[ProofSpec], root: bytes, merkle_proof_bytes: bytes, path: Sequence[bytes], value: bytes
) -> None:
    """Verify that the value stands at the path below the root.

    Raises:
      IbcError: the proof is malformed, breaks a rule, or is about something else.

    """
    proofs = _decode_chain(specs, merkle_proof_bytes, path)
    if not value:
        raise EmptyKeyOrValue("expected a value, got an empty one")
    _verify_from(0, specs, root, proofs, path, value)


def verify_chained_non_membership(
    specs: Sequence[ProofSpec], root: bytes, merkle_proof_bytes: bytes, path: Sequence[bytes]
) -> None:
    """Verify that nothing stands at the path below the root.

    Raises:
      IbcError: the proof is malformed, breaks a rule, or is about something else.

    """
    proofs = _decode_chain(specs, merkle_proof_bytes, path)
    subroot = absence_root(specs[0], require_absence(proofs[0]), path[-1])
    _verify_from(1, specs, root, proofs, path, subroot)


def _decode_chain(
    specs: Sequence[ProofSpec], data: bytes, path: Sequence[bytes]
) -> Sequence[proofs_pb2.CommitmentProof]:
    try:
        proofs = decode_canonical(commitment_pb2.MerkleProof, data).proofs
    except TxError as error:
        raise MalformedProof(error.message) from error
    if not proofs or not len(proofs) == len(specs) == len(path):
        raise ProofCountMismatch(
            f"expected a proof and a key for each of {len(specs)} trees, got {len(proofs)} proofs and {len(path)} keys"
        )
    return proofs


def _verify_from(
    start: int,
    specs: Sequence[ProofSpec],
    root: bytes,
    proofs: Sequence[proofs_pb2.CommitmentProof],
    path: Sequence[bytes],
    value: bytes,
) -> None:
    """Follow the proofs of existence from one tree to the next; each root is the value in the tree around it."""
    for spec, proof, key in zip(
        specs[start:], proofs[start:], reversed(path[: len(path) - start]), strict=True
    ):
        value = existence_root(spec, require_existence(proof), key, value)
    if value != root:
        raise RootMismatch(f"expected the root {root.hex()}, got {value.hex()}")

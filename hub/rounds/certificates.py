"""The check of the certificates of a checkpoint's body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregation.assignment import verify_assignment
from aggregation.ordering import batch_order
from aggregation.payload import blob_count
from hub.errors import CertificateMismatch
from tx.domains import CERTIFICATE_LEAF
from tx.statements import verify_statement
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.gradchain.fl.v1 import round_pb2


@dataclass(frozen=True, slots=True)
class CertificateRules:
    """What a certificate is checked against."""

    hub_chain_id: str
    info: round_pb2.RoundInfo
    assignment: round_pb2.ShardAssignment
    parameters: int
    """Coordinates of an update."""


def verify_certificates(
    rules: CertificateRules, certificates: Sequence[update_pb2.Certificate]
) -> list[update_pb2.UpdateStatement]:
    """Return the statements of certificates after checking each of them, and their order.

    Raises:
      CertificateMismatch: one does not belong to the round, comes twice, or stands out of batch order.
      TxError: a statement is malformed, or its signature does not verify.
      MerklePathError: a participant is not assigned to the shard.

    """
    statements = [_verify_certificate(rules, certificate) for certificate in certificates]
    participants = [statement.participant for statement in statements]
    if len(set(participants)) != len(participants):
        raise CertificateMismatch("expected one certificate a participant, got two")
    if batch_order(rules.info.seed, participants) != list(range(len(participants))):
        raise CertificateMismatch("expected certificates in batch order, got another order")
    return statements


def _verify_certificate(
    rules: CertificateRules, certificate: update_pb2.Certificate
) -> update_pb2.UpdateStatement:
    if certificate.domain != CERTIFICATE_LEAF:
        raise CertificateMismatch(f"expected the domain {CERTIFICATE_LEAF}, got another one")
    statement = verify_statement(
        update_pb2.SignedStatement(statement=certificate.statement, signature=certificate.signature)
    )
    _check_statement(rules, statement)
    if certificate.assignment.count != rules.assignment.assigned:
        raise CertificateMismatch(
            f"expected a proof among {rules.assignment.assigned} participants, got {certificate.assignment.count}"
        )
    verify_assignment(rules.assignment.assignment_root, certificate.assignment, statement)
    return statement


def _check_statement(rules: CertificateRules, statement: update_pb2.UpdateStatement) -> None:
    """Check that a statement answers this round on this shard."""
    info = rules.info
    pairs = (
        ("hub_chain_id", rules.hub_chain_id, statement.hub_chain_id),
        ("task", info.task, statement.task),
        ("round", info.round, statement.round),
        ("attempt", info.attempt, statement.attempt),
        ("shard", rules.assignment.shard, statement.shard),
        ("spec_digest", info.spec_digest, statement.spec_digest),
        ("base_root", info.base_root, statement.base_root),
        ("scale", info.scale, statement.scale),
        ("number of commitments", blob_count(rules.parameters), len(statement.commitments)),
    )
    for field, expected, got in pairs:
        if expected != got:
            raise CertificateMismatch(f"expected {expected!r} as {field}, got {got!r}")
    if statement.large > rules.parameters:
        raise CertificateMismatch(
            f"expected at most {rules.parameters} large coordinates, got {statement.large}"
        )

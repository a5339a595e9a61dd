"""The check of a checkpoint's body: everything that does not need the updates themselves.

A pure function of the header, the round and the bytes.  Whatever is wrong with a body that matches its root was
signed by more than two thirds of the shard's power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregation.aggregate import decode_aggregate, verify_aggregate
from aggregation.gram import decode_gram
from aggregation.merkle import merkle_root
from aggregation.ordering import batch_sizes
from aggregation.payload import blob_count
from aggregation.weights import compute_weights, parse_rule
from hub.errors import BodyMismatch, WeightMismatch
from hub.rounds.certificates import CertificateRules, verify_certificates
from hub.rounds.types import Tally, TallyEntry
from tx.codec import decode_canonical, encode
from tx.domains import COMMITMENT_LEAF, GRAM_LEAF
from wire.gradchain.fl.v1 import packet_pb2, update_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

    from aggregation.kzg import Setup
    from wire.gradchain.fl.v1 import round_pb2, task_pb2


@dataclass(frozen=True, slots=True)
class BodyRules:
    """What a body is checked against."""

    hub_chain_id: str
    spec: task_pb2.TaskSpec
    info: round_pb2.RoundInfo
    assignment: round_pb2.ShardAssignment
    """The shard's entry in the opening record."""

    header: packet_pb2.Checkpoint


def verify_body(setup: Setup, rules: BodyRules, body_bytes: bytes) -> packet_pb2.CheckpointBody:
    """Return the body after all checks, cheapest first.

    Raises:
      MalformedEncoding, UnknownField, NonCanonicalEncoding: the bytes are no canonical body.
      BodyMismatch: a list, or its root, is not what the header says.
      CertificateMismatch: a certificate does not belong to the round, or not in its place.
      WeightMismatch: the weights do not follow from the Gram matrices.
      TxError: a statement is malformed, or its signature does not verify.
      AggregationError: a proof of assignment, a Gram matrix, a commitment or the aggregate is wrong.

    """
    body = decode_canonical(packet_pb2.CheckpointBody, body_bytes)
    _check_shape(rules, body)
    aggregate = decode_aggregate(body.aggregate, rules.spec.parameters)
    statements = verify_certificates(
        CertificateRules(rules.hub_chain_id, rules.info, rules.assignment, rules.spec.parameters),
        body.certificates,
    )
    weights = [certificate.weight for certificate in body.certificates]
    _check_weights(rules, body, weights)
    verify_aggregate(
        setup,
        [tuple(statement.commitments) for statement in statements],
        weights,
        [leaf.commitment for leaf in body.commitments],
        aggregate,
        rules.spec.parameters,
        rules.header.certificates_root,
    )
    return body


def read_tally(body: packet_pb2.CheckpointBody) -> Tally:
    """Return what is kept of the certificates of a verified body."""
    entries = []
    for certificate in body.certificates:
        statement = update_pb2.UpdateStatement.FromString(certificate.statement)
        entries.append(
            TallyEntry(statement.participant, certificate.weight, statement.clipped, statement.large)
        )
    return Tally(tuple(entries))


def _check_shape(rules: BodyRules, body: packet_pb2.CheckpointBody) -> None:
    """Check counts, domains, numbering and roots of the lists in a body."""
    header = rules.header
    if len(body.certificates) != header.updates:
        raise BodyMismatch(f"expected {header.updates} certificates, got {len(body.certificates)}")
    sizes, claimed = batch_sizes(header.updates), [leaf.updates for leaf in body.grams]
    if claimed != sizes:
        raise BodyMismatch(f"expected Gram matrices of {sizes} updates, got {claimed}")
    columns = blob_count(rules.spec.parameters)
    if len(body.commitments) != columns:
        raise BodyMismatch(f"expected {columns} commitments of the aggregate, got {len(body.commitments)}")
    for number, gram in enumerate(body.grams):
        if gram.domain != GRAM_LEAF or gram.batch != number:
            raise BodyMismatch(f"expected the Gram matrix of batch {number}, got another leaf")
    for number, column in enumerate(body.commitments):
        if column.domain != COMMITMENT_LEAF or column.column != number:
            raise BodyMismatch(f"expected the commitment of column {number}, got another leaf")
    _check_root("certificates", header.certificates_root, body.certificates)
    _check_root("Gram matrices", header.grams_root, body.grams)
    _check_root("commitments", header.commitments_root, body.commitments)


def _check_root(name: str, expected: bytes, leaves: Iterable[Message]) -> None:
    got = merkle_root([encode(leaf) for leaf in leaves])
    if got != expected:
        raise BodyMismatch(f"expected {expected.hex()} as the root of the {name}, got {got.hex()}")


def _check_weights(rules: BodyRules, body: packet_pb2.CheckpointBody, weights: Sequence[int]) -> None:
    """Check that each batch's weights follow from its Gram matrix, and that they add up to the header's total."""
    rule = parse_rule(rules.spec.rule)
    expected: list[int] = []
    for leaf in body.grams:
        # Out of numpy: squares of norms and bounds leave 64 bits.
        diagonal = decode_gram(leaf.entries, leaf.updates).diagonal().tolist()
        expected += compute_weights(rule, diagonal, rules.info.unit_weight)
    for place, (right, claimed) in enumerate(zip(expected, weights, strict=True)):
        if right != claimed:
            raise WeightMismatch(f"expected weight {right} of certificate {place}, got {claimed}")
    if sum(weights) != rules.header.total_weight:
        raise WeightMismatch(f"expected a total weight of {rules.header.total_weight}, got {sum(weights)}")

"""From the accepted updates of a round to its checkpoint.

Everything here is a function of the round, the accepted updates and their weights' rule: every node makes the same
bytes, and the hub can repeat all of it but the inner products.  Payloads are read one batch at a time; what stays in
memory of a batch is its Gram matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aggregation.aggregate import aggregate_commitments, aggregate_updates, encode_aggregate
from aggregation.gram import encode_gram, gram_matrix
from aggregation.merkle import merkle_root
from aggregation.model import model_chunks
from aggregation.ordering import batch_order, batch_sizes
from aggregation.payload import decode_payload
from aggregation.weights import compute_weights
from shards.checkpoints.types import BODY_PART_BYTES, BuiltCheckpoint
from shards.updates.state import list_accepted, require_payload, require_signed
from tx.codec import encode
from tx.domains import CERTIFICATE_LEAF, COMMITMENT_LEAF, GRAM_LEAF
from wire.gradchain.fl.v1 import packet_pb2, update_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from abci_app.state import StateReader
    from shards.rounds.types import Round
    from shards.updates.types import UpdateRecord


@dataclass(frozen=True, slots=True, eq=False)
class WeighedBatch:
    """What a batch leaves behind once its payloads are out of memory."""

    gram: packet_pb2.GramLeaf
    weights: list[int]
    aggregate: NDArray[np.int32]
    """Weighted sum of the batch's updates, shape (d,)."""


def build_checkpoint(state: StateReader, opening: Round) -> BuiltCheckpoint:
    """Return the checkpoint of the updates that the round has accepted.

    Without updates all roots are those of empty trees, and there is no body.

    Raises:
      MissingBlob: the disk has lost a payload.

    """
    records = list_accepted(state, opening.round_id)
    participants = list(records)
    ordered = [participants[index] for index in batch_order(opening.seed, participants)]
    if not ordered:
        return _assemble(opening, packet_pb2.CheckpointBody(), 0)
    batches = _weigh_batches(state, opening, [records[participant] for participant in ordered])
    weights = [weight for batch in batches for weight in batch.weights]
    certificates, commitments = _certify(state, opening, ordered, weights)
    columns = aggregate_commitments(commitments, weights, opening.blobs)
    aggregate = np.zeros(opening.parameters, np.int64)
    for batch in batches:
        aggregate += batch.aggregate
    body = packet_pb2.CheckpointBody(
        certificates=certificates,
        grams=[batch.gram for batch in batches],
        commitments=[
            packet_pb2.CommitmentLeaf(domain=COMMITMENT_LEAF, column=column, commitment=commitment)
            for column, commitment in enumerate(columns)
        ],
        aggregate=encode_aggregate(aggregate),
    )
    return _assemble(opening, body, sum(weights))


def _weigh_batches(state: StateReader, opening: Round, records: Sequence[UpdateRecord]) -> list[WeighedBatch]:
    batches = []
    start = 0
    for number, size in enumerate(batch_sizes(len(records))):
        batches.append(_weigh_batch(state, opening, number, records[start : start + size]))
        start += size
    return batches


def _weigh_batch(
    state: StateReader, opening: Round, number: int, records: Sequence[UpdateRecord]
) -> WeighedBatch:
    """Return the Gram matrix, weights and weighted sum of a batch; its payloads are in memory only meanwhile."""
    updates = np.empty((len(records), opening.parameters), np.int8)
    for row, record in zip(updates, records, strict=True):
        row[:] = decode_payload(require_payload(state, opening.round_id, record), opening.parameters)
    gram = gram_matrix(updates)
    # The products leave numpy here: whatever is derived from them uses integers without a limit.
    squared_norms = [int(value) for value in gram.diagonal()]
    weights = compute_weights(opening.rule, squared_norms, opening.unit_weight)
    leaf = packet_pb2.GramLeaf(
        domain=GRAM_LEAF, batch=number, updates=len(records), entries=encode_gram(gram)
    )
    return WeighedBatch(leaf, weights, aggregate_updates(iter(updates), weights, opening.parameters))


def _certify(
    state: StateReader, opening: Round, participants: Sequence[bytes], weights: Sequence[int]
) -> tuple[list[update_pb2.Certificate], list[tuple[bytes, ...]]]:
    """Return the certificate of each participant's update, and its commitments."""
    certificates = []
    commitments = []
    for participant, weight in zip(participants, weights, strict=True):
        kept = require_signed(state, opening.round_id, participant)
        statement = update_pb2.UpdateStatement.FromString(kept.signed.statement)
        commitments.append(tuple(statement.commitments))
        certificates.append(
            update_pb2.Certificate(
                domain=CERTIFICATE_LEAF,
                statement=kept.signed.statement,
                signature=kept.signed.signature,
                weight=weight,
                assignment=kept.assignment,
            )
        )
    return certificates, commitments


def _assemble(opening: Round, body: packet_pb2.CheckpointBody, total_weight: int) -> BuiltCheckpoint:
    encoded = encode(body)
    parts = model_chunks(encoded, BODY_PART_BYTES)
    round_id = opening.round_id
    header = packet_pb2.Checkpoint(
        task=round_id.task,
        round=round_id.number,
        attempt=round_id.attempt,
        scale=opening.scale,
        updates=len(body.certificates),
        total_weight=total_weight,
        certificates_root=merkle_root([encode(leaf) for leaf in body.certificates]),
        commitments_root=merkle_root([encode(leaf) for leaf in body.commitments]),
        grams_root=merkle_root([encode(leaf) for leaf in body.grams]),
        body_root=merkle_root(parts),
        body_bytes=len(encoded),
    )
    return BuiltCheckpoint(header, tuple(parts))

"""Participants and shards without chains: true updates, certificates and bodies for a round that a hub has opened.

Every builder makes what an honest party would make.  A test that wants a lie changes the message it gets, and seals it
again: then all roots match the false content, as they would if more than two thirds of a shard had signed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.aggregate import aggregate_commitments, aggregate_updates, encode_aggregate
from aggregation.assignment import assignment_proof
from aggregation.gram import encode_gram, gram_matrix
from aggregation.kzg import commit_update
from aggregation.merkle import merkle_paths, merkle_root
from aggregation.ordering import batch_order, batch_sizes
from aggregation.payload import blob_count, payload_root
from aggregation.quantise import count_clipped, count_large
from aggregation.weights import compute_weights, parse_rule
from tests.support.aggregation import draw_updates, shared_setup
from tx.codec import encode
from tx.domains import CERTIFICATE_LEAF, COMMITMENT_LEAF, GRAM_LEAF
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import packet_pb2, update_pb2
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.message import Message
    from numpy.typing import NDArray

    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import round_pb2, task_pb2

PART_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class ShardRound:
    """One shard's part of a round, with the keys of the participants assigned to it."""

    hub_chain_id: str
    spec: task_pb2.TaskSpec
    info: round_pb2.RoundInfo
    shard: str
    keys: tuple[SigningKey, ...]
    """In the order of the assignment tree."""

    @property
    def participants(self) -> list[bytes]:
        return [key.public_key for key in self.keys]

    def prove(self, index: int) -> update_pb2.AssignmentProof:
        """Return a participant's proof of assignment."""
        info = self.info
        return assignment_proof(
            info.task, info.round, info.attempt, self.shard, self.participants, index=index
        )


@dataclass(frozen=True, slots=True, eq=False)
class SignedUpdate:
    """An update as its shard holds it."""

    participant: bytes
    q: NDArray[np.int8]
    signed: update_pb2.SignedStatement
    assignment: update_pb2.AssignmentProof

    @property
    def statement(self) -> update_pb2.UpdateStatement:
        return update_pb2.UpdateStatement.FromString(self.signed.statement)

    def to_wire(self) -> update_pb2.Update:
        """Return the update as it travels to its shard."""
        return update_pb2.Update(signed=self.signed, assignment=self.assignment, payload=self.q.tobytes())


@dataclass(frozen=True, slots=True, eq=False)
class Checkpointed:
    """A header, and the body that it announces."""

    header: packet_pb2.Checkpoint
    body: packet_pb2.CheckpointBody
    parts: tuple[tx_pb2.DataPart, ...] = field(default=())

    def packet(self) -> packet_pb2.ShardPacket:
        """Return the packet that carries the header."""
        return packet_pb2.ShardPacket(checkpoint=self.header)


@lru_cache(maxsize=4096)
def _commit(payload: bytes) -> tuple[bytes, ...]:
    return commit_update(shared_setup(), np.frombuffer(payload, np.int8))


def draw_update(key: SigningKey, parameters: int, round_number: int = 0) -> NDArray[np.int8]:
    """Return coordinates that depend on nothing but participant and round, shape (parameters,)."""
    drawn: NDArray[np.int8] = draw_updates(
        int.from_bytes(key.public_key[:6], "big") + round_number, 1, parameters
    )[0]
    return drawn


def make_statement(part: ShardRound, key: SigningKey, q: NDArray[np.int8]) -> update_pb2.UpdateStatement:
    """Return the true statement of an update."""
    payload = q.tobytes()
    return update_pb2.UpdateStatement(
        hub_chain_id=part.hub_chain_id,
        task=part.info.task,
        round=part.info.round,
        attempt=part.info.attempt,
        shard=part.shard,
        participant=key.public_key,
        spec_digest=part.info.spec_digest,
        base_root=part.info.base_root,
        scale=part.info.scale,
        commitments=_commit(payload),
        payload_root=payload_root(payload),
        clipped=count_clipped(q),
        large=count_large(q),
    )


def make_update(part: ShardRound, index: int, q: NDArray[np.int8] | None = None) -> SignedUpdate:
    """Return the update of the participant at an index of the assignment."""
    key = part.keys[index]
    if q is None:
        q = draw_update(key, part.spec.parameters, part.info.round)
    return SignedUpdate(
        key.public_key, q, sign_statement(make_statement(part, key, q), key), part.prove(index)
    )


def make_updates(
    part: ShardRound, values: Mapping[bytes, NDArray[np.int8]] | None = None
) -> list[SignedUpdate]:
    """Return the updates of all assigned participants; `values` gives some of them, by public key."""
    given = values or {}
    return [make_update(part, index, given.get(key.public_key)) for index, key in enumerate(part.keys)]


def make_certificate(update: SignedUpdate, weight: int) -> update_pb2.Certificate:
    """Return the certificate of an update."""
    return update_pb2.Certificate(
        domain=CERTIFICATE_LEAF,
        statement=update.signed.statement,
        signature=update.signed.signature,
        weight=weight,
        assignment=update.assignment,
    )


def make_body(part: ShardRound, updates: Sequence[SignedUpdate]) -> packet_pb2.CheckpointBody:
    """Return the body of a shard's checkpoint, in batch order."""
    order = batch_order(part.info.seed, [update.participant for update in updates])
    ordered = [updates[index] for index in order]
    grams = []
    weights: list[int] = []
    start = 0
    for number, size in enumerate(batch_sizes(len(ordered))):
        gram = gram_matrix(np.stack([update.q for update in ordered[start : start + size]]))
        weights += compute_weights(
            parse_rule(part.spec.rule), gram.diagonal().tolist(), part.info.unit_weight
        )
        grams.append(
            packet_pb2.GramLeaf(domain=GRAM_LEAF, batch=number, updates=size, entries=encode_gram(gram))
        )
        start += size
    parameters = part.spec.parameters
    columns = aggregate_commitments(
        [tuple(update.statement.commitments) for update in ordered], weights, blob_count(parameters)
    )
    aggregate = aggregate_updates([update.q for update in ordered], weights, parameters)
    return packet_pb2.CheckpointBody(
        certificates=[
            make_certificate(update, weight) for update, weight in zip(ordered, weights, strict=True)
        ],
        grams=grams,
        commitments=[
            packet_pb2.CommitmentLeaf(domain=COMMITMENT_LEAF, column=column, commitment=commitment)
            for column, commitment in enumerate(columns)
        ],
        aggregate=encode_aggregate(aggregate),
    )


def seal(part: ShardRound, body: packet_pb2.CheckpointBody) -> Checkpointed:
    """Return a checkpoint whose header is right about a body, true or not."""
    encoded = encode(body)
    info = part.info
    header = packet_pb2.Checkpoint(
        task=info.task,
        round=info.round,
        attempt=info.attempt,
        scale=info.scale,
        updates=len(body.certificates),
        total_weight=sum(certificate.weight for certificate in body.certificates),
        certificates_root=_root(body.certificates),
        commitments_root=_root(body.commitments),
        grams_root=_root(body.grams),
        body_root=merkle_root(cut(encoded)),
        body_bytes=len(encoded),
    )
    return Checkpointed(header, body, tuple(make_parts(encoded)))


def make_checkpoint(part: ShardRound, updates: Sequence[SignedUpdate] | None = None) -> Checkpointed:
    """Return the true checkpoint of updates, by default of all assigned participants'."""
    if updates is None:
        updates = make_updates(part)
    return seal(part, make_body(part, updates) if updates else packet_pb2.CheckpointBody())


def make_parts(data: bytes) -> list[tx_pb2.DataPart]:
    """Return content-addressed bytes in parts with their paths."""
    chunks = cut(data)
    return [
        tx_pb2.DataPart(index=index, data=chunk, path=path)
        for index, (chunk, path) in enumerate(zip(chunks, merkle_paths(chunks), strict=True))
    ]


def cut(data: bytes) -> list[bytes]:
    """Cut bytes as a hub expects them."""
    return [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]


def _root(leaves: Iterable[Message]) -> bytes:
    return merkle_root([encode(leaf) for leaf in leaves])

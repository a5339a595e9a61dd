"""False bodies of checkpoints: each function changes one thing of a true body, as a shard might that lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aggregation.aggregate import aggregate_commitments, decode_aggregate, encode_aggregate
from aggregation.assignment import assignment_proof
from aggregation.gram import decode_gram, encode_gram
from aggregation.kzg import commit_lanes
from tests.support.aggregation import OUTSIDE_SUBGROUP, shared_setup
from tests.support.federation import ShardRound, make_statement, make_updates
from tests.support.hub import participant_key
from tests.support.txs import build_key
from tx.codec import encode
from tx.statements import statement_digest
from wire.gradchain.fl.v1 import packet_pb2, task_pb2, update_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    Lie = Callable[[ShardRound, packet_pb2.CheckpointBody], None]

DIMENSION = 60
CLIP = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0))


def resign(part: ShardRound, body: packet_pb2.CheckpointBody, place: int, **fields: object) -> None:
    """Change the statement of a certificate, and sign it again with its participant's key."""
    certificate = body.certificates[place]
    statement = update_pb2.UpdateStatement.FromString(certificate.statement)
    for name, value in fields.items():
        if name == "commitments":
            assert isinstance(value, list)
            statement.commitments[:] = value
        else:
            setattr(statement, name, value)
    key = next(key for key in part.keys if key.public_key == statement.participant)
    certificate.statement = encode(statement)
    certificate.signature = key.sign(statement_digest(certificate.statement))


def shift_aggregate(body: packet_pb2.CheckpointBody, index: int, by: int) -> None:
    aggregate = decode_aggregate(body.aggregate, DIMENSION).astype(np.int64)
    aggregate[index] += by
    body.aggregate = encode_aggregate(aggregate)


# --- lies, each a change of a true body ------------------------------------------------------------------------------


def one_coordinate(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    shift_aggregate(body, 17, 1)


def two_coordinates_that_cancel(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    shift_aggregate(body, 3, 5)
    shift_aggregate(body, 4, -5)


def a_carry_between_lanes(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    """Moving 2^24 from one lane to one unit of the next keeps the commitments; the range check finds it."""
    aggregate = decode_aggregate(body.aggregate, DIMENSION).astype(np.int64)
    aggregate[0] = -(1 << 23)
    body.aggregate = encode_aggregate(aggregate)


def another_aggregate_with_its_commitments(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    shift_aggregate(body, 17, 1)
    weight = sum(certificate.weight for certificate in body.certificates)
    aggregate = decode_aggregate(body.aggregate, DIMENSION)
    body.commitments[0].commitment = commit_lanes(shared_setup(), aggregate + 128 * weight)[0]


def a_short_aggregate(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.aggregate = body.aggregate[:-3]


def no_aggregate(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.aggregate = bytes(3 * DIMENSION)


def commitment_outside_the_subgroup(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.commitments[0].commitment = OUTSIDE_SUBGROUP


def a_forged_signature(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    signature = bytearray(body.certificates[0].signature)
    signature[5] ^= 1
    body.certificates[0].signature = bytes(signature)


def a_statement_of_somebody_else(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    """The shard signs, with a key of its own, for a participant of the round."""
    certificate = body.certificates[0]
    certificate.signature = build_key(999).sign(statement_digest(certificate.statement))


def a_participant_who_is_not_assigned(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    stranger = participant_key(40)
    certificate = body.certificates[0]
    statement = make_statement(part, stranger, np.zeros(DIMENSION, np.int8))
    certificate.statement = encode(statement)
    certificate.signature = stranger.sign(statement_digest(certificate.statement))


def a_participant_twice(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.certificates[1].CopyFrom(body.certificates[0])


def certificates_out_of_order(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    first = update_pb2.Certificate.FromString(encode(body.certificates[0]))
    body.certificates[0].CopyFrom(body.certificates[1])
    body.certificates[1].CopyFrom(first)


def a_statement_that_is_not_canonical(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    certificate = body.certificates[0]
    statement = update_pb2.UpdateStatement.FromString(certificate.statement)
    key = next(key for key in part.keys if key.public_key == statement.participant)
    certificate.statement += b"\x70\x00"  # max_fee, which is 0, spelled out
    certificate.signature = key.sign(statement_digest(certificate.statement))


def another_domain(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.certificates[0].domain = "gradchain/assignment/1"


def a_proof_of_another_place(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.certificates[0].assignment.index ^= 1


def a_proof_in_a_larger_tree(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    info = part.info
    keys = [*part.participants, participant_key(40).public_key]
    statement = update_pb2.UpdateStatement.FromString(body.certificates[0].statement)
    index = keys.index(statement.participant)
    proof = assignment_proof(info.task, info.round, info.attempt, part.shard, keys, index=index)
    body.certificates[0].assignment.CopyFrom(proof)


def statement_of_another_hub(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, hub_chain_id="hub-2")


def statement_of_another_task(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, task=2)


def statement_of_another_round(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, round=2)


def statement_of_another_attempt(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, attempt=1)


def statement_of_another_shard(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, shard="shard-2")


def statement_of_another_spec(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, spec_digest=b"\x01" * 32)


def statement_of_another_base(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, base_root=b"\x01" * 32)


def statement_of_another_scale(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, scale=11)


def statement_with_two_commitments(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    statement = update_pb2.UpdateStatement.FromString(body.certificates[0].statement)
    resign(part, body, 0, commitments=[*statement.commitments, *statement.commitments])


def statement_with_other_commitments(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    other = update_pb2.UpdateStatement.FromString(body.certificates[1].statement)
    resign(part, body, 0, commitments=list(other.commitments))


def statement_with_impossible_counts(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    resign(part, body, 0, large=DIMENSION + 1)


def a_heavier_certificate(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.certificates[0].weight += 1
    body.certificates[1].weight -= 1


def a_heavier_certificate_with_its_aggregate(part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    """All sums fit the false weights; only the rule tells that they are false."""
    weights = [certificate.weight for certificate in body.certificates]
    weights[0] //= 2
    statements = [
        update_pb2.UpdateStatement.FromString(certificate.statement) for certificate in body.certificates
    ]
    updates = {update.participant: update.q for update in make_updates(part)}
    total = np.zeros(DIMENSION, np.int64)
    for certificate, statement, weight in zip(body.certificates, statements, weights, strict=True):
        certificate.weight = weight
        total += weight * updates[statement.participant].astype(np.int64)
    body.aggregate = encode_aggregate(total)
    columns = aggregate_commitments([tuple(statement.commitments) for statement in statements], weights)
    body.commitments[0].commitment = columns[0]


def a_negative_norm(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    gram = decode_gram(body.grams[0].entries, body.grams[0].updates)
    gram[0, 0] = -1
    body.grams[0].entries = encode_gram(gram)


def a_huge_norm(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    gram = decode_gram(body.grams[0].entries, body.grams[0].updates)
    gram[0, 0] = 2**63 - 1
    body.grams[0].entries = encode_gram(gram)


def a_short_gram(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.grams[0].entries = body.grams[0].entries[:-8]


def a_gram_of_fewer_updates(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.grams[0].updates -= 1


def two_grams(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.grams.append(body.grams[0])


def a_gram_with_another_number(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.grams[0].batch = 1


def two_columns(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.commitments.append(body.commitments[0])


def a_column_with_another_number(_part: ShardRound, body: packet_pb2.CheckpointBody) -> None:
    body.commitments[0].column = 1


LIES = [
    (one_coordinate, ("aggregation", 13)),
    (two_coordinates_that_cancel, ("aggregation", 13)),
    (a_carry_between_lanes, ("aggregation", 11)),
    (another_aggregate_with_its_commitments, ("aggregation", 12)),
    (a_short_aggregate, ("aggregation", 4)),
    (no_aggregate, ("aggregation", 13)),
    (commitment_outside_the_subgroup, ("aggregation", 8)),
    (a_forged_signature, ("tx", 6)),
    (a_statement_of_somebody_else, ("tx", 6)),
    (a_participant_who_is_not_assigned, ("aggregation", 6)),
    (a_participant_twice, ("hub", 89)),
    (certificates_out_of_order, ("hub", 89)),
    (a_statement_that_is_not_canonical, ("tx", 2)),
    (another_domain, ("hub", 89)),
    (a_proof_of_another_place, ("aggregation", 6)),
    (a_proof_in_a_larger_tree, ("hub", 89)),
    (statement_of_another_hub, ("hub", 89)),
    (statement_of_another_task, ("hub", 89)),
    (statement_of_another_round, ("hub", 89)),
    (statement_of_another_attempt, ("hub", 89)),
    (statement_of_another_shard, ("hub", 89)),
    (statement_of_another_spec, ("hub", 89)),
    (statement_of_another_base, ("hub", 89)),
    (statement_of_another_scale, ("hub", 89)),
    (statement_with_two_commitments, ("hub", 89)),
    (statement_with_other_commitments, ("aggregation", 12)),
    (statement_with_impossible_counts, ("hub", 89)),
    (a_heavier_certificate, ("hub", 90)),
    (a_heavier_certificate_with_its_aggregate, ("hub", 90)),
    (a_negative_norm, ("aggregation", 10)),
    (a_short_gram, ("aggregation", 4)),
    (a_gram_of_fewer_updates, ("hub", 88)),
    (two_grams, ("hub", 88)),
    (a_gram_with_another_number, ("hub", 88)),
    (two_columns, ("hub", 88)),
    (a_column_with_another_number, ("hub", 88)),
]

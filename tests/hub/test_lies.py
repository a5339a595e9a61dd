"""Bodies that match their roots and are false: each is rejected for good, with the code of its lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from abci_app.state import BULK
from aggregation.aggregate import aggregate_commitments, decode_aggregate, encode_aggregate
from aggregation.assignment import assignment_proof, assignment_root
from aggregation.gram import decode_gram, encode_gram
from aggregation.kzg import commit_lanes
from aggregation.merkle import merkle_root
from aggregation.weights import unit_weight
from hub.rounds.body import BodyRules, read_tally, verify_body
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TALLY_PREFIX
from hub.rounds.state import get_shard_round
from hub.rounds.types import ShardStatus
from tests.support.aggregation import OUTSIDE_SUBGROUP, shared_setup
from tests.support.federation import (
    Checkpointed,
    ShardRound,
    cut,
    make_body,
    make_checkpoint,
    make_parts,
    make_statement,
    make_update,
    make_updates,
    seal,
)
from tests.support.hub import (
    RELAYER,
    HubChain,
    body_message,
    make_spec,
    participant_key,
    start_training,
)
from tests.support.txs import build_key
from tx.codec import encode
from tx.statements import statement_digest
from wire.gradchain.fl.v1 import packet_pb2, round_pb2, task_pb2, update_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

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


@pytest.fixture(scope="module")
def training() -> tuple[HubChain, int]:
    """A hub with two shards of three participants each; tests work on copies of its state."""
    return start_training(2, 6, parameters=DIMENSION)


def branch(training: tuple[HubChain, int]) -> tuple[HubChain, ShardRound]:
    origin, task = training
    chain = HubChain(services=origin.services, clients=dict(origin.clients), nonces=origin.nonces)
    chain.state.stores = {name: dict(values) for name, values in origin.state.stores.items()}
    chain.height, chain.time_ns = origin.height, origin.time_ns
    return chain, chain.parts(task)[0]


def reject(chain: HubChain, part: ShardRound, made_body: packet_pb2.CheckpointBody) -> tuple[str, int]:
    """Bring a body whose header is right about it; return why it was rejected."""
    made = seal(part, made_body)
    assert chain.deliver(part.shard, made.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.REJECTED, "the lie was not found"
    for prefix in (PART_PREFIX, TALLY_PREFIX, AGGREGATE_PREFIX):
        assert list(chain.state.scan(BULK, prefix)) == []
    assert "body_rejected" in chain.event_kinds()
    return record.reject_codespace, record.reject_code


@pytest.mark.parametrize(("lie", "code"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_a_lie_is_rejected(training: tuple[HubChain, int], lie: Lie, code: tuple[str, int]) -> None:
    chain, part = branch(training)
    body = make_body(part, make_updates(part))
    lie(part, body)
    assert reject(chain, part, body) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b"\xf8\x01\x01", ("tx", 3)),
        (lambda data: data[:-1], ("tx", 1)),
        (lambda data: b"\xff" * len(data), ("tx", 1)),
    ],
    ids=["unknown field", "truncated", "noise"],
)
def test_bytes_that_are_no_canonical_body_are_rejected(
    training: tuple[HubChain, int], change: Callable[[bytes], bytes], code: tuple[str, int]
) -> None:
    chain, part = branch(training)
    true = make_checkpoint(part)
    data = change(encode(true.body))
    true.header.body_bytes = len(data)
    true.header.body_root = merkle_root(cut(data))
    false = Checkpointed(true.header, true.body, tuple(make_parts(data)))
    assert chain.deliver(part.shard, false.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, false.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == code


@pytest.mark.parametrize(
    ("field", "code"),
    [("certificates_root", 88), ("grams_root", 88), ("commitments_root", 88), ("total_weight", 90)],
)
def test_a_header_that_is_false_about_a_true_body_is_rejected(
    training: tuple[HubChain, int], field: str, code: int
) -> None:
    chain, part = branch(training)
    made = make_checkpoint(part)
    setattr(made.header, field, made.header.total_weight - 1 if field == "total_weight" else b"\x07" * 32)
    assert chain.deliver(part.shard, made.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", code)


def test_a_header_with_another_number_of_updates_than_its_body_is_rejected(
    training: tuple[HubChain, int],
) -> None:
    chain, part = branch(training)
    made = make_checkpoint(part, make_updates(part)[:2])
    made.header.updates = 3
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 88)


def test_a_rejection_is_final(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    body = make_body(part, make_updates(part))
    one_coordinate(part, body)
    reject(chain, part, body)
    true = make_checkpoint(part)
    assert chain.deliver(part.shard, true.packet()) == b"AlreadyCheckpointed"
    assert chain.must_send(RELAYER, body_message(part, true.parts)) == ()
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.REJECTED


def test_a_rejected_shard_does_not_hold_up_the_others(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    task = part.info.task
    body = make_body(part, make_updates(part))
    a_forged_signature(part, body)
    reject(chain, part, body)
    chain.complete(chain.parts(task)[1])
    assert chain.newest(task).round == 2
    first = chain.round(type(chain.newest(task))(task, 1, 0))
    assert [entry.shard for entry in first.result.shards] == ["shard-2"]
    assert [entry.reject_code for entry in first.shards] == [6, 0]


def test_a_part_of_the_updates_is_a_true_body_too(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    chain.complete(part, make_checkpoint(part, make_updates(part)[1:]))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.COMPLETE


# --- norm clipping ---------------------------------------------------------------------------------------------------


def test_clipped_weights_follow_from_the_norms() -> None:
    """Norms in proportion 1, 2 and 8: the lower median is 2, so the longest weighs a quarter of the unit."""
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    values: dict[bytes, NDArray[np.int8]] = {
        key.public_key: np.full(DIMENSION, length, np.int8)
        for key, length in zip(part.keys, (10, 20, 80), strict=True)
    }
    made = make_checkpoint(part, make_updates(part, values))
    weights: dict[bytes, int] = {
        update_pb2.UpdateStatement.FromString(certificate.statement).participant: certificate.weight
        for certificate in made.body.certificates
    }
    unit = part.info.unit_weight
    assert [weights[key.public_key] for key in part.keys] == [unit, unit, unit // 4]
    chain.complete(part, made)
    assert chain.newest(task).round == 2


def test_unclipped_weights_are_rejected_where_the_rule_clips() -> None:
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    lenient = ShardRound(
        part.hub_chain_id,
        task_pb2.TaskSpec.FromString(part.spec.SerializeToString()),
        part.info,
        part.shard,
        part.keys,
    )
    lenient.spec.rule.mean.SetInParent()
    made = make_checkpoint(lenient, make_updates(part))
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 90)


def test_a_norm_at_the_end_of_its_range_is_arithmetic_and_not_a_crash() -> None:
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    body = make_body(part, make_updates(part))
    a_huge_norm(part, body)
    made = seal(part, body)
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 90)


def test_updates_of_several_batches_are_weighed_batch_by_batch() -> None:
    """More updates than a batch holds: built without a chain, checked by the function that the chain calls."""
    keys = tuple(build_key(5_000 + number) for number in range(130))
    spec = make_spec(20, CLIP)
    participants = [key.public_key for key in keys]
    assignment = round_pb2.ShardAssignment(
        shard="shard-1", assigned=130, assignment_root=assignment_root(1, 1, 0, "shard-1", participants)
    )
    info = round_pb2.RoundInfo(
        task=1,
        round=1,
        spec_digest=b"\x01" * 32,
        base_root=b"\x02" * 32,
        scale=10,
        unit_weight=unit_weight(130),
        seed=b"\x03" * 32,
        shards=[assignment],
    )
    part = ShardRound("hub-1", spec, info, "shard-1", keys)
    made = make_checkpoint(part, [make_update(part, index) for index in range(130)])
    assert [leaf.updates for leaf in made.body.grams] == [128, 2]
    rules = BodyRules("hub-1", spec, info, assignment, made.header)
    body = verify_body(shared_setup(), rules, encode(made.body))
    assert sum(entry.weight for entry in read_tally(body).entries) == made.header.total_weight

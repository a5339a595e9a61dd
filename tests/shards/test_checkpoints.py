"""How rounds close, and what their checkpoints hold."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from aggregation.aggregate import decode_aggregate, verify_aggregate
from aggregation.gram import decode_gram
from aggregation.merkle import merkle_root
from aggregation.ordering import batch_order
from aggregation.weights import RuleNormClip, compute_weights
from shards.checkpoints.state import get_body, get_delivery, get_header
from shards.checkpoints.types import DeliveryStatus
from shards.rounds.state import list_live, require_progress
from shards.rounds.types import RoundStatus
from tests.support.aggregation import shared_setup
from tests.support.shard_rounds import TestRound, build_round
from tests.support.shards import ShardChain, read_body
from tests.support.txs import SECOND_NS
from tx.codec import decode_canonical, encode
from wire.gradchain.fl.v1 import packet_pb2, task_pb2, update_pb2

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY_ROOT = sha256(b"").digest()


def close_full(item: TestRound, values: dict[int, NDArray[np.int8]] | None = None) -> ShardChain:
    """Return a chain on which all participants of the round have sent their updates in one block."""
    chain = ShardChain().start()
    chain.open(item)
    chain.submit(*(item.update(i, (values or {}).get(i)) for i in range(len(item.keys))))
    return chain


def require_header(chain: ShardChain, item: TestRound) -> packet_pb2.Checkpoint:
    header = get_header(chain.state, item.round_id)
    assert header is not None
    return header


def verify_body(item: TestRound, header: packet_pb2.Checkpoint, body: packet_pb2.CheckpointBody) -> None:
    """Check a body against its header and the round, as the hub does."""
    assert header.certificates_root == merkle_root([encode(leaf) for leaf in body.certificates])
    assert header.commitments_root == merkle_root([encode(leaf) for leaf in body.commitments])
    assert header.grams_root == merkle_root([encode(leaf) for leaf in body.grams])
    weights = [certificate.weight for certificate in body.certificates]
    assert header.updates == len(weights)
    assert header.total_weight == sum(weights)
    statements = [
        decode_canonical(update_pb2.UpdateStatement, certificate.statement)
        for certificate in body.certificates
    ]
    verify_aggregate(
        shared_setup(),
        [tuple(statement.commitments) for statement in statements],
        weights,
        [leaf.commitment for leaf in body.commitments],
        decode_aggregate(body.aggregate, item.opened.parameters),
        item.opened.parameters,
        header.certificates_root,
    )


def test_a_round_closes_in_the_block_of_its_last_update() -> None:
    item = build_round(3)
    chain = close_full(item)
    header = require_header(chain, item)
    assert (header.updates, header.total_weight) == (3, 65_535)
    assert (header.task, header.round, header.attempt, header.scale) == (1, 1, 1, 10)
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CHECKPOINTED
    assert list_live(chain.state) == []


def test_a_round_stays_open_while_an_update_is_missing() -> None:
    chain = ShardChain().start()
    item = build_round(3)
    chain.open(item)
    chain.submit(item.update(0), item.update(2))
    assert get_header(chain.state, item.round_id) is None
    assert require_progress(chain.state, item.round_id).status is RoundStatus.OPEN


def test_a_round_closes_when_the_last_free_slot_is_spent() -> None:
    chain = ShardChain().start()
    item = build_round(2)
    chain.open(item)
    chain.submit(item.update(0), item.miscounted(1))
    assert require_header(chain, item).updates == 1


def test_a_round_closes_at_its_close_time_with_what_there_is() -> None:
    chain = ShardChain().start()
    item = build_round(3, close_after_s=10)
    chain.open(item)
    chain.submit(item.update(1))
    chain.block(after_s=7.999)
    assert get_header(chain.state, item.round_id) is None
    chain.block(after_s=0.001)
    assert require_header(chain, item).updates == 1
    verify_body(item, require_header(chain, item), read_body(chain.state, item.round_id))


def test_a_round_without_updates_has_empty_roots_and_no_body() -> None:
    chain = ShardChain().start()
    item = build_round(3, close_after_s=10)
    chain.open(item)
    chain.block(after_s=20)
    header = require_header(chain, item)
    roots = (header.certificates_root, header.commitments_root, header.grams_root, header.body_root)
    assert roots == (EMPTY_ROOT,) * 4
    assert (header.updates, header.total_weight, header.body_bytes) == (0, 0, 0)
    assert get_body(chain.state, item.round_id) is None
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CHECKPOINTED


def test_a_round_of_liars_has_no_body() -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    chain.submit(item.miscounted(0))
    assert require_header(chain, item).updates == 0


def test_a_round_that_opens_after_its_close_time_closes_at_once() -> None:
    chain = ShardChain().start()
    item = build_round(close_after_s=10, deadline_after_s=60)
    chain.time_ns += 20 * SECOND_NS
    chain.open(item)
    assert require_header(chain, item).updates == 0
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CHECKPOINTED


def test_a_round_without_participants_closes_at_once() -> None:
    chain = ShardChain().start()
    item = build_round(0)
    chain.open(item)
    assert require_header(chain, item).updates == 0


@pytest.mark.parametrize("parameters", [1, 25, 40_960, 40_961])
def test_a_body_passes_the_checks_of_the_hub(parameters: int) -> None:
    item = build_round(3, parameters=parameters)
    chain = close_full(item)
    verify_body(item, require_header(chain, item), read_body(chain.state, item.round_id))


def test_the_aggregate_is_the_weighted_sum() -> None:
    item = build_round(3)
    chain = close_full(item)
    body = read_body(chain.state, item.round_id)
    expected = sum(item.values(i).astype(int) for i in range(3)) * 21_845
    assert decode_aggregate(body.aggregate, 25).tolist() == np.asarray(expected).tolist()


def test_certificates_stand_in_batch_order_with_what_was_signed() -> None:
    item = build_round(5)
    chain = close_full(item)
    body = read_body(chain.state, item.round_id)
    participants = sorted(item.participants)
    ordered = [participants[i] for i in batch_order(item.opened.seed, participants)]
    places = [item.participants.index(participant) for participant in ordered]
    for certificate, place in zip(body.certificates, places, strict=True):
        update = item.update(place)
        assert certificate.statement == update.signed.statement
        assert certificate.signature == update.signed.signature
        assert certificate.assignment == update.assignment


def test_more_updates_than_a_batch_holds_are_weighed_in_batches() -> None:
    item = build_round(131, parameters=11)
    chain = close_full(item)
    body = read_body(chain.state, item.round_id)
    assert [(leaf.batch, leaf.updates) for leaf in body.grams] == [(0, 128), (1, 3)]
    verify_body(item, require_header(chain, item), body)
    statements = [update_pb2.UpdateStatement.FromString(leaf.statement) for leaf in body.certificates]
    order = [item.participants.index(statement.participant) for statement in statements]
    last = np.stack([item.values(i) for i in order[128:]]).astype(int)
    assert decode_gram(body.grams[1].entries, 3).tolist() == (last @ last.T).tolist()


def test_long_updates_weigh_less_under_norm_clipping() -> None:
    rule = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0))
    item = build_round(3, rule=rule)
    long = np.full(25, 127, np.int8)
    chain = close_full(item, {1: long})
    body = read_body(chain.state, item.round_id)
    verify_body(item, require_header(chain, item), body)
    squared_norms = [int(value) for value in decode_gram(body.grams[0].entries, 3).diagonal()]
    weights = [certificate.weight for certificate in body.certificates]
    assert weights == compute_weights(RuleNormClip(None), squared_norms, item.opened.unit_weight)
    assert min(weights) < item.opened.unit_weight


def test_a_round_whose_weights_are_all_zero_has_a_zero_aggregate() -> None:
    rule = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=1))
    item = build_round(2, rule=rule, unit=1)
    chain = close_full(item)
    body = read_body(chain.state, item.round_id)
    header = require_header(chain, item)
    assert header.total_weight == 0
    verify_body(item, header, body)
    assert not decode_aggregate(body.aggregate, 25).any()


def test_updates_of_zeros_are_aggregated() -> None:
    item = build_round(2, rule=task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0)))
    zeros = np.zeros(25, np.int8)
    chain = close_full(item, {0: zeros, 1: zeros})
    verify_body(item, require_header(chain, item), read_body(chain.state, item.round_id))


def test_the_largest_updates_of_the_most_weight_fit() -> None:
    item = build_round(2, unit=32_767)
    extreme = np.full(25, -127, np.int8)
    chain = close_full(item, {0: extreme, 1: extreme})
    body = read_body(chain.state, item.round_id)
    verify_body(item, require_header(chain, item), body)
    assert set(decode_aggregate(body.aggregate, 25).tolist()) == {-127 * 65_534}


def test_a_body_is_cut_in_parts_under_its_root() -> None:
    item = build_round(2, parameters=40_961)
    chain = close_full(item)
    header = require_header(chain, item)
    parts = get_body(chain.state, item.round_id)
    assert parts is not None
    assert [len(part) for part in parts[:-1]] == [65_536]
    assert sum(len(part) for part in parts) == header.body_bytes
    assert merkle_root(parts) == header.body_root


def test_rounds_that_close_in_one_block_are_independent() -> None:
    chain = ShardChain().start()
    first, second = build_round(2, task=1), build_round(3, task=2)
    chain.open(first, second)
    updates = [first.update(0), second.update(0), second.update(1), first.update(1), second.update(2)]
    chain.submit(*updates)
    for item in (first, second):
        alone = require_header(close_full(item), item)
        assert require_header(chain, item) == alone
        delivery = get_delivery(chain.state, item.round_id)
        assert delivery is not None
        assert delivery.status is DeliveryStatus.SENT


def test_the_order_of_arrival_does_not_matter() -> None:
    item = build_round(4)
    headers = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        chain = ShardChain().start()
        chain.open(item)
        for index in order:
            chain.submit(item.update(index))
        headers.append(require_header(chain, item))
    assert headers[0] == headers[1]

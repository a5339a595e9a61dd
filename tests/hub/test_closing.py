"""How a round ends: aggregated early, at the deadline, or not at all."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from abci_app.state import BULK, PROVABLE
from aggregation.aggregate import decode_aggregate
from aggregation.model import Contribution, decode_model, encode_model, model_root, model_step
from hub.accounts.state import get_balance
from hub.models.state import read_model
from hub.registry.state import require_shard
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TAIL_PREFIX, TALLY_PREFIX
from hub.rounds.types import RoundId
from hub.schedule import TIMER_PREFIX
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import draw_update, make_checkpoint
from tests.support.hub import (
    CREATOR,
    RELAYER,
    SUPPLY,
    HubChain,
    body_message,
    make_model,
    make_spec,
    participant_key,
    start_training,
)
from tx.codec import encode
from tx.paths import model_root_key, round_result_key
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = query_pb2.SHARD_ROUND_STATUS_MISSING
COMPLETE = query_pb2.SHARD_ROUND_STATUS_COMPLETE
CHECKPOINTED = query_pb2.SHARD_ROUND_STATUS_CHECKPOINTED


def statuses(chain: HubChain, round_id: RoundId) -> list[int]:
    return [entry.status for entry in chain.round(round_id).shards]


def test_a_round_is_aggregated_when_the_last_shard_has_delivered() -> None:
    chain, task = start_training(2, 4)
    first, second = chain.parts(task)
    chain.complete(first)
    assert chain.newest(task) == RoundId(task, 1, 0)
    chain.complete(second)
    assert chain.newest(task) == RoundId(task, 2, 0)
    assert chain.round(RoundId(task, 1, 0)).status == query_pb2.ROUND_STATUS_SETTLED
    assert require_task(chain.state, task).rounds_done == 1


def test_the_model_step_is_that_of_the_arithmetic() -> None:
    chain, task = start_training(2, 4)
    made = [make_checkpoint(part) for part in chain.parts(task)]
    before = decode_model(read_model(chain.state, require_task(chain.state, task).model), 50)
    for part, checkpoint in zip(chain.parts(task), made, strict=True):
        chain.complete(part, checkpoint)
    expected = model_step(
        before,
        [
            Contribution(
                decode_aggregate(item.body.aggregate, 50), item.header.total_weight, item.header.scale
            )
            for item in made
        ],
        max_staleness=1,
    )
    record = require_task(chain.state, task)
    assert read_model(chain.state, record.model) == encode_model(expected)
    assert chain.state.get(PROVABLE, model_root_key(task)) == model_root(encode_model(expected))
    assert chain.round(chain.newest(task)).info.base_root == record.model.root


def test_the_result_names_what_went_in_and_can_be_proven() -> None:
    chain, task = start_training(2, 4)
    headers = [make_checkpoint(part).header for part in chain.parts(task)]
    round_id = chain.run_round(task)
    result = chain.round(round_id).result
    assert (result.task, result.round, result.attempt) == (task, 1, 0)
    assert result.base_root == chain.round(round_id).info.base_root
    assert result.model_root == require_task(chain.state, task).model.root
    assert [(entry.shard, entry.body_root) for entry in result.shards] == [
        ("shard-1", headers[0].body_root),
        ("shard-2", headers[1].body_root),
    ]
    assert {entry.round for entry in result.shards} == {1}
    assert chain.state.get(PROVABLE, round_result_key(task, 1)) == sha256(encode(result)).digest()


def test_the_number_of_shards_does_not_matter_for_the_mean() -> None:
    """The same updates over one, two or three shards give the same model, bit by bit, in every round."""
    roots = []
    for shards in (1, 2, 3):
        chain, task = start_training(shards, 6, rounds=3)
        model = [require_task(chain.state, task).model.root]
        for round_number in range(1, 4):
            values: dict[bytes, NDArray[np.int8]] = {
                participant_key(number).public_key: draw_update(participant_key(number), 50, round_number)
                for number in range(6)
            }
            chain.run_round(task, values)
            model.append(require_task(chain.state, task).model.root)
        roots.append(model)
    assert roots[0] == roots[1] == roots[2]
    assert len(set(roots[0])) == 4


def test_the_task_is_complete_after_its_last_round() -> None:
    chain, task = start_training(1, 2, rounds=1)
    chain.run_round(task)
    record = require_task(chain.state, task)
    assert (record.status, record.is_open, record.rounds_done) == (TaskStatus.COMPLETE, False, 1)
    assert (record.escrow, record.reserved) == (0, 0)
    assert "task_ended" in chain.event_kinds()
    chain.block(after_s=10_000)
    assert chain.event_kinds() == []


def test_at_the_deadline_enough_shards_are_enough() -> None:
    chain, task = start_training(3, 6, min_shards=2)
    first, second, _third = chain.parts(task)
    chain.complete(first)
    chain.complete(second)
    deadline_ns = first.info.deadline_ns
    chain.block(after_s=(deadline_ns - chain.time_ns) / 1e9 - 1)
    assert chain.newest(task).round == 1
    chain.block()
    assert chain.time_ns == deadline_ns
    assert chain.newest(task) == RoundId(task, 2, 0)
    round_id = RoundId(task, 1, 0)
    assert statuses(chain, round_id) == [COMPLETE, COMPLETE, MISSING]
    assert [entry.shard for entry in chain.round(round_id).result.shards] == ["shard-1", "shard-2"]


def test_a_body_in_the_block_of_the_deadline_is_on_time() -> None:
    chain, task = start_training(2, 4)
    first, second = chain.parts(task)
    chain.complete(first)
    made = make_checkpoint(second)
    chain.deliver(second.shard, made.packet())
    left_s = (first.info.deadline_ns - chain.time_ns) / 1e9
    chain.block(chain.body_tx(second, made.parts), after_s=left_s)
    assert statuses(chain, RoundId(task, 1, 0)) == [COMPLETE, COMPLETE]


def test_a_shard_that_cannot_deliver_is_not_waited_for() -> None:
    chain, task = start_training(2, 4)
    packet, _ = chain.sent()[1]
    chain.complete(chain.parts(task)[0])
    assert chain.newest(task).round == 1
    chain.answer(packet, None)
    chain.block()
    assert chain.newest(task).round == 2


def test_before_the_deadline_too_few_deliveries_are_not_void() -> None:
    chain, task = start_training(2, 4, min_shards=2)
    packet, _ = chain.sent()[1]
    chain.complete(chain.parts(task)[0])
    chain.answer(packet, None)
    chain.block()
    assert chain.newest(task) == RoundId(task, 1, 0)


def test_a_round_without_any_update_leaves_the_model_as_it_is() -> None:
    chain, task = start_training(2, 4, rounds=3)
    record = require_task(chain.state, task)
    for part in chain.parts(task):
        chain.complete(part, make_checkpoint(part, []))
    after = require_task(chain.state, task)
    assert after.round == 2
    assert (after.model, after.scale) == (record.model, record.scale)
    assert chain.round(RoundId(task, 1, 0)).paid == 0
    chain.run_round(task)
    assert require_task(chain.state, task).model != record.model


def test_a_shard_without_updates_adds_nothing() -> None:
    chain, task = start_training(2, 4)
    first, second = chain.parts(task)
    chain.complete(first)
    chain.complete(second, make_checkpoint(second, []))
    result = chain.round(RoundId(task, 1, 0)).result
    assert [(entry.shard, entry.updates, entry.total_weight) for entry in result.shards] == [
        ("shard-1", 2, 65_534),
        ("shard-2", 0, 0),
    ]


@pytest.mark.parametrize(("value", "scale"), [(127, 9), (100, 10), (1, 11)], ids=["clipped", "fits", "tiny"])
def test_the_next_scale_follows_from_the_counts(value: int, scale: int) -> None:
    chain, task = start_training(2, 4)
    values: dict[bytes, NDArray[np.int8]] = {
        participant_key(number).public_key: np.full(50, value, np.int8) for number in range(4)
    }
    chain.run_round(task, values)
    info = chain.round(chain.newest(task)).info
    assert (info.round, info.scale) == (2, scale)


def test_a_model_at_its_end_saturates() -> None:
    chain = HubChain().start()
    chain.add_shards("shard-1")
    model = encode_model(np.full(50, 2**31 - 1, np.int32))
    task = chain.create_task(make_spec(50, start_scale=0), model)
    chain.register(task, 0, 1)
    values: dict[bytes, NDArray[np.int8]] = {
        participant_key(number).public_key: np.full(50, 127, np.int8) for number in range(2)
    }
    chain.run_round(task, values)
    assert read_model(chain.state, require_task(chain.state, task).model) == model


def test_a_model_of_several_chunks_is_stepped_and_stored() -> None:
    chain, task = start_training(1, 2, parameters=40_000, rounds=1)
    chain.run_round(task)
    assert len(read_model(chain.state, require_task(chain.state, task).model)) == 160_000


def test_what_a_round_needed_is_gone_after_it() -> None:
    chain, task = start_training(2, 4, rounds=1)
    chain.run_round(task)
    for prefix in (PART_PREFIX, TALLY_PREFIX, AGGREGATE_PREFIX, TAIL_PREFIX, TIMER_PREFIX):
        assert list(chain.state.scan(BULK, prefix)) == []


def test_the_shards_of_a_settled_round_are_told() -> None:
    chain, task = start_training(2, 4, rounds=1)
    round_id = chain.run_round(task)
    shown = chain.round(round_id)
    sent = chain.sent()
    assert [packet.source_client for packet, _ in sent] == [
        chain.clients["shard-1"],
        chain.clients["shard-2"],
    ]
    for packet, content in sent:
        settled = content.round_settled
        assert (settled.task, settled.round, settled.attempt) == (task, 1, 0)
        assert settled.model_root == shown.result.model_root
        assert settled.settlement_root == shown.settlement_root
        assert packet.timeout_timestamp == chain.time_ns // 10**9 + 600


# --- attempts --------------------------------------------------------------------------------------------------------


def test_too_few_deliveries_at_the_deadline_void_the_attempt() -> None:
    chain, task = start_training(2, 4, min_shards=2)
    chain.complete(chain.parts(task)[0])
    before = require_task(chain.state, task)
    chain.block(after_s=100)
    assert chain.round(RoundId(task, 1, 0)).status == query_pb2.ROUND_STATUS_VOID
    assert statuses(chain, RoundId(task, 1, 0)) == [COMPLETE, MISSING]
    assert chain.newest(task) == RoundId(task, 1, 1)
    after = require_task(chain.state, task)
    assert (after.model, after.escrow, after.rounds_done) == (before.model, before.escrow, 0)
    for prefix in (PART_PREFIX, TALLY_PREFIX, AGGREGATE_PREFIX, TAIL_PREFIX):
        assert list(chain.state.scan(BULK, prefix)) == []


def test_a_new_attempt_spreads_the_participants_anew() -> None:
    chain, task = start_training(2, 12)
    first = chain.parts(task)
    chain.block(after_s=100)
    second = chain.parts(task)
    assert first[0].info.seed != second[0].info.seed
    assert first[0].participants != second[0].participants
    assert sorted(key for part in first for key in part.participants) == sorted(
        key for part in second for key in part.participants
    )


def test_a_later_attempt_can_succeed() -> None:
    chain, task = start_training(1, 2)
    chain.block(after_s=100)
    chain.run_round(task)
    assert chain.newest(task) == RoundId(task, 2, 0)
    assert chain.round(RoundId(task, 1, 1)).result.attempt == 1
    assert not chain.round(RoundId(task, 1, 0)).HasField("result")


def test_the_shards_of_a_void_attempt_are_told_that_it_is_over() -> None:
    chain, task = start_training(2, 4)
    info = chain.parts(task)[0].info
    chain.block(after_s=100)
    over = [content.round_settled for _, content in chain.sent() if content.HasField("round_settled")]
    assert len(over) == 2
    assert all((item.round, item.attempt, item.model_root) == (1, 0, info.base_root) for item in over)
    assert {item.settlement_root for item in over} == {sha256(b"").digest()}


def test_a_task_fails_after_its_last_attempt_and_refunds_its_creator() -> None:
    chain, task = start_training(1, 2, max_attempts=3, params={"missing_limit": 9})
    for attempt in range(3):
        assert chain.newest(task) == RoundId(task, 1, attempt)
        chain.block(after_s=100)
    record = require_task(chain.state, task)
    assert (record.status, record.escrow, record.is_open) == (TaskStatus.FAILED, 0, False)
    assert get_balance(chain.state, CREATOR.public_key) == SUPPLY - 1_000
    chain.block(after_s=10_000)
    assert chain.event_kinds() == []


def test_a_task_that_fails_in_a_later_round_refunds_what_is_left() -> None:
    chain, task = start_training(1, 2, rounds=4, max_attempts=1)
    chain.run_round(task)
    chain.block(after_s=100)
    assert require_task(chain.state, task).status is TaskStatus.FAILED
    assert get_balance(chain.state, CREATOR.public_key) == SUPPLY - 1_000 - 250


def test_rejected_shards_alone_void_the_attempt() -> None:
    chain, task = start_training(1, 2)
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    made.header.grams_root = b"\x01" * 32
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert chain.newest(task) == RoundId(task, 1, 0)
    chain.block(after_s=100)
    assert chain.newest(task) == RoundId(task, 1, 1)


# --- shards that do not deliver --------------------------------------------------------------------------------------


def test_a_shard_that_misses_too_many_rounds_gets_no_more_assignments() -> None:
    chain, task = start_training(2, 4, rounds=5, params={"missing_limit": 2})
    for _ in range(2):
        part = chain.parts(task)[0]
        assert len(chain.parts(task)) == 2
        chain.complete(part)
        chain.block(after_s=100)
    assert not require_shard(chain.state, "shard-2").is_active
    (only,) = chain.parts(task)
    assert (only.shard, len(only.participants)) == ("shard-1", 4)


def test_a_delivery_ends_the_row_of_misses() -> None:
    chain, task = start_training(2, 4, rounds=6, params={"missing_limit": 2})
    for is_delivering in (False, True, False):
        first, second = chain.parts(task)
        chain.complete(first)
        if is_delivering:
            chain.complete(second)
        else:
            chain.block(after_s=100)
    assert require_shard(chain.state, "shard-2").is_active
    assert require_shard(chain.state, "shard-2").missed == 1


def test_false_bodies_count_as_misses() -> None:
    chain, task = start_training(2, 4, rounds=6, params={"missing_limit": 2})
    for _ in range(2):
        first, second = chain.parts(task)
        made = make_checkpoint(second)
        made.header.grams_root = b"\x01" * 32
        chain.deliver(second.shard, made.packet())
        chain.must_send(RELAYER, body_message(second, made.parts))
        chain.complete(first)
    assert not require_shard(chain.state, "shard-2").is_active


def test_headers_without_bodies_count_as_misses() -> None:
    chain, task = start_training(2, 4, rounds=6, params={"missing_limit": 2}, max_staleness=0)
    for _ in range(2):
        first, second = chain.parts(task)
        chain.deliver(second.shard, make_checkpoint(second).packet())
        chain.complete(first)
        chain.block(after_s=100)
    assert not require_shard(chain.state, "shard-2").is_active


def test_without_any_active_shard_a_task_waits_without_using_up_attempts() -> None:
    chain, task = start_training(1, 2, params={"missing_limit": 1})
    chain.block(after_s=100)
    assert chain.newest(task) == RoundId(task, 1, 0)
    assert chain.round(RoundId(task, 1, 0)).status == query_pb2.ROUND_STATUS_VOID
    for _ in range(3):
        chain.block(after_s=1_000)
        assert chain.event_kinds() == []
    record = require_task(chain.state, task)
    assert (record.status, record.is_open) == (TaskStatus.TRAINING, False)
    assert (record.next_round, record.next_attempt) == (1, 1)


def test_a_checkpoint_for_a_void_attempt_shows_that_the_shard_works() -> None:
    chain, task = start_training(1, 2, params={"missing_limit": 1})
    part = chain.parts(task)[0]
    chain.block(after_s=100)
    assert not require_shard(chain.state, "shard-1").is_active
    assert chain.deliver(part.shard, make_checkpoint(part).packet()) == b"\x01"
    assert chain.event_kinds()[:2] == ["shard_activity", "checkpoint_useless"]
    assert require_shard(chain.state, "shard-1").is_active
    assert chain.newest(task) == RoundId(task, 1, 1)


def test_a_body_for_a_void_attempt_is_refused() -> None:
    chain, task = start_training(1, 2)
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    chain.deliver(part.shard, made.packet())
    chain.block(after_s=100)
    assert chain.send(RELAYER, body_message(part, made.parts)) == ("hub", 86)


def test_a_hub_with_many_tasks_closes_some_a_block_and_forgets_none() -> None:
    chain = HubChain().start(tasks_per_block=2)
    chain.add_shards("shard-1")
    tasks = [chain.create_task(make_spec(rounds=1), make_model(50, seed)) for seed in range(5)]
    txs = []
    for task in tasks:
        chain.register(task, 0, 1)
        part = chain.parts(task)[0]
        made = make_checkpoint(part)
        chain.deliver(part.shard, made.packet())
        txs.append(chain.body_tx(part, made.parts))
    chain.block(*txs)
    done = []
    for _ in range(3):
        done.append(sum(require_task(chain.state, task).status is TaskStatus.COMPLETE for task in tasks))
        chain.block()
    assert done == [2, 4, 5]

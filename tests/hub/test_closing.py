"""How a round ends: aggregated early, at the deadline, or not at all."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from abci_app.state import BULK, PROVABLE
from aggregation.aggregate import decode_aggregate
from aggregation.model import Contribution, decode_model, encode_model, model_root, model_step
from hub.models.state import read_model
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TAIL_PREFIX, TALLY_PREFIX
from hub.rounds.types import RoundId
from hub.schedule import TIMER_PREFIX
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import draw_update, make_checkpoint
from tests.support.hub import HubChain, make_spec, participant_key, start_training
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

"""Rounds that come to nothing, and shards that do not deliver."""

from __future__ import annotations

from hashlib import sha256

from abci_app.state import BULK
from aggregation.model import model_root
from hub.accounts.state import get_balance
from hub.registry.state import require_shard
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TAIL_PREFIX, TALLY_PREFIX
from hub.rounds.types import RoundId
from hub.tasks.state import count_tasks, require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import make_checkpoint
from tests.support.hub import (
    CREATOR,
    RELAYER,
    SUPPLY,
    HubChain,
    body_message,
    make_model,
    make_spec,
    start_training,
)
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

MISSING = query_pb2.SHARD_ROUND_STATUS_MISSING
COMPLETE = query_pb2.SHARD_ROUND_STATUS_COMPLETE


def statuses(chain: HubChain, round_id: RoundId) -> list[int]:
    return [entry.status for entry in chain.round(round_id).shards]


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


def test_nobody_makes_shards_miss_rounds_that_no_shard_could_deliver() -> None:
    """One token buys a task whose rounds are over before a shard has heard of them."""
    chain = HubChain().start()
    chain.add_shards("shard-1", "shard-2")
    task = chain.create_task(make_spec())
    hasty = make_spec(round_duration_ns=1, rounds=1, budget=1, max_attempts=1_000)
    root = model_root(make_model(hasty.parameters))
    chain.send(CREATOR, tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=hasty, model_root=root))
    for number in range(1, count_tasks(chain.state) + 1):
        chain.register(number, 0, 1)
    for _ in range(5):
        chain.block()
    assert all(require_shard(chain.state, name).is_active for name in ("shard-1", "shard-2"))
    assert len(chain.parts(task)) == 2


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

"""Checkpoints after the deadline: folded into a later round, or of no use."""

from __future__ import annotations

import pytest

from abci_app.state import BULK
from aggregation.aggregate import decode_aggregate
from aggregation.model import Contribution, decode_model, encode_model, model_step
from hub.models.state import read_model
from hub.registry.state import require_shard
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TAIL_PREFIX, TALLY_PREFIX
from hub.rounds.state import get_shard_round
from hub.rounds.types import RoundId, ShardStatus
from hub.settlement.query import read_settlement
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import Checkpointed, ShardRound, make_checkpoint, make_updates
from tests.support.hub import RELAYER, HubChain, body_message, start_training
from tests.support.txs import SECOND_NS
from wire.gradchain.hub.v1 import query_pb2

PREFIXES = (PART_PREFIX, TALLY_PREFIX, AGGREGATE_PREFIX, TAIL_PREFIX)


def status_of(chain: HubChain, part: ShardRound) -> ShardStatus:
    info = part.info
    record = get_shard_round(chain.state, RoundId(info.task, info.round, info.attempt), part.shard)
    assert record is not None
    return record.status


def start_with_a_slow_shard(
    max_staleness: int = 2, rounds: int = 6, **params: int
) -> tuple[HubChain, int, ShardRound, Checkpointed]:
    """Return a hub in its second round, to which the second shard has brought nothing of the first."""
    chain, task = start_training(
        2, 4, rounds=rounds, max_staleness=max_staleness, params={"missing_limit": 9, **params}
    )
    first, slow = chain.parts(task)
    chain.complete(first)
    chain.block(after_s=100)
    assert chain.newest(task).round == 2
    return chain, task, slow, make_checkpoint(slow)


def next_round(chain: HubChain, task: int) -> None:
    """Let the first shard alone bring a round to its end."""
    chain.complete(chain.parts(task)[0])
    chain.block(after_s=100)


def settled_packets(chain: HubChain) -> list[tuple[str, int]]:
    """Return (client, round) of what the last block told shards about settlements."""
    return [
        (packet.source_client, content.round_settled.round)
        for packet, content in chain.sent()
        if content.HasField("round_settled")
    ]


def test_a_late_body_waits_for_the_next_round() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    assert chain.deliver(slow.shard, made.packet()) == b"\x01"
    assert status_of(chain, slow) is ShardStatus.CHECKPOINTED
    chain.must_send(RELAYER, body_message(slow, made.parts))
    assert status_of(chain, slow) is ShardStatus.LATE
    shown = chain.round(RoundId(task, 1, 0))
    assert shown.shards[1].status == query_pb2.SHARD_ROUND_STATUS_LATE
    assert shown.status == query_pb2.ROUND_STATUS_SETTLED
    assert [entry.shard for entry in shown.result.shards] == ["shard-1"]


def test_a_late_body_is_folded_with_its_age_and_its_own_scale() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    before = decode_model(read_model(chain.state, require_task(chain.state, task).model), 50)
    fresh = [make_checkpoint(part) for part in chain.parts(task)]
    for part, checkpoint in zip(chain.parts(task), fresh, strict=True):
        chain.complete(part, checkpoint)
    expected = model_step(
        before,
        [
            Contribution(
                decode_aggregate(item.body.aggregate, 50),
                item.header.total_weight,
                item.header.scale,
                staleness,
            )
            for item, staleness in ((fresh[0], 0), (fresh[1], 0), (made, 1))
        ],
        max_staleness=2,
    )
    assert read_model(chain.state, require_task(chain.state, task).model) == encode_model(expected)
    result = chain.round(RoundId(task, 2, 0)).result
    assert [(entry.shard, entry.round, entry.scale) for entry in result.shards] == [
        ("shard-1", 2, fresh[0].header.scale),
        ("shard-2", 2, fresh[1].header.scale),
        ("shard-2", 1, made.header.scale),
    ]


def test_a_late_body_is_folded_once() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    next_round(chain, task)
    assert status_of(chain, slow) is ShardStatus.COMPLETE
    next_round(chain, task)
    assert [entry.round for entry in chain.round(RoundId(task, 2, 0)).result.shards] == [2, 1]
    assert [entry.round for entry in chain.round(RoundId(task, 3, 0)).result.shards] == [3]


def test_late_work_is_paid_half_a_round_later() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    fresh = chain.parts(task)[0]
    next_round(chain, task)
    weights = {leaf.account: leaf.weight for leaf in read_settlement(chain.state, task, 2).leaves}
    expected: dict[bytes, int] = {}
    for key in fresh.keys:
        expected[key.public_key] = 2 * fresh.info.unit_weight
    for key in slow.keys:
        expected[key.public_key] = expected.get(key.public_key, 0) + slow.info.unit_weight
    assert weights == expected


def test_the_age_is_that_at_the_fold() -> None:
    chain, task, slow, made = start_with_a_slow_shard(max_staleness=2)
    next_round(chain, task)
    chain.complete(slow, made)
    next_round(chain, task)
    result = chain.round(RoundId(task, 3, 0)).result
    assert [(entry.shard, entry.round) for entry in result.shards] == [("shard-1", 3), ("shard-2", 1)]


def test_a_header_past_the_staleness_is_refused() -> None:
    chain, task, slow, made = start_with_a_slow_shard(max_staleness=1)
    next_round(chain, task)
    assert chain.deliver(slow.shard, made.packet()) == b"CheckpointTooLate"
    assert status_of(chain, slow) is ShardStatus.MISSING


def test_without_staleness_a_late_header_is_refused() -> None:
    chain, _task, slow, made = start_with_a_slow_shard(max_staleness=0)
    assert chain.deliver(slow.shard, made.packet()) == b"CheckpointTooLate"


def test_a_header_too_late_for_its_round_brings_an_inactive_shard_back() -> None:
    """It has no other way back: an inactive shard is assigned nothing that it could answer in time."""
    chain, task, slow, made = start_with_a_slow_shard(max_staleness=0, missing_limit=1)
    assert not require_shard(chain.state, slow.shard).is_active
    assert chain.deliver(slow.shard, made.packet()) == b"\x01"
    assert require_shard(chain.state, slow.shard).is_active
    assert status_of(chain, slow) is ShardStatus.MISSING
    next_round(chain, task)
    assert [part.shard for part in chain.parts(task)] == ["shard-1", slow.shard]


def test_a_body_past_the_staleness_is_dropped_with_its_parts() -> None:
    chain, task = start_training(2, 2, parameters=40_000, rounds=5, params={"missing_limit": 9})
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.deliver(slow.shard, made.packet())
    chain.must_send(RELAYER, body_message(slow, made.parts[:1]))
    chain.block(after_s=100)
    assert status_of(chain, slow) is ShardStatus.CHECKPOINTED
    next_round(chain, task)
    assert status_of(chain, slow) is ShardStatus.MISSING
    assert list(chain.state.scan(BULK, PART_PREFIX)) == []
    assert chain.send(RELAYER, body_message(slow, made.parts[1:])) == ("hub", 86)


def test_a_body_may_come_after_the_deadline_of_its_header() -> None:
    chain, task = start_training(2, 4, rounds=5)
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.deliver(slow.shard, made.packet())
    chain.block(after_s=100)
    chain.must_send(RELAYER, body_message(slow, made.parts))
    assert status_of(chain, slow) is ShardStatus.LATE


def test_a_false_late_body_is_rejected_and_told_at_the_end() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    made.header.grams_root = b"\x01" * 32
    chain.deliver(slow.shard, made.packet())
    chain.must_send(RELAYER, body_message(slow, made.parts))
    assert status_of(chain, slow) is ShardStatus.REJECTED
    next_round(chain, task)
    next_round(chain, task)
    assert status_of(chain, slow) is ShardStatus.REJECTED
    assert (slow_client(chain), 1) in settled_packets(chain)


def slow_client(chain: HubChain) -> str:
    return chain.clients["shard-2"]


def test_a_late_checkpoint_without_updates_needs_no_body() -> None:
    chain, task, slow, _made = start_with_a_slow_shard()
    assert chain.deliver(slow.shard, make_checkpoint(slow, []).packet()) == b"\x01"
    assert status_of(chain, slow) is ShardStatus.LATE
    next_round(chain, task)
    result = chain.round(RoundId(task, 2, 0)).result
    assert [(entry.shard, entry.round, entry.updates) for entry in result.shards] == [
        ("shard-1", 2, 2),
        ("shard-2", 1, 0),
    ]


@pytest.mark.parametrize("max_staleness", [0, 1])
def test_between_the_deadline_and_the_close_of_a_round_a_body_is_late(max_staleness: int) -> None:
    """The block that closes a round may be later than its deadline, and bring a body itself."""
    chain, task = start_training(2, 4, rounds=5, max_staleness=max_staleness)
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.deliver(slow.shard, made.packet())
    left_s = (first.info.deadline_ns - chain.time_ns) / SECOND_NS
    outcome = chain.block(chain.body_tx(slow, made.parts), after_s=left_s + 1)
    assert chain.newest(task).round == 2
    if max_staleness:
        assert status_of(chain, slow) is ShardStatus.LATE
    else:
        assert (outcome.results[0].codespace, outcome.results[0].code) == ("hub", 85)
        assert status_of(chain, slow) is ShardStatus.MISSING


def test_in_the_last_round_nothing_can_be_late() -> None:
    chain, task = start_training(2, 4, rounds=1)
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.post(slow.shard, made.packet())
    chain.block(after_s=200)
    assert chain.acks[-1] == b"CheckpointTooLate"
    assert require_task(chain.state, task).status is TaskStatus.COMPLETE


def test_after_the_task_a_checkpoint_shows_only_that_the_shard_works() -> None:
    chain, task = start_training(2, 4, rounds=1, params={"missing_limit": 1})
    first, slow = chain.parts(task)
    chain.complete(first)
    chain.block(after_s=100)
    assert require_task(chain.state, task).status is TaskStatus.COMPLETE
    assert not require_shard(chain.state, slow.shard).is_active
    assert chain.deliver(slow.shard, make_checkpoint(slow).packet()) == b"\x01"
    assert chain.event_kinds() == ["shard_activity", "checkpoint_useless"]
    assert require_shard(chain.state, slow.shard).is_active
    assert status_of(chain, slow) is ShardStatus.MISSING


def test_a_late_checkpoint_brings_an_inactive_shard_back() -> None:
    chain, task, slow, made = start_with_a_slow_shard(missing_limit=1)
    assert not require_shard(chain.state, slow.shard).is_active
    chain.deliver(slow.shard, made.packet())
    assert require_shard(chain.state, slow.shard).is_active
    next_round(chain, task)
    assert len(chain.parts(task)) == 2


def test_a_round_waits_for_late_work_no_longer_when_its_task_fails() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    for _ in range(3):
        chain.block(after_s=100)
    assert require_task(chain.state, task).status is TaskStatus.FAILED
    assert status_of(chain, slow) is ShardStatus.MISSING
    for prefix in PREFIXES:
        assert list(chain.state.scan(BULK, prefix)) == []
    assert (slow_client(chain), 1) in settled_packets(chain)


def test_late_work_of_an_attempt_that_is_void_at_last_is_dropped() -> None:
    """The body came after the deadline, in the block that voids the attempt."""
    chain, task = start_training(2, 4, min_shards=2)
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.deliver(slow.shard, made.packet())
    chain.block(chain.body_tx(slow, made.parts), after_s=100)
    assert chain.newest(task) == RoundId(task, 1, 1)
    assert status_of(chain, slow) is ShardStatus.MISSING
    for prefix in PREFIXES:
        assert list(chain.state.scan(BULK, prefix)) == []


# --- when shards are told --------------------------------------------------------------------------------------------


def test_a_shard_that_may_still_deliver_is_not_told_to_forget() -> None:
    chain, _task, _slow, _made = start_with_a_slow_shard()
    assert settled_packets(chain) == [(chain.clients["shard-1"], 1)]


def test_a_late_shard_is_told_when_its_body_was_folded() -> None:
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    assert settled_packets(chain) == []
    next_round(chain, task)
    assert sorted(settled_packets(chain)) == [(chain.clients["shard-1"], 2), (slow_client(chain), 1)]


def test_a_late_shard_is_told_when_its_body_is_of_no_use_any_more() -> None:
    chain, task, _slow, _made = start_with_a_slow_shard(max_staleness=1)
    next_round(chain, task)
    assert sorted(settled_packets(chain)) == [(chain.clients["shard-1"], 2), (slow_client(chain), 1)]


def test_every_shard_of_every_round_is_told_once_and_nothing_is_left_behind() -> None:
    chain, task, slow, made = start_with_a_slow_shard(rounds=4)
    told = settled_packets(chain)
    chain.complete(slow, made)
    for _ in range(3):
        next_round(chain, task)
        told += settled_packets(chain)
    assert require_task(chain.state, task).status is TaskStatus.COMPLETE
    assert sorted(told) == [
        (client, number) for client in sorted(chain.clients.values()) for number in range(1, 5)
    ]
    for prefix in PREFIXES:
        assert list(chain.state.scan(BULK, prefix)) == []


def test_during_a_challenge_window_a_folded_shard_is_told_at_the_settlement() -> None:
    chain, task = start_training(
        2,
        4,
        rounds=6,
        max_staleness=3,
        params={"challenge_window_ns": 1_000 * SECOND_NS, "missing_limit": 9},
    )
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.block(after_s=100)
    chain.complete(slow, made)
    next_round(chain, task)
    assert settled_packets(chain) == []
    chain.block(after_s=1_000)
    told = settled_packets(chain)
    for number in (1, 2):
        assert (chain.clients["shard-1"], number) in told
    assert told.count((slow_client(chain), 1)) == 1


# --- ages so far apart that sums could overflow ----------------------------------------------------------------------


def test_work_too_old_for_an_exact_sum_beside_the_rest_is_left_out() -> None:
    """With k = 0 and a spread of many rounds the numerator could leave 64 bits: the round goes on without the old."""
    chain, task = start_training(
        2, 4, rounds=40, max_staleness=30, start_scale=0, params={"missing_limit": 99}
    )
    first, slow = chain.parts(task)
    made = make_checkpoint(slow)
    chain.complete(first)
    chain.block(after_s=100)
    for _ in range(20):
        chain.complete(chain.parts(task)[0], make_checkpoint(chain.parts(task)[0], []))
        chain.block(after_s=100)
    chain.complete(slow, made)
    number = chain.newest(task).round
    next_round(chain, task)
    result = chain.round(RoundId(task, number, 0)).result
    assert [(entry.shard, entry.round) for entry in result.shards] == [("shard-1", number)]
    assert status_of(chain, slow) is ShardStatus.LATE


def test_old_work_alone_counts_in_full() -> None:
    """A round without updates of its own takes the late one as it is."""
    chain, task, slow, made = start_with_a_slow_shard()
    chain.complete(slow, made)
    before = decode_model(read_model(chain.state, require_task(chain.state, task).model), 50)
    for part in chain.parts(task):
        chain.complete(part, make_checkpoint(part, []))
    expected = model_step(
        before,
        [
            Contribution(
                decode_aggregate(made.body.aggregate, 50), made.header.total_weight, made.header.scale
            )
        ],
        max_staleness=0,
    )
    assert read_model(chain.state, require_task(chain.state, task).model) == encode_model(expected)
    leaves = read_settlement(chain.state, task, 2).leaves
    assert {leaf.weight for leaf in leaves} == {slow.info.unit_weight}
    assert sorted(leaf.account for leaf in leaves) == sorted(
        update.participant for update in make_updates(slow)
    )

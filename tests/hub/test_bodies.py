"""The delivery of bodies, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.execution import RefusedResult
from abci_app.state import BULK
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TALLY_PREFIX
from hub.rounds.query import read_checkpoint
from hub.rounds.state import get_shard_round
from hub.rounds.types import ShardStatus
from ibc.errors import RelayRedundant
from tests.support.federation import Checkpointed, ShardRound, make_checkpoint
from tests.support.hub import RELAYER, HubChain, body_message, make_spec, start_training
from tests.support.txs import build_key
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

LARGE = 70_000
"""Parameters of a model whose aggregate takes four parts."""


def count_keys(chain: HubChain, prefix: bytes) -> int:
    return len(list(chain.state.scan(BULK, prefix)))


def status_of(chain: HubChain, part: ShardRound) -> ShardStatus:
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    return record.status


def start_delivery(parameters: int = 50) -> tuple[HubChain, ShardRound, Checkpointed]:
    """Return a hub that waits for the body of the first of two shards."""
    chain, task = start_training(2, 2, parameters=parameters)
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    chain.deliver(part.shard, made.packet())
    return chain, part, made


def test_a_verified_body_makes_its_shard_complete() -> None:
    chain, part, made = start_delivery()
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert status_of(chain, part) is ShardStatus.COMPLETE
    assert chain.event_kinds() == ["body_parts_received", "body_verified"]
    assert count_keys(chain, PART_PREFIX) == 0
    assert count_keys(chain, TALLY_PREFIX) == count_keys(chain, AGGREGATE_PREFIX) == 1


def test_anybody_may_deliver_a_body() -> None:
    chain, part, made = start_delivery()
    stranger = build_key(555)
    message = body_message(part, made.parts)
    message.submitter = stranger.public_key
    chain.must_send(stranger, message)
    assert status_of(chain, part) is ShardStatus.COMPLETE


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_parts_may_arrive_in_any_order_and_again(random: Random) -> None:
    chain, part, made = start_delivery(LARGE)
    assert len(made.parts) == 4
    order = list(range(4)) * 2
    random.shuffle(order)
    seen: set[int] = set()
    for index in order:
        chain.must_send(RELAYER, body_message(part, [made.parts[index]]))
        seen.add(index)
        if len(seen) < 4:
            assert status_of(chain, part) is ShardStatus.CHECKPOINTED
            answer = read_checkpoint(chain.state, part.info.task, 1, 0, part.shard)
            assert list(answer.missing) == sorted(set(range(4)) - seen)
            assert answer.state.parts_received == len(seen)
        else:
            assert status_of(chain, part) is ShardStatus.COMPLETE


def test_all_parts_may_come_in_one_message_with_duplicates() -> None:
    chain, part, made = start_delivery(LARGE)
    chain.must_send(RELAYER, body_message(part, [*made.parts, made.parts[0]]))
    assert status_of(chain, part) is ShardStatus.COMPLETE


def test_a_part_that_is_there_already_emits_nothing() -> None:
    chain, part, made = start_delivery(LARGE)
    chain.must_send(RELAYER, body_message(part, made.parts[:1]))
    assert chain.must_send(RELAYER, body_message(part, made.parts[:1])) == ()


def test_a_body_that_was_verified_can_be_delivered_again() -> None:
    chain, part, made = start_delivery()
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert chain.must_send(RELAYER, body_message(part, made.parts)) == ()


def test_a_mempool_takes_no_parts_that_the_hub_does_not_lack() -> None:
    """Whoever sends them pays nothing, and once the body was verified they need not even be true."""
    chain, part, made = start_delivery(LARGE)

    def refusal(parts: Sequence[tx_pb2.DataPart]) -> int:
        try:
            chain.check(chain.body_tx(part, parts))
        except RefusedResult as refused:
            return refused.result.code
        return 0

    chain.must_send(RELAYER, body_message(part, made.parts[:1]))
    assert refusal(made.parts[:1]) == RelayRedundant.CODE
    assert refusal(made.parts[:2]) == 0
    chain.must_send(RELAYER, body_message(part, made.parts[1:]))
    assert refusal(made.parts) == RelayRedundant.CODE
    assert refusal([tx_pb2.DataPart(index=7, data=b"junk")]) == RelayRedundant.CODE


def test_a_body_without_a_header_is_refused() -> None:
    chain, task = start_training(2, 2)
    part = chain.parts(task)[0]
    assert chain.send(RELAYER, body_message(part, make_checkpoint(part).parts)) == ("hub", 86)


def _false_index(part: tx_pb2.DataPart) -> None:
    part.index = 4


def _swapped_index(part: tx_pb2.DataPart) -> None:
    part.index = 1


def _short(part: tx_pb2.DataPart) -> None:
    part.data = part.data[:-1]


def _other_data(part: tx_pb2.DataPart) -> None:
    part.data = bytes(len(part.data))


def _no_path(part: tx_pb2.DataPart) -> None:
    del part.path[:]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_false_index, ("hub", 87)),
        (_swapped_index, ("aggregation", 6)),
        (_short, ("hub", 87)),
        (_other_data, ("aggregation", 6)),
        (_no_path, ("aggregation", 6)),
    ],
)
def test_what_is_no_part_of_the_body_is_refused(change: object, code: tuple[str, int]) -> None:
    assert callable(change)
    chain, part, made = start_delivery(LARGE)
    wrong = tx_pb2.DataPart.FromString(made.parts[0].SerializeToString())
    change(wrong)
    assert chain.send(RELAYER, body_message(part, [made.parts[1], wrong])) == code
    assert count_keys(chain, PART_PREFIX) == 0


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("task", 9, ("hub", 80)),
        ("task", 2**64 - 1, ("hub", 80)),
        ("round", 2, ("hub", 80)),
        ("round", 2**64 - 1, ("hub", 80)),
        ("attempt", 1, ("hub", 80)),
        ("shard", "shard-9", ("hub", 80)),
        ("shard", "x" * 300, ("hub", 1)),
        ("shard", "", ("hub", 1)),
    ],
)
def test_a_body_for_what_does_not_exist_is_refused(
    field: str, value: int | str, code: tuple[str, int]
) -> None:
    chain, part, made = start_delivery()
    message = body_message(part, made.parts)
    setattr(message, field, value)
    assert chain.send(RELAYER, message) == code


def test_a_message_without_parts_is_refused() -> None:
    chain, part, _made = start_delivery()
    assert chain.send(RELAYER, body_message(part, [])) == ("hub", 1)


def test_parts_of_several_shards_and_rounds_are_kept_apart() -> None:
    chain, task = start_training(2, 2, parameters=LARGE)
    made = [make_checkpoint(part) for part in chain.parts(task)]
    parts = chain.parts(task)
    for part, checkpoint in zip(parts, made, strict=True):
        chain.deliver(part.shard, checkpoint.packet())
        chain.must_send(RELAYER, body_message(part, checkpoint.parts[:-1]))
    assert count_keys(chain, PART_PREFIX) == 6
    chain.must_send(RELAYER, body_message(parts[0], made[0].parts[-1:]))
    assert [status_of(chain, part) for part in parts] == [ShardStatus.COMPLETE, ShardStatus.CHECKPOINTED]
    assert count_keys(chain, PART_PREFIX) == 3


def test_shards_with_names_that_begin_alike_are_kept_apart() -> None:
    chain = HubChain().start()
    chain.add_shards("shard-1", "shard-11")
    task = chain.create_task(make_spec(LARGE))
    chain.register(task, 0, 1)
    short, long = chain.parts(task)
    made = make_checkpoint(long)
    chain.deliver(long.shard, made.packet())
    chain.must_send(RELAYER, body_message(long, made.parts[:2]))
    chain.complete(short)
    assert count_keys(chain, PART_PREFIX) == 2
    chain.must_send(RELAYER, body_message(long, made.parts[2:]))
    assert chain.round(chain.newest(task)).info.round == 2


def test_a_body_is_verified_once_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """CheckTx verifies; the block finds the verdict."""
    chain, part, made = start_delivery()
    tx = chain.body_tx(part, made.parts)
    chain.check(tx)

    def fail(*_arguments: object) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr("hub.rounds.handlers.verify_body", fail)
    assert chain.block(tx).results[0].code == 0
    assert status_of(chain, part) is ShardStatus.COMPLETE


def test_the_verdict_does_not_depend_on_what_a_node_remembers() -> None:
    digests = []
    for is_forgetful in (False, True):
        chain, part, made = start_delivery()
        tx = chain.body_tx(part, made.parts)
        chain.check(tx)
        if is_forgetful:
            chain.forget()
        chain.block(tx)
        digests.append(chain.state.digest())
    assert digests[0] == digests[1]


def test_the_service_shows_a_verified_body() -> None:
    chain, part, made = start_delivery()
    chain.must_send(RELAYER, body_message(part, made.parts))
    answer = read_checkpoint(chain.state, part.info.task, 1, 0, part.shard)
    assert answer.state.status == query_pb2.SHARD_ROUND_STATUS_COMPLETE
    assert (answer.state.parts_received, answer.state.parts, list(answer.missing)) == (1, 1, [])

"""Rounds as the hub opens and settles them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.context import BlockContext
from abci_app.state import BULK
from shards.checkpoints.state import get_header
from shards.errors import InvalidRound
from shards.params import ShardParams
from shards.rounds.msgs import parse_round
from shards.rounds.state import list_live, list_newest, require_progress
from shards.rounds.types import RoundId, RoundStatus
from shards.updates.keys import payload_segment, signed_key
from shards.updates.state import get_record
from tests.support.shard_rounds import SHARD_CHAIN, TestRound, build_round
from tests.support.shards import ShardChain, codes, receive
from tests.support.txs import NOW_NS, SECOND_NS
from wire.gradchain.fl.v1 import packet_pb2, task_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.context import Services


def open_changed(change: Callable[[packet_pb2.RoundOpened], None]) -> bytes:
    """Return how a shard answers to an opening with one change."""
    chain = ShardChain().start()
    opened = packet_pb2.RoundOpened()
    opened.CopyFrom(build_round().opened)
    change(opened)
    chain.inbox.append(packet_pb2.HubPacket(round_opened=opened))
    chain.block()
    return chain.acks[-1]


def set_field(name: str, value: object) -> Callable[[packet_pb2.RoundOpened], None]:
    def change(opened: packet_pb2.RoundOpened) -> None:
        setattr(opened, name, value)

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spec_digest", b"\x01" * 31),
        ("base_root", b"\x01" * 33),
        ("assignment_root", b""),
        ("seed", b"\x01" * 31),
        ("scale", 21),
        ("parameters", 0),
        ("parameters", 32 * 40_960 + 1),
        ("assigned", 1_025),
        ("unit_weight", 0),
        ("unit_weight", 65_535 // 4 + 1),
        ("close_time_ns", -1),
        ("close_time_ns", NOW_NS + 121 * SECOND_NS),
        ("deadline_ns", -1),
    ],
)
def test_a_round_with_a_value_out_of_bounds_is_refused(name: str, value: object) -> None:
    assert open_changed(set_field(name, value)) == b"InvalidRound"


def test_a_round_without_a_rule_is_refused() -> None:
    assert open_changed(lambda opened: opened.ClearField("rule")) == b"InvalidRound"


def test_a_round_whose_weights_just_fit_is_opened() -> None:
    assert open_changed(set_field("unit_weight", 65_535 // 4)) == b"\x01"


def test_a_round_with_the_most_parameters_is_opened() -> None:
    assert open_changed(set_field("parameters", 32 * 40_960)) == b"\x01"


def test_the_genesis_may_allow_fewer_participants() -> None:
    with pytest.raises(InvalidRound):
        parse_round(build_round(4).opened, ShardParams(max_assigned=3))


def test_any_bound_of_norms_is_taken() -> None:
    rule = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=2**64 - 1))
    chain = ShardChain().start()
    item = build_round(1, rule=rule)
    chain.open(item)
    chain.submit(item.update(0))
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CHECKPOINTED


def test_a_round_is_opened_once() -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    before = chain.state.digest()
    chain.inbox.append(packet_pb2.HubPacket(round_opened=build_round(unit=1).opened))
    chain.block()
    assert chain.acks[-1] == b"RoundExists"
    assert chain.state.digest() == before


def test_a_packet_over_another_client_is_refused(services: Services) -> None:
    chain = ShardChain().start()
    block = BlockContext(SHARD_CHAIN, 1, NOW_NS, b"", services)
    packet = packet_pb2.HubPacket(round_opened=build_round().opened)
    answer = receive(block, chain.overlay(), packet, client="07-tendermint-1")
    assert answer == b"ForeignClient"


def test_an_empty_packet_is_refused(services: Services) -> None:
    chain = ShardChain().start()
    block = BlockContext(SHARD_CHAIN, 1, NOW_NS, b"", services)
    assert receive(block, chain.overlay(), packet_pb2.HubPacket()) == b"UnexpectedPacket"


@pytest.mark.parametrize(
    ("name", "value"),
    [("source_port", "fl.other"), ("destination_port", "fl.hub"), ("version", "2"), ("encoding", "json")],
)
def test_a_payload_of_another_format_is_refused(services: Services, name: str, value: str) -> None:
    chain = ShardChain().start()
    block = BlockContext(SHARD_CHAIN, 1, NOW_NS, b"", services)
    packet = packet_pb2.HubPacket(round_opened=build_round().opened)
    answer = receive(block, chain.overlay(), packet, **{name: value})
    assert answer == b"UnexpectedPacket"


def test_a_later_attempt_leaves_the_earlier_one_open() -> None:
    chain = ShardChain().start()
    first, second = build_round(attempt=1), build_round(attempt=2)
    chain.open(first)
    chain.open(second)
    assert codes(chain.submit(first.update(0), second.update(0))) == [("", 0)]
    assert list_live(chain.state) == [first.round_id, second.round_id]


def test_a_settled_round_keeps_heads_and_drops_payloads() -> None:
    chain = ShardChain().start()
    item = build_round(2)
    chain.open(item)
    chain.submit(item.update(0), item.update(1))
    header = get_header(chain.state, item.round_id)
    chain.settle(item)
    participant = item.participants[0]
    assert chain.acks[-1] == b"\x01"
    assert chain.state.blobs == {}
    assert chain.state.get(BULK, signed_key(item.round_id, participant)) is None
    assert get_record(chain.state, item.round_id, participant) is not None
    assert get_header(chain.state, item.round_id) == header
    assert require_progress(chain.state, item.round_id).status is RoundStatus.PRUNED


def test_settling_drops_nothing_of_other_rounds() -> None:
    chain = ShardChain().start()
    first, second = build_round(2, number=1), build_round(2, number=2)
    chain.open(first, second)
    chain.submit(first.update(0), first.update(1), second.update(0))
    chain.settle(first)
    assert {segment for segment, _ in chain.state.blobs} == {payload_segment(second.round_id)}


def test_settling_twice_is_a_success_that_changes_nothing() -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    chain.settle(item)
    before = chain.state.digest()
    outcome = chain.settle(item)
    assert chain.acks[-1] == b"\x01"
    assert chain.state.digest() == before
    assert outcome.events == ()


def test_a_round_that_was_never_opened_cannot_be_settled() -> None:
    chain = ShardChain().start()
    chain.settle(build_round())
    assert chain.acks[-1] == b"UnknownRound"


def test_an_open_round_that_the_hub_settles_takes_no_more_updates_and_makes_no_checkpoint() -> None:
    chain = ShardChain().start()
    item = build_round(2)
    chain.open(item)
    chain.submit(item.update(0))
    chain.settle(item)
    assert codes(chain.submit(item.update(1))) == [("shard", 20)]
    chain.block(after_s=500)
    assert get_header(chain.state, item.round_id) is None
    assert list_live(chain.state) == []


def test_payloads_go_when_no_settlement_comes() -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    chain.submit(item.update(0))
    assert chain.state.blobs
    until_s = (item.opened.deadline_ns - chain.time_ns) // SECOND_NS + ShardParams().retention_s
    chain.block(after_s=until_s - 1)
    assert chain.state.blobs
    chain.block(after_s=1)
    assert chain.state.blobs == {}
    assert require_progress(chain.state, item.round_id).status is RoundStatus.PRUNED


def test_a_retired_round_leaves_no_index_behind() -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    chain.settle(item)
    assert list(chain.state.scan(BULK, b"rounds/live/")) == []
    assert list(chain.state.scan(BULK, b"rounds/retire/")) == []


def test_rounds_of_a_task_are_listed_newest_first() -> None:
    chain = ShardChain().start()
    rounds = [build_round(number=number, attempt=attempt) for number, attempt in ((1, 1), (1, 2), (2, 1))]
    chain.open(*rounds, build_round(task=2))
    expected = [RoundId(1, 2, 1), RoundId(1, 1, 2), RoundId(1, 1, 1)]
    assert list_newest(chain.state, 1, 10) == expected
    assert list_newest(chain.state, 1, 2) == expected[:2]
    assert list_newest(chain.state, 3, 2) == []


def test_extreme_numbers_of_a_round_are_kept_apart() -> None:
    chain = ShardChain().start()
    largest = build_round(task=2**64 - 1, number=2**64 - 1, attempt=2**32 - 1)
    smallest = build_round(task=0, number=0, attempt=0)
    chain.open(smallest, largest)
    assert codes(chain.submit(smallest.update(0), largest.update(0))) == [("", 0)]
    assert list_newest(chain.state, 2**64 - 1, 5) == [largest.round_id]


def test_an_idle_block_changes_nothing() -> None:
    chain = ShardChain().start()
    item: TestRound = build_round()
    chain.open(item)
    before = chain.state.digest()
    outcome = chain.block()
    assert chain.state.digest() == before
    assert outcome.events == ()

"""Nodes that lie about the newest block delay packets at worst."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from relayer.actions import EffectAction, ListPending
from relayer.errors import HeightsDisagree
from relayer.events import BlockSeen, BlocksSkipped, HeadSeen, PendingUnknown, RelayEvent, WrittenAck
from relayer.policy import failure_of
from relayer.types import NS_PER_SECOND, Height, TimeNs
from tests.support.relayer_chain import SUCCESS, make_packet
from tests.support.relayer_world import HUB, SHARD, World

if TYPE_CHECKING:
    from tests.support.relayer_chain import SimChain

FAR = Height(10**12)
DAY_NS = 24 * 3600 * NS_PER_SECOND


def lie(world: World, chain: SimChain, height: Height, later_ns: int = DAY_NS) -> None:
    """Let the relayer hear of a block that there is not."""
    world.inbox.append(HeadSeen(chain.chain_id, height, TimeNs(world.now_ns + later_ns)))


def test_a_packet_that_a_false_time_expired_is_received() -> None:
    world = World()
    key = world.send_from_hub()
    world.hub.make_block(world.now_ns + 1)
    world.read_blocks(world.hub)
    lie(world, world.shard, world.shard.height)
    world.inbox.reverse()
    world.settle()
    world.run_until_idle(60)
    assert world.shard.received == [key]
    assert world.hub.ended == [(key, False)]


def test_a_node_that_lies_about_the_time_of_each_block_stops_no_packet() -> None:
    world = World()
    key = world.send_from_hub()
    for _ in range(20):
        world.make_blocks()
        lie(world, world.shard, world.shard.height)
        world.settle()
    assert world.hub.ended == [(key, False)]


@pytest.mark.parametrize("again", [False, True])
def test_a_packet_that_a_false_height_expired_is_received(again: bool) -> None:
    world = World()
    key = world.send_from_hub()
    world.hub.make_block(world.now_ns + 1)
    world.read_blocks(world.hub)
    lie(world, world.shard, FAR)
    world.settle()
    if again:
        world.restart()
    world.run_until_idle(120)
    assert world.shard.received == [key]
    assert world.hub.ended == [(key, False)]


@pytest.mark.parametrize("chain_name", ["hub", "shard"])
def test_packets_pass_when_a_false_height_was_taken_back(chain_name: str) -> None:
    world = World()
    lie(world, getattr(world, chain_name), FAR)
    world.settle()
    keys = [world.send_from_hub(), world.send_from_shard()]
    world.run_until_idle(60)
    assert [*world.hub.ended, *world.shard.ended] == [(key, False) for key in keys]


def answer_honestly(world: World) -> None:
    """Let lists say that the chain is not that far, as its nodes do."""
    perform = world.perform

    def answer(action: EffectAction) -> RelayEvent:
        if isinstance(action, ListPending) and action.least_height > world.chain(action.end.chain).height:
            return PendingUnknown(action.end, failure_of(HeightsDisagree("not that far")))
        return perform(action)

    world.perform = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("again", [False, True])
def test_blocks_are_read_when_a_false_skip_was_taken_back(again: bool) -> None:
    world = World()
    answer_honestly(world)
    world.settle()
    world.hear(BlocksSkipped(HUB.chain, FAR))
    if again:
        world.restart()
    missed = world.send_from_hub()
    world.make_blocks()
    world.settle()
    world.hear(BlocksSkipped(HUB.chain, world.hub.height))
    key = world.send_from_hub()
    world.run_until_idle(60)
    assert world.hub.ended == [(missed, False), (key, False)]


@pytest.mark.parametrize("is_same", [True, False])
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_packet_that_a_false_block_has_sent_is_taken_from_a_true_one(
    is_listed: bool, is_same: bool
) -> None:
    world = World()
    answer_honestly(world)
    world.settle()
    key = world.send_from_hub()
    packet = world.hub.queue[0]
    if not is_same:
        packet = replace(packet, packet_bytes=make_packet(HUB, SHARD, key.sequence, 10**10))
    lie(world, world.hub, FAR)
    world.inbox.append(BlocksSkipped(HUB.chain, FAR))
    world.inbox.append(BlockSeen(HUB.chain, Height(FAR + 1), sent=(replace(packet, height=Height(FAR + 1)),)))
    world.settle()
    if is_listed:
        world.hub.make_block(world.now_ns + 1)
        world.read_up_to[HUB.chain] = world.hub.height
    world.inbox += [world.hub.head(), BlocksSkipped(HUB.chain, world.hub.height)]
    world.run_until_idle(60)
    assert world.shard.received == [key]
    assert world.hub.ended == [(key, False)]


def test_a_packet_that_a_false_block_has_received_is_received() -> None:
    world = World()
    answer_honestly(world)
    world.run(2)
    key = world.send_from_hub()
    packet = world.hub.queue[0]
    world.hub.make_block(world.now_ns + 1)
    world.read_blocks(world.hub)
    lie(world, world.shard, FAR, later_ns=0)
    world.inbox.append(BlocksSkipped(SHARD.chain, FAR))
    written = WrittenAck(key, packet.packet_bytes, packet.timeout_s, SUCCESS)
    world.inbox.append(BlockSeen(SHARD.chain, Height(FAR + 1), written=(written,)))
    world.inbox += [world.shard.head(), BlocksSkipped(SHARD.chain, world.shard.height)]
    world.run_until_idle(60)
    assert world.shard.received == [key]
    assert world.hub.ended == [(key, False)]

"""One of a chain's nodes tells of packets and acknowledgements that its chain does not have; the next one does not."""

from __future__ import annotations

from dataclasses import replace

from relayer import actions, events
from relayer.types import Step
from tests.support.relayer_chain import make_packet
from tests.support.relayer_world import HUB, SHARD, World
from wire.ibc.core.channel.v2 import packet_pb2

FORGED_ACK = packet_pb2.Acknowledgement(app_acknowledgements=[b"no"]).SerializeToString()


def forge_acknowledgements(world: World, times: int) -> None:
    """Let blocks and the first answers about packets tell of acknowledgements that were never written."""
    perform, read_blocks = world.perform, world.read_blocks
    left = times

    def lie(action: actions.EffectAction) -> events.RelayEvent:
        nonlocal left
        answer = perform(action)
        if isinstance(answer, events.PacketStatusSeen) and answer.acknowledgement and left:
            left -= 1
            return replace(answer, acknowledgement=FORGED_ACK)
        return answer

    def read(chain: object) -> None:
        known = len(world.inbox)
        read_blocks(chain)  # type: ignore[arg-type]
        for index, event in enumerate(world.inbox[known:], start=known):
            if isinstance(event, events.BlockSeen):
                written = tuple(replace(ack, acknowledgement=FORGED_ACK) for ack in event.written)
                world.inbox[index] = replace(event, written=written)

    world.perform, world.read_blocks = lie, read  # type: ignore[method-assign]


def test_an_acknowledgement_that_was_forged_is_asked_for_again() -> None:
    world = World()
    forge_acknowledgements(world, times=2)
    key = world.send_from_hub()
    world.run_until_idle(120)
    assert world.hub.ended == [(key, False)]


def test_an_acknowledgement_that_stays_forged_is_asked_for_with_growing_pauses() -> None:
    world = World()
    forge_acknowledgements(world, times=10**6)
    key = world.send_from_hub()
    world.run(200)
    assert world.machine.state.packets[key].step is not Step.REFUSED
    assert world.asks < 30


def test_a_packet_that_was_forged_is_taken_from_the_list() -> None:
    world = World()
    world.settle()
    key = world.send_from_hub()
    world.make_blocks()
    for index, event in enumerate(world.inbox):
        if isinstance(event, events.BlockSeen) and event.sent:
            forged = replace(event.sent[0], packet_bytes=make_packet(HUB, SHARD, key.sequence, 10**10))
            world.inbox[index] = replace(event, sent=(forged,))
    world.run_until_idle(120)
    assert world.shard.received == [key]
    assert world.hub.ended == [(key, False)]


def test_a_packet_that_stays_forged_is_listed_once() -> None:
    world = World()
    world.settle()
    key = world.send_from_hub()
    forged = make_packet(HUB, SHARD, key.sequence, 10**10)
    world.make_blocks()
    perform, lists = world.perform, 0

    def lie(action: actions.EffectAction) -> events.RelayEvent:
        nonlocal lists
        answer = perform(action)
        if isinstance(answer, events.PendingListed) and answer.packets:
            lists += 1
            (listed,) = answer.packets
            return replace(answer, packets=(replace(listed, sent=replace(listed.sent, packet_bytes=forged)),))
        return answer

    world.perform = lie  # type: ignore[method-assign]
    for index, event in enumerate(world.inbox):
        if isinstance(event, events.BlockSeen) and event.sent:
            world.inbox[index] = replace(event, sent=(replace(event.sent[0], packet_bytes=forged),))
    world.run(60)
    assert lists == 1
    assert world.machine.state.packets[key].step is Step.REFUSED
    assert world.shard.received == []

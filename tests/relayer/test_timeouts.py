"""Packets that are not received in time come back to their sender, and no other ones do."""

from __future__ import annotations

from ibc.errors import CommitmentMismatch
from relayer import actions
from relayer.events import HeadSeen
from relayer.types import Duty, PacketKey
from tests.support.relayer_world import HUB, SHARD, World


def cut_off_shard(world: World) -> None:
    """Let the shard take no transactions."""
    for tx_hash in list(world.shard.mempool):
        del world.shard.mempool[tx_hash]


def test_a_packet_that_expires_before_it_is_relayed_times_out() -> None:
    world = World()
    key = world.send_from_hub(timeout_in_s=1)
    world.run_until_idle(60)
    assert world.hub.ended == [(key, True)]
    assert world.shard.received == []


def test_a_packet_whose_delivery_is_lost_times_out() -> None:
    world = World()
    key = world.send_from_hub(timeout_in_s=6)
    for _ in range(12):
        world.make_blocks()
        world.settle()
        cut_off_shard(world)
    world.run_until_idle(60)
    assert world.hub.ended == [(key, True)]
    assert world.shard.received == []


def test_a_packet_that_was_received_just_in_time_is_acknowledged() -> None:
    for timeout_in_s in range(2, 8):
        world = World()
        key = world.send_from_hub(timeout_in_s)
        world.run_until_idle(60)
        assert world.hub.ended == [(key, key not in world.shard.received)]


def test_a_timeout_is_proved_at_a_header_that_has_reached_it() -> None:
    world = World()
    key = world.send_from_hub(timeout_in_s=1)
    seen: list[actions.ProveBatch] = []
    perform = world.perform

    def watch(action: actions.EffectAction) -> object:
        if isinstance(action, actions.ProveBatch):
            seen.append(action)
        return perform(action)

    world.perform = watch  # type: ignore[assignment,method-assign]
    world.run_until_idle(60)
    proving = next(a for a in seen if any(item.duty is Duty.TIMEOUT for item in a.items))
    timeout_ns = world.shard.times[proving.target_height]
    sent = next(sent for sent in world.hub.sent if sent.key == key)
    assert timeout_ns >= sent.timeout_s * 10**9
    assert (proving.lane, proving.origin) == (HUB, SHARD)


def test_a_refused_packet_still_times_out() -> None:
    world = World()
    world.shard.refused_packets[PacketKey(HUB, 1)] = CommitmentMismatch("never")
    key = world.send_from_hub(timeout_in_s=20)
    world.run(6)
    assert world.machine.state.packets[key].stage == "refused"
    world.run_until_idle(60)
    assert world.hub.ended == [(key, True)]


def test_a_packet_is_not_delivered_before_the_time_of_its_receiver_is_known() -> None:
    world = World()
    key = world.send_from_hub(timeout_in_s=1)
    for _ in range(3):
        world.make_blocks()
    world.restart()
    heads = [event for event in world.inbox if isinstance(event, HeadSeen) and event.chain == SHARD.chain]
    for head in heads:
        world.inbox.remove(head)
    world.settle()
    assert world.contents == {}
    world.inbox += heads
    world.run_until_idle(60)
    assert world.hub.ended == [(key, True)]
    assert world.shard.outcomes == {}


def test_packets_of_the_shard_time_out_as_well() -> None:
    world = World()
    key = world.send_from_shard(timeout_in_s=1)
    world.run_until_idle(60)
    assert world.shard.ended == [(key, True)]


def test_timeouts_of_packets_that_have_ended_do_not_pile_up() -> None:
    """A timeout may be a day away, and there are hundreds of packets a second."""
    world = World()
    for _ in range(300):
        world.send_from_hub()
        world.send_from_hub()
        world.send_from_shard()
        world.run(1)
    late = world.send_from_hub(timeout_in_s=1)
    world.run_until_idle(60)
    state = world.machine.state
    assert all(len(chain.timeouts) < 300 for chain in state.chains.values())
    assert (late, True) in world.hub.ended

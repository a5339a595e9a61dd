"""Many packets under one header: what goes together, what goes alone, and what a failure of one does to the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import MempoolFull, TxTooLarge
from ibc.errors import ClientNotActive, CommitmentMismatch, ProofValueMismatch, RelayRedundant
from relayer import actions, events
from relayer.errors import AnswerLost, BatchTooLarge, PacketForged, ProofUnusable
from relayer.policy import failure_of
from relayer.state import RelayOptions
from relayer.types import ClientStatus, Height, PacketKey, Step
from tests.support.relayer_world import HUB, SHARD, World
from tx.envelope import MAX_MESSAGES

if TYPE_CHECKING:
    from tx.errors import AppError


def effects_of(world: World, kind: type[actions.ProveBatch]) -> list[actions.ProveBatch]:
    return [effect for effect in world.effects if isinstance(effect, kind)]


def hear_all(world: World) -> None:
    while world.inbox:
        world.hear_next()


def ready_world(packets: int, options: RelayOptions | None = None) -> World:
    """Return a world whose machine has just decided to prove packets from the hub."""
    world = World(options or RelayOptions())
    world.settle()
    for _ in range(packets):
        world.send_from_hub()
    world.make_blocks()
    world.settle()
    world.make_blocks()
    hear_all(world)
    return world


def fail_proving(world: World, error: AppError) -> None:
    """Let every batch that is being proved fail."""
    for effect in effects_of(world, actions.ProveBatch):
        world.effects.remove(effect)
        world.hear(events.BatchFailed(effect.batch, failure_of(error)))


def test_many_packets_travel_under_one_header() -> None:
    world = ready_world(20)
    proving = effects_of(world, actions.ProveBatch)
    assert [len(batch.items) for batch in proving] == [20]
    world.settle()
    world.run_until_idle(30)
    updates = [event for block in world.shard.blocks.values() for event in block.updated]
    assert len(updates) == 1


def test_a_batch_holds_no_more_packets_than_a_transaction_can() -> None:
    world = ready_world(50, RelayOptions(max_batch_packets=20))
    assert [len(batch.items) for batch in effects_of(world, actions.ProveBatch)] == [20, 20, 10]


def test_a_batch_holds_no_more_bytes_than_allowed() -> None:
    world = ready_world(10, RelayOptions(max_batch_bytes=4 * 4500))
    assert [len(batch.items) for batch in effects_of(world, actions.ProveBatch)][:2] == [4, 4]


def test_only_so_many_batches_of_a_lane_are_under_way_at_once() -> None:
    world = ready_world(50, RelayOptions(max_batch_packets=5, max_in_flight=3))
    assert len(effects_of(world, actions.ProveBatch)) == 3
    world.run_until_idle(60)
    assert len(world.shard.received) == 50


def test_headers_take_the_place_of_packets_where_a_transaction_is_full() -> None:
    world = ready_world(48)
    (proving,) = effects_of(world, actions.ProveBatch)
    world.effects.remove(proving)
    headers = tuple(b"%d" % number for number in range(40))
    items = tuple(events.ItemProved(item.key, b"proof") for item in proving.items)
    world.hear(events.BatchProved(proving.batch, headers, world.shard.head().time_ns, items))
    (signing,) = [effect for effect in world.effects if isinstance(effect, actions.SignBatch)]
    assert len(signing.headers) + len(signing.items) == MAX_MESSAGES
    assert signing.items[0].packet_bytes == proving.items[0].packet_bytes


def test_one_bad_packet_does_not_harm_those_that_travel_with_it() -> None:
    world = World()
    world.settle()
    keys = [world.send_from_hub() for _ in range(6)]
    world.shard.refused_packets[keys[2]] = CommitmentMismatch("never")
    world.run(15)
    assert set(world.shard.received) == {key for key in keys if key != keys[2]}
    record = world.machine.state.packets[keys[2]]
    assert record.step is Step.REFUSED
    assert record.failure == failure_of(CommitmentMismatch("never"))


def test_a_refusal_is_kept_in_the_journal_with_its_code() -> None:
    world = World()
    key = PacketKey(HUB, 1)
    world.shard.refused_packets[key] = CommitmentMismatch("never")
    world.send_from_hub()
    world.run(8)
    (record,) = world.journal.restore().packets
    assert (record.key, record.step) == (key, Step.REFUSED)
    assert record.failure is not None
    assert (record.failure.codespace, record.failure.code) == ("ibc", CommitmentMismatch.CODE)


def test_a_refused_packet_is_left_alone_after_a_restart() -> None:
    world = World()
    world.shard.refused_packets[PacketKey(HUB, 1)] = CommitmentMismatch("never")
    world.send_from_hub()
    world.run(8)
    sent = len(world.contents)
    world.restart()
    world.run(8)
    assert len(world.contents) == sent


def test_an_operator_can_have_refused_packets_tried_again() -> None:
    world = World()
    key = PacketKey(HUB, 1)
    world.shard.refused_packets[key] = CommitmentMismatch("not yet")
    world.send_from_hub()
    world.run(8)
    del world.shard.refused_packets[key]
    world.retry_refused = True
    world.restart()
    world.run_until_idle(30)
    assert world.shard.received == [key]


def test_a_passing_failure_is_retried_with_a_growing_pause() -> None:
    world = ready_world(1)
    pauses = []
    for _ in range(8):
        fail_proving(world, MempoolFull("full"))
        (record,) = world.machine.state.packets.values()
        pauses.append(record.not_before_ns - world.now_ns)
        world.now_ns = record.not_before_ns
        world.hear(events.Tick())
    options = world.options
    for number, pause in enumerate(pauses):
        longest = min(options.first_retry_ns << number, options.max_retry_ns)
        assert longest * 3 // 4 <= pause <= longest
    assert [effect.items[0].key for effect in effects_of(world, actions.ProveBatch)] == [PacketKey(HUB, 1)]


def test_packets_that_failed_together_do_not_all_come_back_at_one_moment() -> None:
    world = ready_world(30)
    fail_proving(world, MempoolFull("full"))
    assert len({record.not_before_ns for record in world.machine.state.packets.values()}) > 10


def test_a_failure_of_the_client_holds_back_its_lane_alone() -> None:
    world = ready_world(3)
    fail_proving(world, ClientNotActive("expired"))
    assert world.notices == [actions.LaneBlocked(SHARD, failure_of(ClientNotActive("expired")))]
    assert not effects_of(world, actions.ProveBatch)
    world.send_from_shard()
    world.run(3)
    assert world.hub.received == [PacketKey(SHARD, 1)]


def test_a_blocked_lane_goes_on_when_its_client_is_active_again() -> None:
    world = ready_world(3)
    fail_proving(world, ClientNotActive("expired"))
    world.run_until_idle(120)
    assert len(world.shard.received) == 3
    assert actions.LaneFreed(SHARD) in world.notices


def test_a_frozen_client_blocks_until_it_is_recovered() -> None:
    world = ready_world(2)
    fail_proving(world, ClientNotActive("frozen"))
    view = world.shard.view
    world.shard.view = lambda client_id: replace(view(client_id), status=ClientStatus.FROZEN)  # type: ignore[method-assign]
    world.run(100)
    assert world.shard.received == []
    world.shard.view = view  # type: ignore[method-assign]
    world.run_until_idle(120)
    assert len(world.shard.received) == 2


@pytest.mark.parametrize("error", [BatchTooLarge("too large"), TxTooLarge("too large")])
def test_a_batch_that_is_too_large_is_halved(error: AppError) -> None:
    world = ready_world(12)
    fail_proving(world, error)
    assert [len(batch.items) for batch in effects_of(world, actions.ProveBatch)] == [6, 6]


def test_a_packet_that_is_too_large_by_itself_is_refused() -> None:
    world = ready_world(1)
    fail_proving(world, BatchTooLarge("too large"))
    assert [record.step for record in world.machine.state.packets.values()] == [Step.REFUSED]


def test_redundant_packets_are_asked_about_and_not_sent_again() -> None:
    world = ready_world(2)
    fail_proving(world, RelayRedundant("all known"))
    asked = [effect.key for effect in world.effects if isinstance(effect, actions.QueryPacket)]
    assert asked == [PacketKey(HUB, 1), PacketKey(HUB, 2)]


def test_a_proof_that_does_not_verify_is_tried_again() -> None:
    world = ready_world(1)
    (proving,) = effects_of(world, actions.ProveBatch)
    world.effects.remove(proving)
    key = proving.items[0].key
    unproved = events.ItemUnproved(key, failure_of(ProofUnusable("lie")))
    world.hear(events.BatchProved(proving.batch, (), world.shard.head().time_ns, (unproved,)))
    assert world.machine.state.packets[key].step is Step.WAITING
    world.run_until_idle(60)
    assert world.shard.received == [key]


def test_a_packet_that_its_chain_contradicts_is_refused() -> None:
    world = ready_world(1)
    (proving,) = effects_of(world, actions.ProveBatch)
    world.effects.remove(proving)
    key = proving.items[0].key
    forged = events.ItemUnproved(key, failure_of(PacketForged("another packet")))
    world.hear(events.BatchProved(proving.batch, (), world.shard.head().time_ns, (forged,)))
    assert world.machine.state.packets[key].step is Step.REFUSED


def test_a_known_header_is_proven_against_again_while_it_is_recent() -> None:
    world = ready_world(3, RelayOptions(max_batch_packets=2))
    world.settle()
    world.make_blocks()
    hear_all(world)
    world.settle()
    world.run_until_idle(30)
    # Both batches were proven at one height: the second update changed nothing.
    assert len([event for block in world.shard.blocks.values() for event in block.updated]) == 1


def test_a_height_that_no_node_keeps_is_not_tried_twice() -> None:
    world = World()
    world.settle()
    lane = world.machine.state.lanes[SHARD]
    world.run_until_idle(5)
    world.send_from_hub()
    world.run_until_idle(30)
    known = lane.client.height
    world.send_from_hub()
    world.make_blocks()
    hear_all(world)
    batches = effects_of(world, actions.ProveBatch)
    for effect in batches:
        world.effects.remove(effect)
        world.hear(events.BatchFailed(effect.batch, failure_of(AnswerLost("state not kept"))))
    assert lane.reuse_from in {Height(0), Height(known + 1)}
    world.run_until_idle(60)
    assert len(world.shard.received) == 2


def test_a_wrong_proof_of_one_packet_reaches_no_chain() -> None:
    world = World()
    key = world.send_from_hub()
    world.shard.refused_packets[key] = ProofValueMismatch("proof")
    world.run(10)
    assert world.machine.state.packets[key].step is Step.REFUSED


def test_a_client_that_was_recovered_at_a_lower_height_is_believed() -> None:
    """Whoever forged a header could give it any height; the substitute starts from a true one."""
    world = World()
    world.run(5)
    client = world.shard.clients[SHARD.client]
    forged, true = Height(10**6), client.latest
    client.heights[forged] = world.hub.times[true]
    world.hear(events.ClientSeen(SHARD, world.shard.view(SHARD.client)))
    world.hear(events.ClientSeen(SHARD, replace(world.shard.view(SHARD.client), status=ClientStatus.FROZEN)))
    del client.heights[forged]
    key = world.send_from_hub()
    world.run_until_idle(120)
    assert world.shard.received == [key]

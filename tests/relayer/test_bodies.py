"""Bodies of checkpoints: parts that the hub lacks, in groups, once."""

from __future__ import annotations

from abci_app.errors import EndpointUnreachable
from relayer import actions, events
from relayer.bodywork import BODY_PART_BYTES, count_parts, find_body
from relayer.errors import BodyForged, BodyUnavailable
from relayer.policy import failure_of
from relayer.state import RelayOptions
from relayer.types import BodyKey, Failure
from tests.support.relayer_chain import SUCCESS, PartsTx, make_packet
from tests.support.relayer_world import HUB, SHARD, World
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.ibc.core.channel.v2 import packet_pb2

KEY = BodyKey(SHARD, 1, 1, 0)


def make_checkpoint(parts: int, updates: int = 3) -> fl_pb2.Checkpoint:
    return fl_pb2.Checkpoint(
        task=1, round=1, updates=updates, body_bytes=parts * BODY_PART_BYTES - 1, body_root=b"r" * 32
    )


def send_checkpoint(world: World, parts: int) -> None:
    world.send_from_shard(checkpoint=make_checkpoint(parts))


def groups(world: World) -> list[tuple[int, ...]]:
    """Return the parts of every group that is made from now on."""
    found: list[tuple[int, ...]] = []
    perform = world.perform

    def watch(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.SignParts):
            found.append(action.indices)
        return perform(action)

    world.perform = watch  # type: ignore[method-assign]
    return found


def test_the_body_follows_a_checkpoint_that_the_hub_took() -> None:
    world = World()
    send_checkpoint(world, 7)
    world.run_until_idle(60)
    assert world.hub.bodies == {KEY: set()}
    assert world.hub.parts_twice == 0


def test_a_large_body_travels_in_groups_and_each_part_once() -> None:
    world = World(RelayOptions(max_parts=10, max_part_groups=2))
    made = groups(world)
    send_checkpoint(world, 35)
    world.run_until_idle(60)
    assert [len(group) for group in made] == [10, 10, 10, 5]
    assert sorted(index for group in made for index in group) == list(range(35))
    assert world.hub.parts_twice == 0


def test_only_missing_parts_are_sent() -> None:
    world = World()
    made = groups(world)
    send_checkpoint(world, 5)
    world.settle()
    while KEY not in world.hub.bodies:
        world.make_blocks()
        if KEY in world.hub.bodies:
            world.hub.bodies[KEY] = {1, 4}
        world.settle()
    world.run_until_idle(60)
    assert made == [(1, 4)]


def test_parts_that_are_lost_on_the_way_are_found_missing() -> None:
    world = World(RelayOptions(resend_after_ns=10**15))
    perform = world.perform
    lost: list[object] = []

    def drop_first(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.LookUpTx) and action.tx_hash in lost:
            return events.TxIncluded(action.tx_hash, world.hub.height, Failure("hub", 99, "no"))
        carries_parts = isinstance(action, actions.BroadcastTx) and isinstance(
            world.contents[action.tx_hash], PartsTx
        )
        if isinstance(action, actions.BroadcastTx) and carries_parts and not lost:
            lost.append(action.tx_hash)
            return events.TxAccepted(action.tx_hash)
        return perform(action)

    world.perform = drop_first  # type: ignore[method-assign]
    send_checkpoint(world, 3)
    world.run_until_idle(120)
    assert lost
    assert world.hub.bodies == {KEY: set()}


def test_a_shard_that_cannot_serve_a_body_is_asked_until_it_can() -> None:
    world = World()
    perform = world.perform
    is_down = True

    def fail(action: actions.EffectAction) -> events.RelayEvent:
        if is_down and isinstance(action, actions.SignParts):
            return events.PartsFailed(action.key, action.group, failure_of(EndpointUnreachable("down")))
        return perform(action)

    world.perform = fail  # type: ignore[method-assign]
    send_checkpoint(world, 3)
    world.run(300)
    assert KEY in world.machine.state.bodies
    is_down = False
    world.run_until_idle(60)
    assert world.hub.bodies == {KEY: set()}


def test_a_body_that_the_chain_keeps_refusing_is_given_up() -> None:
    world = World()
    perform = world.perform

    def fail(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.SignParts):
            return events.PartsFailed(action.key, action.group, Failure("shard", 63, "unknown body"))
        return perform(action)

    world.perform = fail  # type: ignore[method-assign]
    send_checkpoint(world, 3)
    world.run(300)
    assert KEY not in world.machine.state.bodies
    record = world.journal.bodies[KEY]  # type: ignore[attr-defined]
    assert (record.done, record.outcome) == (True, "refused")
    assert record.failure == Failure("shard", 63, "unknown body")


def test_a_body_root_that_a_node_has_lied_about_is_replaced() -> None:
    world = World()
    perform = world.perform

    def fail(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.SignParts) and (action.body_root, action.parts) != (b"r" * 32, 3):
            failure = failure_of(BodyForged("another root"))
            told = events.BodyWanted(action.key, b"r" * 32, 3)
            return events.PartsFailed(action.key, action.group, failure, told)
        return perform(action)

    world.perform = fail  # type: ignore[method-assign]
    world.settle()
    world.hub.bodies[KEY] = {0, 1, 2}
    world.inbox.append(events.BodyWanted(KEY, b"x" * 32, 2))
    world.run(30)
    assert world.hub.bodies == {KEY: set()}
    assert not world.machine.state.bodies


def test_a_missing_body_is_no_refusal_of_the_chain() -> None:
    world = World()
    perform = world.perform

    def fail(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.SignParts):
            return events.PartsFailed(action.key, action.group, failure_of(BodyUnavailable("gone")))
        return perform(action)

    world.perform = fail  # type: ignore[method-assign]
    send_checkpoint(world, 3)
    world.run(300)
    assert KEY in world.machine.state.bodies


def test_a_body_survives_a_restart() -> None:
    world = World()
    send_checkpoint(world, 9)
    world.settle()
    while KEY not in world.hub.bodies:
        world.make_blocks()
        world.settle()
    world.restart()
    world.run_until_idle(60)
    assert world.hub.bodies == {KEY: set()}


def test_a_body_that_was_found_by_asking_the_hub_is_delivered() -> None:
    world = World()
    world.settle()
    world.hub.bodies[KEY] = {0, 1, 2}
    world.inbox.append(events.BodyWanted(KEY, b"r" * 32, 3))
    world.run(10)
    assert world.hub.bodies == {KEY: set()}
    assert not world.machine.state.bodies


def test_a_checkpoint_without_updates_has_no_body() -> None:
    packet = make_packet(SHARD, HUB, 1, 10, make_checkpoint(3, updates=0))
    assert find_body(SHARD, packet, SUCCESS) is None


def test_a_checkpoint_that_the_hub_refused_has_no_body() -> None:
    packet = make_packet(SHARD, HUB, 1, 10, make_checkpoint(3))
    refused = packet_pb2.Acknowledgement(app_acknowledgements=[b"e" * 32]).SerializeToString()
    assert find_body(SHARD, packet, refused) is None


def test_a_packet_of_the_hub_has_no_body() -> None:
    assert find_body(HUB, make_packet(HUB, SHARD, 1, 10), SUCCESS) is None


def test_garbage_has_no_body() -> None:
    assert find_body(SHARD, b"\xff", SUCCESS) is None
    assert find_body(SHARD, make_packet(SHARD, HUB, 1, 10, make_checkpoint(3)), b"\xff") is None


def test_the_last_part_may_be_shorter() -> None:
    assert [count_parts(n) for n in (1, BODY_PART_BYTES, BODY_PART_BYTES + 1)] == [1, 1, 2]


def test_a_hub_that_lacks_only_parts_which_no_body_has_is_not_asked_without_pause() -> None:
    world = World()
    world.settle()
    world.hub.bodies[KEY] = {7}
    world.inbox.append(events.BodyWanted(KEY, b"r" * 32, 3))
    for _ in range(20):
        if world.inbox:
            world.hear_next()
        elif world.effects:
            world.do_next()
    assert not world.inbox
    assert world.machine.state.bodies[KEY].record.attempts == 1

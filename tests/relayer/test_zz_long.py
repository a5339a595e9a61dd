"""Random interleavings: whatever order, loss, repetition and crashes there are, each packet is executed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relayer import events
from tests.support.relayer_world import HUB, World
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

if TYPE_CHECKING:
    from relayer.types import PacketKey

ANY = st.integers(min_value=0, max_value=1_000)


class Interleavings(RuleBasedStateMachine):
    """Drives a world one small step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.keys: list[PacketKey] = []
        self.rounds = 0

    @rule(timeout_s=st.sampled_from([2, 4, 3600]))
    def the_hub_sends(self, timeout_s: int) -> None:
        self.keys.append(self.world.send_from_hub(timeout_s))

    @rule(timeout_s=st.sampled_from([2, 4, 3600]))
    def the_shard_sends(self, timeout_s: int) -> None:
        self.keys.append(self.world.send_from_shard(timeout_s))

    @rule(parts=st.integers(min_value=1, max_value=130))
    def the_shard_sends_a_checkpoint(self, parts: int) -> None:
        self.rounds += 1
        checkpoint = fl_pb2.Checkpoint(task=1, round=self.rounds, updates=1, body_bytes=65_536 * parts - 7)
        self.keys.append(self.world.send_from_shard(3600, checkpoint))

    @rule(hub=st.booleans())
    def a_chain_makes_a_block(self, hub: bool) -> None:
        self.world.now_ns += 500_000_000
        (self.world.hub if hub else self.world.shard).make_block(self.world.now_ns)

    @rule(hub=st.booleans())
    def the_relayer_reads_a_chain(self, hub: bool) -> None:
        self.world.read_blocks(self.world.hub if hub else self.world.shard)

    @rule()
    def a_second_passes_in_order(self) -> None:
        self.world.make_blocks()
        self.world.settle()

    @precondition(lambda self: self.world.effects)
    @rule(index=ANY)
    def an_effect_happens(self, index: int) -> None:
        self.world.do_next(index)

    @precondition(lambda self: any(not isinstance(e, events.BlockSeen) for e in self.world.inbox))
    @rule(index=ANY)
    def a_result_is_heard(self, index: int) -> None:
        # Results come in any order; the blocks of a chain come in theirs.
        world = self.world
        places = [i for i, event in enumerate(world.inbox) if not isinstance(event, events.BlockSeen)]
        for i, event in enumerate(world.inbox):
            if isinstance(event, events.BlockSeen) and not any(
                isinstance(other, events.BlockSeen) and other.chain == event.chain
                for other in world.inbox[:i]
            ):
                places.append(i)
        world.hear_next(places[index % len(places)])

    @precondition(lambda self: self.world.effects)
    @rule(index=ANY, happens=st.booleans())
    def a_result_is_lost(self, index: int, happens: bool) -> None:
        effect = self.world.effects.pop(index % len(self.world.effects))
        if happens:
            self.world.perform(effect)

    @precondition(lambda self: self.world.heard)
    @rule(index=ANY)
    def a_result_is_heard_again(self, index: int) -> None:
        self.world.hear(self.world.heard[-1 - index % len(self.world.heard)])

    @rule(seconds=st.sampled_from([1, 20, 90]))
    def time_passes(self, seconds: int) -> None:
        self.world.now_ns += seconds * 1_000_000_000
        self.world.inbox.append(events.Tick())

    @rule()
    def the_relayer_dies_and_restarts(self) -> None:
        self.world.restart()

    @rule()
    def a_mempool_is_forgotten(self) -> None:
        self.world.hub.mempool.clear()

    @invariant()
    def nothing_is_executed_twice(self) -> None:
        for chain in self.world.chains:
            assert len(chain.received) == len(set(chain.received))
            ended = [key for key, _ in chain.ended]
            assert len(ended) == len(set(ended))

    def teardown(self) -> None:
        # Left alone, the relayer finishes everything, including what was lost on the way.
        world = self.world
        world.now_ns = max(world.now_ns, *(chain.times[chain.height] for chain in world.chains))
        world.run_until_idle()
        received = {*world.hub.received, *world.shard.received}
        for key in self.keys:
            source = world.hub if key.sender == HUB else world.shard
            timed_out = dict(source.ended)[key]
            assert timed_out != (key in received)
        assert all(not missing for missing in world.hub.bodies.values())


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=500, stateful_step_count=120, deadline=None)

"""Relayers side by side share the work: each packet has one leader, and what a dead one leaves is taken over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayer import actions, events
from relayer.machine import RelayMachine
from relayer.sharing import RUN_LENGTH, rank_in
from relayer.state import SECOND_NS, RelayOptions
from relayer.types import BodyKey, ClientView, Height, PacketKey, TimeNs
from tests.support.relayer_chain import START_NS, TRUSTING_PERIOD_NS, make_packet
from tests.support.relayer_world import HUB, LINK, SHARD

NOW = TimeNs(START_NS)
GRACE_NS = 5 * SECOND_NS
TIMEOUT_S = START_NS // SECOND_NS + 3600
SEEDS = st.binary(min_size=1, max_size=40)


def make_machine(position: int, relayers: int = 2) -> RelayMachine:
    """Return a machine whose link is ready."""
    machine = RelayMachine(RelayOptions(relayers=relayers, position=position, grace_ns=GRACE_NS))
    view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
    machine.handle(events.BlocksSkipped(HUB.chain, Height(9)), NOW)
    machine.handle(events.BlocksSkipped(SHARD.chain, Height(4)), NOW)
    machine.handle(events.HeadSeen(SHARD.chain, Height(1), NOW), NOW)
    machine.handle(events.LinkReady(LINK, view, view), NOW)
    return machine


def send(machine: RelayMachine, count: int, block_hash: bytes) -> list[int]:
    """Let block 10 of the hub send packets; return the sequences that the machine starts to prove."""
    sent = tuple(
        events.SentPacket(
            PacketKey(HUB, number), make_packet(HUB, SHARD, number, TIMEOUT_S), TIMEOUT_S, Height(10)
        )
        for number in range(1, count + 1)
    )
    result = machine.handle(events.BlockSeen(HUB.chain, Height(10), sent=sent), NOW)
    result += machine.handle(events.HeadSeen(HUB.chain, Height(11), NOW, block_hash), NOW)
    machine.validate()
    return proven(result)


def proven(result: list[actions.RelayAction]) -> list[int]:
    return sorted(
        item.key.sequence
        for action in result
        if isinstance(action, actions.ProveBatch)
        for item in action.items
    )


@given(seed=SEEDS, relayers=st.integers(min_value=1, max_value=64))
def test_each_relayer_has_a_rank_of_its_own_and_one_of_them_leads(seed: bytes, relayers: int) -> None:
    ranks = [rank_in(relayers, position, seed) for position in range(relayers)]
    assert sorted(ranks) == list(range(relayers))


@given(block_hash=st.binary(min_size=32, max_size=32))
def test_every_packet_is_submitted_by_exactly_one_relayer_at_first(block_hash: bytes) -> None:
    count = 3 * RUN_LENGTH
    shares = [send(make_machine(position), count, block_hash) for position in range(2)]
    assert sorted([*shares[0], *shares[1]]) == list(range(1, count + 1))


def test_the_leader_changes_with_the_block() -> None:
    leaders = {bool(send(make_machine(0), 1, bytes([number]) * 32)) for number in range(20)}
    assert leaders == {True, False}


def find_other(block_hash: bytes) -> RelayMachine:
    """Return a machine that does not lead the packet, after it was sent."""
    for position in range(2):
        machine = make_machine(position)
        if not send(machine, 1, block_hash):
            return machine
    raise AssertionError("expected one relayer that does not lead")


def test_what_the_leader_has_not_done_in_time_is_taken_over() -> None:
    machine = find_other(b"h" * 32)
    wake = machine.next_wake_ns()
    assert wake is not None
    assert proven(machine.handle(events.Tick(), TimeNs(NOW + GRACE_NS - 1))) == []
    assert proven(machine.handle(events.Tick(), TimeNs(NOW + GRACE_NS))) == [1]


def test_what_the_leader_has_done_is_left_alone() -> None:
    machine = find_other(b"h" * 32)
    key = PacketKey(HUB, 1)
    written = events.WrittenAck(key, make_packet(HUB, SHARD, 1, TIMEOUT_S), TIMEOUT_S, b"ack")
    machine.handle(events.BlockSeen(SHARD.chain, Height(5), written=(written,)), NOW)
    finished = events.FinishedPacket(key, timed_out=False)
    machine.handle(events.BlockSeen(HUB.chain, Height(11), finished=(finished,)), NOW)
    assert proven(machine.handle(events.Tick(), TimeNs(NOW + 3 * GRACE_NS))) == []


def test_a_body_that_another_relayer_leads_is_left_to_it_for_a_while() -> None:
    wanted = events.BodyWanted(BodyKey(SHARD, 1, 1, 0), b"r" * 32, 2)
    asking = []
    for position in range(2):
        machine = make_machine(position)
        result = machine.handle(wanted, NOW)
        asking.append(any(isinstance(action, actions.QueryCheckpoint) for action in result))
        later = machine.handle(events.Tick(), TimeNs(NOW + GRACE_NS))
        assert asking[-1] or any(isinstance(action, actions.QueryCheckpoint) for action in later)
    assert sorted(asking) == [False, True]

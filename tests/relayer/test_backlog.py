"""A backlog is taken up as there is room, and never holds up what is new."""

from __future__ import annotations

from dataclasses import replace

from ibc.errors import CommitmentMismatch
from relayer import actions, events
from relayer.driver import newest_writes
from relayer.machine import RelayMachine
from relayer.state import RelayOptions
from relayer.types import ClientView, Height, PacketKey, Step, TimeNs
from tests.support.relayer_chain import START_NS, SUCCESS, TRUSTING_PERIOD_NS, make_packet
from tests.support.relayer_world import HUB, LINK, SHARD, World

NOW = TimeNs(START_NS)
TIMEOUT_S = START_NS // 10**9 + 3600
HEAD = Height(100)
START = Height(HEAD - 1)
ROOM = 6
OPTIONS = RelayOptions(max_batch_packets=2, max_in_flight=4, live_in_flight=2, least_open=ROOM, max_open=ROOM)


def make_machine(options: RelayOptions = OPTIONS) -> RelayMachine:
    """Return a machine that has asked for the open packets of both ends."""
    machine = RelayMachine(options)
    view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
    machine.handle(events.HeadSeen(HUB.chain, START, NOW), NOW)
    machine.handle(events.BlocksSkipped(HUB.chain, START), NOW)
    machine.handle(events.HeadSeen(HUB.chain, HEAD, NOW), NOW)
    machine.handle(events.HeadSeen(SHARD.chain, Height(1), NOW), NOW)
    machine.handle(events.LinkReady(LINK, view, view), NOW)
    return machine


def make_sent(sequence: int, height: int) -> events.SentPacket:
    packet = make_packet(HUB, SHARD, sequence, TIMEOUT_S)
    return events.SentPacket(PacketKey(HUB, sequence), packet, TIMEOUT_S, Height(height))


def listed(first: int, last: int, following: int = 0) -> events.PendingListed:
    packets = tuple(events.ListedPacket(make_sent(number, 5)) for number in range(first, last + 1))
    return events.PendingListed(HUB, packets, following)


def proven(result: list[actions.RelayAction]) -> list[list[int]]:
    return [
        [item.key.sequence for item in action.items]
        for action in result
        if isinstance(action, actions.ProveBatch)
    ]


def asked(result: list[actions.RelayAction]) -> list[int]:
    return [action.start for action in result if isinstance(action, actions.ListPending)]


def test_some_batches_are_left_to_new_packets() -> None:
    machine = make_machine()
    assert proven(machine.handle(listed(1, 6), NOW)) == [[1, 2], [3, 4]]
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(7, HEAD),)), NOW)
    result = machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 1), NOW), NOW)
    # Nor do they wait until those of a backlog are proven, signed and checked with them.
    assert proven(result) == [[7]]
    machine.validate()


def test_a_backlog_goes_on_beside_new_packets() -> None:
    machine = make_machine()
    sent = tuple(make_sent(number, HEAD) for number in range(7, 11))
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=sent), NOW)
    result = machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 1), NOW), NOW)
    assert proven(result) == [[7, 8], [9, 10]]
    assert proven(machine.handle(listed(1, 6), NOW)) == [[1, 2]]
    machine.validate()


def test_a_backlog_has_one_batch_at_a_time_until_no_new_packets_come() -> None:
    machine = make_machine()
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(7, HEAD),)), NOW)
    machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 1), NOW), NOW)
    assert proven(machine.handle(listed(1, 6), NOW)) == [[1, 2]]
    soon, later = TimeNs(NOW + OPTIONS.yield_ns - 1), TimeNs(NOW + OPTIONS.yield_ns)
    assert proven(machine.handle(events.Tick(), soon)) == []
    assert proven(machine.handle(events.Tick(), later)) == [[3, 4]]
    machine.validate()


def test_a_new_packet_waits_for_no_batch_of_a_backlog_however_many_links_have_one() -> None:
    machine = make_machine(replace(OPTIONS, max_batches=1))
    assert proven(machine.handle(listed(1, 6), NOW)) == [[1, 2]]
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(7, HEAD),)), NOW)
    result = machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 1), NOW), NOW)
    assert proven(result) == [[7]]
    machine.validate()


def test_a_backlog_leaves_room_for_new_packets() -> None:
    machine = make_machine(RelayOptions(max_open=4, least_open=4, most_open=4))
    more = asked(machine.handle(listed(1, 2, following=3), NOW))
    if more:
        machine.handle(listed(3, 4, following=5), NOW)
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(9, HEAD),)), NOW)
    assert PacketKey(HUB, 9) in machine.state.lanes[SHARD].live


def test_the_list_goes_on_when_there_is_room() -> None:
    machine = make_machine()
    assert asked(machine.handle(listed(1, 3, following=4), NOW)) == [4]
    assert asked(machine.handle(listed(4, 6, following=7), NOW)) == []
    gone = tuple(events.FinishedPacket(PacketKey(HUB, number), timed_out=False) for number in (1, 2))
    assert asked(machine.handle(events.BlockSeen(HUB.chain, HEAD, finished=gone), NOW)) == [7]
    machine.validate()


def test_what_old_blocks_have_sent_is_listed_with_the_word_of_the_receiver() -> None:
    machine = make_machine()
    machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 50), NOW), NOW)
    machine.handle(listed(1, 2), NOW)
    result = machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(3, HEAD),)), NOW)
    assert asked(result) == [3]
    assert PacketKey(HUB, 3) not in machine.state.packets


def test_what_was_sent_before_the_start_is_backlog_however_recent_its_block_is() -> None:
    machine = make_machine()
    machine.state.chain(HUB.chain).cursor = Height(START - 1)
    # The list may be that of a node which has not seen the block yet.
    machine.handle(events.PendingListed(HUB, ()), NOW)
    sent = (make_sent(3, START),)
    assert proven(machine.handle(events.BlockSeen(HUB.chain, START, sent=sent), NOW)) == [[3]]
    assert PacketKey(HUB, 3) in machine.state.backlog
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(4, HEAD),)), NOW)
    assert PacketKey(HUB, 4) not in machine.state.backlog
    machine.validate()


def test_what_was_acknowledged_before_the_start_is_backlog() -> None:
    machine = make_machine()
    machine.handle(events.HeadSeen(SHARD.chain, Height(9), NOW), NOW)
    for sequence, height in ((5, 1), (6, 2)):
        packet = make_packet(HUB, SHARD, sequence, TIMEOUT_S)
        written = events.WrittenAck(PacketKey(HUB, sequence), packet, TIMEOUT_S, SUCCESS)
        machine.handle(events.BlockSeen(SHARD.chain, Height(height), written=(written,)), NOW)
    assert set(machine.state.packets) == {PacketKey(HUB, 5), PacketKey(HUB, 6)}
    assert machine.state.backlog == {PacketKey(HUB, 5)}


def test_what_was_sent_before_the_start_is_listed_when_there_is_no_room() -> None:
    machine = make_machine()
    machine.state.chain(HUB.chain).cursor = Height(START - 1)
    machine.handle(listed(1, ROOM), NOW)
    machine.handle(events.BlockSeen(HUB.chain, START, sent=(make_sent(9, START),)), NOW)
    assert PacketKey(HUB, 9) not in machine.state.packets
    gone = (events.FinishedPacket(PacketKey(HUB, 1), timed_out=False),)
    assert asked(machine.handle(events.BlockSeen(HUB.chain, HEAD, finished=gone), NOW)) == [9]


def test_an_answer_from_before_a_list_was_wanted_again_is_not_taken_for_the_new_one() -> None:
    machine = RelayMachine(OPTIONS)
    view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
    assert asked(machine.handle(events.LinkReady(LINK, view, view), NOW)) == [1, 1]
    machine.handle(events.HeadSeen(HUB.chain, START, NOW), NOW)
    assert asked(machine.handle(events.BlocksSkipped(HUB.chain, START), NOW)) == []
    assert asked(machine.handle(events.PendingListed(HUB, ()), NOW)) == [1]


def test_a_packet_that_a_block_sent_while_a_list_was_made_is_asked_for_again() -> None:
    machine = make_machine()
    machine.handle(events.HeadSeen(HUB.chain, Height(HEAD + 50), NOW), NOW)
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(9, HEAD),)), NOW)
    assert asked(machine.handle(listed(1, 2), NOW)) == [9]


def test_a_list_that_could_not_be_had_is_asked_for_again_from_the_same_place() -> None:
    machine = make_machine()
    machine.handle(listed(1, 2, following=3), NOW)
    later = TimeNs(NOW + OPTIONS.answer_timeout_ns)
    assert 3 in asked(machine.handle(events.Tick(), later))


def test_a_packet_that_ended_while_the_list_was_made_is_not_taken_up_again() -> None:
    machine = make_machine()
    key = PacketKey(HUB, 1)
    machine.handle(events.BlockSeen(HUB.chain, HEAD, sent=(make_sent(1, HEAD),)), NOW)
    finished = events.FinishedPacket(key, timed_out=False)
    machine.handle(events.BlockSeen(HUB.chain, Height(HEAD + 1), finished=(finished,)), NOW)
    machine.handle(listed(1, 1), NOW)
    assert key not in machine.state.packets


def test_the_batches_of_all_links_together_are_limited() -> None:
    machine = make_machine(RelayOptions(max_batch_packets=1, max_batches=2))
    assert len(proven(machine.handle(listed(1, 6), NOW))) == 2


def test_a_lane_has_one_batch_however_many_the_others_have() -> None:
    machine = make_machine(RelayOptions(max_batch_packets=1, max_batches=2))
    machine.handle(listed(1, 6), NOW)
    machine.handle(events.HeadSeen(SHARD.chain, Height(9), NOW), NOW)
    written = events.WrittenAck(PacketKey(HUB, 6), make_packet(HUB, SHARD, 6, TIMEOUT_S), TIMEOUT_S, SUCCESS)
    machine.handle(events.BlockSeen(SHARD.chain, Height(8), written=(written,)), NOW)
    assert len(machine.state.lanes[HUB].batches) == 1
    machine.validate()


def test_a_long_backlog_arrives_whole_and_once() -> None:
    world = World(options=RelayOptions(max_batch_packets=4, least_open=5, max_open=5, most_open=5))
    world.run(2)
    keys = [world.send_from_hub() for _ in range(60)]
    world.hub.make_block(world.now_ns + 1)
    for _ in range(20):
        world.now_ns += 10**9
        world.hub.make_block(world.now_ns)
    world.restart()
    world.run_until_idle(120)
    assert sorted(world.shard.received) == keys
    assert world.shard.noops == world.hub.noops == 0


def test_the_last_write_of_each_thing_is_enough() -> None:
    writes = [
        actions.PutCursor(chain, Height(height)) for height in (1, 2) for chain in (HUB.chain, SHARD.chain)
    ]
    assert newest_writes(writes) == writes[2:]


def test_refused_packets_take_no_room_from_those_that_wait_to_be_listed() -> None:
    world = World(RelayOptions(max_open=4, least_open=2, most_open=4))
    world.settle()
    refused = [world.send_from_hub() for _ in range(2)]
    world.shard.refused_packets.update(dict.fromkeys(refused, CommitmentMismatch("never")))
    world.run(10)
    assert [world.machine.state.packets[key].step for key in refused] == [Step.REFUSED] * 2
    others = [world.send_from_hub() for _ in range(3)]
    world.run(60)
    assert sorted(world.shard.received) == others

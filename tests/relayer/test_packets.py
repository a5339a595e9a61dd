"""The life of a packet, as the machine decides it: events in, actions out."""

from __future__ import annotations

import pytest

from relayer import actions, events
from relayer.machine import RelayMachine
from relayer.types import ClientId, ClientView, Duty, Height, LinkEnd, PacketKey, Step, TimeNs, TxHash
from tests.support.relayer_chain import START_NS, SUCCESS, TRUSTING_PERIOD_NS, make_packet
from tests.support.relayer_world import HUB, LINK, SHARD, World

NOW = TimeNs(START_NS)
KEY = PacketKey(HUB, 1)
TIMEOUT_S = START_NS // 10**9 + 3600
PACKET = make_packet(HUB, SHARD, 1, TIMEOUT_S)
TX = b"t" * 32


def make_machine() -> RelayMachine:
    machine = RelayMachine()
    view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
    machine.handle(events.BlocksSkipped(HUB.chain, Height(9)), NOW)
    machine.handle(events.BlocksSkipped(SHARD.chain, Height(4)), NOW)
    machine.handle(events.HeadSeen(SHARD.chain, Height(1), NOW), NOW)
    machine.handle(events.LinkReady(LINK, view, view), NOW)
    return machine


def sent_block(height: int = 10) -> events.BlockSeen:
    sent = events.SentPacket(KEY, PACKET, TIMEOUT_S, Height(height))
    return events.BlockSeen(HUB.chain, Height(height), sent=(sent,))


def head(end: LinkEnd, height: int) -> events.HeadSeen:
    return events.HeadSeen(end.chain, Height(height), NOW)


def only(result: list[actions.RelayAction], kind: type[actions.ProveBatch]) -> actions.ProveBatch:
    found = [action for action in result if isinstance(action, kind)]
    assert len(found) == 1
    return found[0]


def stage_of(machine: RelayMachine) -> str:
    return machine.state.packets[KEY].stage


def test_a_new_link_asks_both_ends_for_their_pending_packets() -> None:
    machine = RelayMachine()
    view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
    result = machine.handle(events.LinkReady(LINK, view, view), NOW)
    assert [a for a in result if isinstance(a, actions.ListPending)] == [
        actions.ListPending(HUB, SHARD),
        actions.ListPending(SHARD, HUB),
    ]


def test_a_sent_packet_is_written_to_the_journal_together_with_the_cursor() -> None:
    machine = make_machine()
    result = machine.handle(sent_block(), NOW)
    assert [type(action) for action in result] == [actions.PutPacket, actions.PutCursor]
    assert stage_of(machine) == "seen"


def test_a_packet_is_proved_only_when_the_next_header_exists() -> None:
    machine = make_machine()
    machine.handle(head(HUB, 9), NOW)
    machine.handle(head(HUB, 10), NOW)
    assert not [a for a in machine.handle(sent_block(10), NOW) if isinstance(a, actions.ProveBatch)]
    proving = only(machine.handle(head(HUB, 11), NOW), actions.ProveBatch)
    assert (proving.lane, proving.origin) == (SHARD, HUB)
    assert (proving.target_height, proving.trusted_height) == (11, 1)
    assert proving.items == (actions.ProofRequest(KEY, Duty.RECEIVE, PACKET, b""),)


def proved(machine: RelayMachine) -> list[actions.RelayAction]:
    machine.handle(sent_block(), NOW)
    proving = only(machine.handle(head(HUB, 11), NOW), actions.ProveBatch)
    event = events.BatchProved(proving.batch, (b"header",), NOW, (events.ItemProved(KEY, b"proof"),))
    return machine.handle(event, NOW)


def submitted(machine: RelayMachine) -> list[actions.RelayAction]:
    signing = next(a for a in proved(machine) if isinstance(a, actions.SignBatch))
    expires = TimeNs(NOW + 10**9)
    return machine.handle(events.BatchSigned(signing.batch, TxHash(TX), b"tx", expires), NOW)


def test_a_proved_packet_is_signed_with_the_header_that_it_needs() -> None:
    result = proved(make_machine())
    signing = next(a for a in result if isinstance(a, actions.SignBatch))
    assert (signing.lane, signing.target_height, signing.headers) == (SHARD, 11, (b"header",))
    assert signing.items == (actions.SubmitItem(Duty.RECEIVE, PACKET, b"", b"proof"),)


def test_a_transaction_is_in_the_journal_before_it_is_sent() -> None:
    result = submitted(make_machine())
    kinds = [type(action) for action in result]
    assert kinds == [actions.PutTx, actions.PutPacket, actions.BroadcastTx]


def test_the_acknowledgement_moves_a_packet_on_whoever_relayed_it() -> None:
    machine = make_machine()
    submitted(machine)
    written = events.WrittenAck(KEY, PACKET, TIMEOUT_S, SUCCESS)
    machine.handle(events.BlockSeen(SHARD.chain, Height(5), written=(written,)), NOW)
    assert stage_of(machine) == "committed"
    assert machine.state.packets[KEY].provable_from == 6
    machine.validate()


def test_an_acknowledgement_goes_back_to_the_sender() -> None:
    machine = make_machine()
    submitted(machine)
    written = events.WrittenAck(KEY, PACKET, TIMEOUT_S, SUCCESS)
    machine.handle(events.BlockSeen(SHARD.chain, Height(5), written=(written,)), NOW)
    proving = only(machine.handle(head(SHARD, 6), NOW), actions.ProveBatch)
    assert (proving.lane, proving.origin, proving.target_height) == (HUB, SHARD, 6)
    assert proving.items == (actions.ProofRequest(KEY, Duty.ACKNOWLEDGE, PACKET, SUCCESS),)


def test_a_packet_is_done_when_the_sender_drops_its_commitment() -> None:
    machine = make_machine()
    submitted(machine)
    finished = events.FinishedPacket(KEY, timed_out=False)
    result = machine.handle(events.BlockSeen(HUB.chain, Height(11), finished=(finished,)), NOW)
    records = [action.record for action in result if isinstance(action, actions.PutPacket)]
    assert [record.stage for record in records] == ["acknowledged"]
    assert KEY not in machine.state.packets


@pytest.mark.parametrize("timed_out", [False, True])
def test_the_end_of_a_packet_that_is_not_known_is_no_news(timed_out: bool) -> None:
    machine = make_machine()
    finished = events.FinishedPacket(PacketKey(HUB, 77), timed_out)
    result = machine.handle(events.BlockSeen(HUB.chain, Height(10), finished=(finished,)), NOW)
    assert result == [actions.PutCursor(HUB.chain, Height(10))]


def test_a_block_that_was_read_before_changes_nothing() -> None:
    machine = make_machine()
    machine.handle(sent_block(), NOW)
    assert machine.handle(sent_block(), NOW) == []


def test_a_gap_between_blocks_has_the_pending_packets_listed() -> None:
    machine = make_machine()
    machine.handle(events.PendingListed(HUB, ()), NOW)
    machine.handle(sent_block(10), NOW)
    result = machine.handle(events.BlockSeen(HUB.chain, Height(12)), NOW)
    assert actions.ListPending(HUB, SHARD, least_height=Height(12)) in result


def test_blocks_that_cannot_be_read_are_made_good_by_a_list_that_is_as_new() -> None:
    machine = make_machine()
    machine.handle(events.PendingListed(HUB, ()), NOW)
    result = machine.handle(events.BlocksSkipped(HUB.chain, Height(20)), NOW)
    assert actions.ListPending(HUB, SHARD, least_height=Height(20)) in result


def test_a_packet_is_asked_about_at_a_node_that_has_the_blocks_that_were_read() -> None:
    machine = make_machine()
    machine.handle(sent_block(10), NOW)
    gone = events.FinishedPacket(KEY, timed_out=True)
    machine.handle(events.BlockSeen(HUB.chain, Height(11), finished=(gone,)), NOW)
    written = events.WrittenAck(PacketKey(HUB, KEY.sequence + 1), PACKET, TIMEOUT_S, SUCCESS)
    result = machine.handle(events.BlockSeen(SHARD.chain, Height(5), written=(written,)), NOW)
    assert [action.least_height for action in result if isinstance(action, actions.QueryPacket)] == [11]


def test_packets_of_other_clients_are_none_of_ours() -> None:
    machine = make_machine()
    other = PacketKey(LinkEnd(HUB.chain, ClientId("07-tendermint-99")), 1)
    sent = events.SentPacket(other, PACKET, TIMEOUT_S, Height(10))
    result = machine.handle(events.BlockSeen(HUB.chain, Height(10), sent=(sent,)), NOW)
    assert result == [actions.PutCursor(HUB.chain, Height(10))]


def test_a_listed_packet_that_was_not_received_is_delivered() -> None:
    machine = make_machine()
    sent = events.SentPacket(KEY, PACKET, TIMEOUT_S, Height(7))
    machine.handle(head(HUB, 11), NOW)
    result = machine.handle(events.PendingListed(HUB, (events.ListedPacket(sent),)), NOW)
    assert only(result, actions.ProveBatch).items == (actions.ProofRequest(KEY, Duty.RECEIVE, PACKET, b""),)


def test_a_packet_that_was_received_meanwhile_goes_on_with_its_acknowledgement() -> None:
    machine = make_machine()
    machine.handle(head(SHARD, 6), NOW)
    sent = events.SentPacket(KEY, PACKET, TIMEOUT_S, Height(7))
    listed = events.ListedPacket(sent, received=True, acknowledgement=SUCCESS)
    proving = only(machine.handle(events.PendingListed(HUB, (listed,)), NOW), actions.ProveBatch)
    assert proving.items == (actions.ProofRequest(KEY, Duty.ACKNOWLEDGE, PACKET, SUCCESS),)


def test_an_acknowledgement_of_an_unknown_packet_is_asked_about_first() -> None:
    machine = make_machine()
    written = events.WrittenAck(KEY, PACKET, TIMEOUT_S, SUCCESS)
    result = machine.handle(events.BlockSeen(SHARD.chain, Height(5), written=(written,)), NOW)
    assert actions.QueryPacket(KEY, SHARD, Height(9)) in result
    gone = events.PacketStatusSeen(KEY, committed=False, received=True, acknowledgement=SUCCESS)
    machine.handle(gone, NOW)
    assert KEY not in machine.state.packets


def test_packets_of_both_directions_reach_their_applications_once() -> None:
    world = World()
    keys = [world.send_from_hub() for _ in range(5)] + [world.send_from_shard() for _ in range(5)]
    world.run_until_idle(60)
    assert {*world.hub.received, *world.shard.received} == set(keys)
    assert len(world.hub.received) + len(world.shard.received) == len(keys)
    assert world.hub.noops == world.shard.noops == 0


def test_a_second_relayer_makes_no_packet_run_twice() -> None:
    world = World()
    rival = World(hub=world.hub, shard=world.shard)
    keys = [world.send_from_hub() for _ in range(8)]
    for _ in range(40):
        world.make_blocks()
        rival.now_ns = world.now_ns
        for chain in rival.chains:
            rival.read_blocks(chain)
        rival.settle()
        world.settle()
    assert world.shard.received == keys
    assert not world.machine.state.packets
    assert not rival.machine.state.packets


def test_the_stages_of_a_packet_are_recorded_in_order() -> None:
    world = World()
    stages: list[str] = []
    apply = world.journal.apply

    def note(batch: list[actions.JournalAction]) -> None:
        stages.extend(action.record.stage for action in batch if isinstance(action, actions.PutPacket))
        apply(batch)

    world.journal.apply = note  # type: ignore[assignment]
    world.send_from_hub()
    world.run_until_idle(60)
    assert stages == [
        "seen",
        "proved",
        "submitted",
        "committed",
        "ack_proved",
        "ack_submitted",
        "acknowledged",
    ]


def test_a_record_that_is_done_has_left_the_machine() -> None:
    world = World()
    key = world.send_from_hub()
    world.run_until_idle(60)
    assert key not in world.machine.state.packets
    journal = world.journal.restore()
    assert journal.packets == ()
    assert journal.txs == ()


def test_a_packet_that_another_relayer_saw_through_is_gone_by_proof() -> None:
    machine = make_machine()
    machine.handle(sent_block(), NOW)
    proving = only(machine.handle(head(HUB, 11), NOW), actions.ProveBatch)
    event = events.BatchProved(proving.batch, (b"header",), NOW, (events.ItemAbsent(KEY),))
    result = machine.handle(event, NOW)
    assert not [a for a in result if isinstance(a, actions.SignBatch)]
    records = [action.record for action in result if isinstance(action, actions.PutPacket)]
    assert [(record.stage, record.step) for record in records] == [("gone", Step.DONE)]

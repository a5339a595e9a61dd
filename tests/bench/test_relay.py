"""What the rows about the relayer make of the blocks and of the relayer's own time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from abci_app.context import Event
from abci_app.rpc_answers import Block, BlockResults, Header
from bench.chainaudit import ChainAudit, block_latencies
from bench.errors import LoadLost
from bench.packetapp import PORT, build_payload
from bench.relayerproc import RelayerProcess
from bench.rows.relay import check_complete, list_delays
from bench.sampled_relayer import BUSY, LOOKS, OTHER, WAIT, Sampler, classify
from ibc.events import PacketEventKind, emit_packet
from tests.support.waiting import eventually
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext

SECOND_NS = 1_000_000_000


@dataclass
class RecordingContext:
    """Keeps the events that a chain emits."""

    events: list[Event]

    def emit(self, kind: str, **attributes: str) -> None:
        self.events.append(Event(kind, tuple(attributes.items())))


def make_audit(times_s: dict[int, int]) -> ChainAudit:
    """Return the audit of a chain whose headers have these times."""
    return ChainAudit(times_ns={height: seconds * SECOND_NS for height, seconds in times_s.items()})


def test_a_block_was_committed_at_the_time_in_the_next_header() -> None:
    audit = make_audit({1: 10, 2: 11})
    assert audit.committed_ns(1) == 11 * SECOND_NS
    assert audit.committed_ns(2) == 11 * SECOND_NS


def test_the_next_block_of_the_receiver_counts_as_one() -> None:
    here, there = make_audit({1: 0, 2: 10, 3: 20}), make_audit({7: 5, 8: 9, 9: 12, 10: 14})
    here.heights[PacketEventKind.SEND, 1] = 1
    there.heights[PacketEventKind.RECEIVE, 1] = 9
    # Committed here at 10; there block 7 was committed at 9, block 8 at 12, block 9 at 14.
    assert block_latencies([1], here, there) == [2.0]


def test_a_delay_is_what_a_packet_takes_beyond_the_median_alone_in_block_times() -> None:
    assert list_delays(beside=[0.5, 1.0, 2.5], alone=[0.25, 0.5, 9.0], block_s=0.5) == [0.0, 1.0, 4.0]


def test_messages_beyond_the_first_about_a_packet_are_redundant() -> None:
    audit = make_audit({1: 0})
    audit.messages.update({("receive", 1): 1, ("receive", 2): 3, ("acknowledge", 2): 1})
    assert audit.count_redundant() == 2
    assert audit.twice() == [("receive", 2)]


def test_an_audit_is_of_one_client_of_the_chain() -> None:
    packet = packet_pb2.Packet(
        sequence=4, source_client="07-tendermint-0", destination_client="07-tendermint-1", timeout_timestamp=9
    )
    events: list[Event] = []
    context = cast("HostContext", RecordingContext(events))
    for kind in (PacketEventKind.RECEIVE, PacketEventKind.ACKNOWLEDGE):
        emit_packet(context, kind, packet)
    first, second = ChainAudit("07-tendermint-0"), ChainAudit("07-tendermint-1")
    for audit in (first, second):
        audit.add_block(
            Block(Header(1, "hub", 5, b"", b"", b""), b"", ()), BlockResults(1, (), tuple(events), b"")
        )
    # Its own client is the source of what a chain has sent, and the destination of what it has received.
    assert (first.count(PacketEventKind.RECEIVE), first.count(PacketEventKind.ACKNOWLEDGE)) == (0, 1)
    assert (second.count(PacketEventKind.RECEIVE), second.count(PacketEventKind.ACKNOWLEDGE)) == (1, 0)


def test_a_packet_that_did_not_arrive_fails_the_row() -> None:
    here, there = make_audit({1: 0}), make_audit({1: 0})
    here.events[PacketEventKind.SEND][1] = 1
    with pytest.raises(LoadLost, match="recv_packet"):
        check_complete(1, here, there)


def test_a_message_that_was_paid_for_twice_fails_the_row() -> None:
    here, there = make_audit({1: 0}), make_audit({1: 0})
    here.events[PacketEventKind.SEND][1] = here.events[PacketEventKind.ACKNOWLEDGE][1] = 1
    there.events[PacketEventKind.RECEIVE][1] = 1
    check_complete(1, here, there)
    there.messages["receive", 1] = 2
    with pytest.raises(LoadLost, match="once"):
        check_complete(1, here, there)


def test_a_thread_is_seen_at_what_it_does() -> None:
    assert classify(sys._getframe()) == OTHER
    assert classify(None) == OTHER


def test_shares_are_of_the_time_in_which_something_was_done() -> None:
    shares = seen_at({WAIT: 900, "proof": 75, "sign": 25, LOOKS: 1000}).shares()
    assert {part: share for part, share in shares.items() if share} == {"proof": 0.75, "sign": 0.25}
    assert list(shares)[:2] == ["proof", "sign"]


def test_parts_that_were_never_seen_have_shares_too() -> None:
    assert set(seen_at({}).shares()) == set(BUSY) >= {"query", "proof", "sign", "submit"}


def test_waiting_is_a_share_of_all_looks() -> None:
    # The journal's own thread was seen beside the main thread.
    assert seen_at({WAIT: 750, "sign": 250, "journal": 500, LOOKS: 1000}).waiting() == 0.75
    assert seen_at({}).waiting() == 0


def test_the_sampler_counts_its_looks() -> None:
    sampler = Sampler()
    sampler.start()
    eventually(lambda: sampler.counts[LOOKS] > 1, "two looks")
    sampler.stop()
    seen = sum(count for part, count in sampler.counts.items() if part != LOOKS)
    assert seen >= sampler.counts[LOOKS]


def seen_at(samples: dict[str, int]) -> RelayerProcess:
    """Return a relayer that has ended and was seen so often at each part."""
    relayer = RelayerProcess.__new__(RelayerProcess)
    relayer.samples = samples
    return relayer


def test_a_payload_goes_from_the_port_to_the_same_port() -> None:
    payload = build_payload(b"value")
    assert (payload.source_port, payload.destination_port, payload.value) == (PORT, PORT, b"value")

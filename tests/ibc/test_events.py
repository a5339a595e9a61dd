from __future__ import annotations

import pytest

from abci_app.context import Event
from ibc.errors import MalformedEvent
from ibc.events import PacketEventKind, packets_from_events
from tests.support.ibc_link import Link


def make_events() -> tuple[Link, list[Event]]:
    link = Link()
    packet = link.send(b"one")
    link.recv(link.recv_message(packet))
    link.acknowledge(link.ack_message(packet))
    return link, [*link.hub.events, *link.shard.events]


def test_a_packet_can_be_read_from_each_of_its_events() -> None:
    _, events = make_events()
    found = packets_from_events(events)
    assert [item.kind for item in found] == [
        PacketEventKind.SEND,
        PacketEventKind.ACKNOWLEDGE,
        PacketEventKind.RECEIVE,
        PacketEventKind.WRITE_ACK,
    ]
    assert all(item.packet == found[0].packet for item in found)
    written = found[-1].acknowledgement
    assert written is not None
    assert list(written.app_acknowledgements) == [b"ack of one"]
    assert all(item.acknowledgement is None for item in found[:-1])


def test_events_have_the_names_and_attributes_of_ibc_go() -> None:
    link, events = make_events()
    sent = next(event for event in events if event.kind == "send_packet")
    attributes = dict(sent.attributes)
    assert list(attributes) == [
        "packet_source_client",
        "packet_dest_client",
        "packet_sequence",
        "packet_timeout_timestamp",
        "encoded_packet_hex",
    ]
    assert attributes["packet_source_client"] == link.hub_client
    assert attributes["packet_sequence"] == "1"
    assert attributes["packet_dest_client"] == link.shard_client
    assert attributes["packet_timeout_timestamp"] == str(
        packets_from_events([sent])[0].packet.timeout_timestamp
    )
    following = events[events.index(sent) + 1]
    assert following == Event("message", (("module", "ibc_channelv2"),))


def test_a_packet_that_is_taken_back_has_an_event() -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    link.time_out(link.timeout_message(packet))
    assert packets_from_events(link.hub.events)[-1].kind is PacketEventKind.TIME_OUT


def test_other_events_are_passed_over() -> None:
    assert packets_from_events([Event("tx", ()), Event("message", (("module", "bank"),))]) == []


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        (("encoded_packet_hex", "xyz"),),
        (("encoded_packet_hex", "ff"),),
        (("encoded_packet_hex", "0801"),),
    ],
    ids=["no packet", "no hexadecimal", "no message", "no acknowledgement"],
)
def test_a_malformed_packet_event_is_refused(attributes: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(MalformedEvent):
        packets_from_events([Event("write_acknowledgement", attributes)])


def test_a_refusal_shows_only_the_start_of_a_text() -> None:
    event = Event("send_packet", (("encoded_packet_hex", "x" * 65),))
    with pytest.raises(MalformedEvent) as refused:
        packets_from_events([event])
    expected = f"expected encoded_packet_hex of send_packet in hexadecimal, got {'x' * 64!r}"
    assert refused.value.message == expected

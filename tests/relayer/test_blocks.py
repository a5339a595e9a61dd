"""Reading block results: our links' events are found, everything else is passed over."""

from __future__ import annotations

from typing import cast

import pytest

from abci_app.context import BlockContext, Event, Services, TxContext
from abci_app.rpc_answers import BlockResults, ExecutedTx
from ibc.events import PacketEventKind, emit_packet, emit_update_client
from ibc.identifiers import Height as IbcHeight
from relayer.blocks import read_block
from relayer.events import BlockSeen
from relayer.types import ChainId, ClientId, Height, LinkEnd, PacketKey
from tests.support.relayer_chain import SUCCESS, make_packet
from tests.support.relayer_world import HUB, LINK, SHARD
from wire.ibc.core.channel.v2 import packet_pb2

LINKS = dict.fromkeys(LINK.ends, LINK)


def event_of(
    kind: PacketEventKind,
    sender: LinkEnd = HUB,
    receiver: LinkEnd = SHARD,
    sequence: int = 1,
    timeout_s: int = 99,
) -> tuple[Event, ...]:
    """Return what a chain emits about a packet."""
    ctx = TxContext(block=BlockContext("x", 1, 1, b"", cast("Services", None)))
    packet = packet_pb2.Packet.FromString(make_packet(sender, receiver, sequence, timeout_s))
    ack = packet_pb2.Acknowledgement.FromString(SUCCESS) if kind is PacketEventKind.WRITE_ACK else None
    emit_packet(ctx, kind, packet, ack)
    return tuple(ctx.events)


def update_of(client: str, height: str | None = None) -> tuple[Event, ...]:
    ctx = TxContext(block=BlockContext("x", 1, 1, b"", cast("Services", None)))
    emit_update_client(ctx, client, IbcHeight(1, 44))
    if height is None:
        return tuple(ctx.events)
    return (Event("update_client", (("client_id", client), ("consensus_height", height))),)


def results(events: tuple[Event, ...] = (), tx_events: tuple[Event, ...] = (), code: int = 0) -> BlockResults:
    tx = ExecutedTx(code, "", "", b"", 0, tx_events)
    return BlockResults(7, (tx,), events, b"")


def read(chain: ChainId, block: BlockResults) -> BlockSeen:
    return read_block(chain, block, LINKS)


def test_a_packet_that_a_hook_has_sent_is_found() -> None:
    (sent,) = read(HUB.chain, results(event_of(PacketEventKind.SEND))).sent
    assert (sent.key, sent.height, sent.timeout_s) == (PacketKey(HUB, 1), 7, 99)
    assert sent.packet_bytes == make_packet(HUB, SHARD, 1, 99)


def test_a_packet_that_a_transaction_has_sent_is_found() -> None:
    assert read(HUB.chain, results(tx_events=event_of(PacketEventKind.SEND))).sent


def test_the_events_of_a_failed_transaction_did_not_happen() -> None:
    assert not read(HUB.chain, results(tx_events=event_of(PacketEventKind.SEND), code=5)).sent


def test_an_acknowledgement_names_the_sender_of_its_packet() -> None:
    (written,) = read(SHARD.chain, results(event_of(PacketEventKind.WRITE_ACK))).written
    assert written.key == PacketKey(HUB, 1)
    assert written.acknowledgement == SUCCESS


@pytest.mark.parametrize(
    ("kind", "timed_out"), [(PacketEventKind.ACKNOWLEDGE, False), (PacketEventKind.TIME_OUT, True)]
)
def test_the_end_of_a_packet_is_found(kind: PacketEventKind, timed_out: bool) -> None:
    (finished,) = read(HUB.chain, results(event_of(kind))).finished
    assert (finished.key, finished.timed_out) == (PacketKey(HUB, 1), timed_out)


def test_a_reception_by_itself_is_no_news() -> None:
    assert read(SHARD.chain, results(event_of(PacketEventKind.RECEIVE))) == BlockSeen(SHARD.chain, Height(7))


def test_packets_of_other_clients_are_passed_over() -> None:
    other = LinkEnd(HUB.chain, ClientId("07-tendermint-5"))
    assert not read(HUB.chain, results(event_of(PacketEventKind.SEND, sender=other))).sent


def test_a_packet_to_another_client_of_the_shard_is_passed_over() -> None:
    other = LinkEnd(SHARD.chain, ClientId("07-tendermint-8"))
    assert not read(HUB.chain, results(event_of(PacketEventKind.SEND, receiver=other))).sent


@pytest.mark.parametrize(("sequence", "timeout_s"), [(1 << 63, 99), ((1 << 64) - 1, 99), (1, 1 << 63)])
def test_numbers_that_no_journal_can_hold_are_passed_over(sequence: int, timeout_s: int) -> None:
    events = event_of(PacketEventKind.SEND, sequence=sequence, timeout_s=timeout_s)
    assert not read(HUB.chain, results(events)).sent


@pytest.mark.parametrize("value", ["", "zz", "ff", "00" * 40])
def test_a_malformed_event_hides_no_other_one(value: str) -> None:
    broken = Event("send_packet", (("encoded_packet_hex", value),))
    found = read(HUB.chain, results((broken, *event_of(PacketEventKind.SEND)))).sent
    assert [sent.key for sent in found] == [PacketKey(HUB, 1)]


def test_client_updates_are_found_with_their_height() -> None:
    (update,) = read(HUB.chain, results(update_of(HUB.client))).updated
    assert (update.client, update.height) == (HUB.client, 44)


@pytest.mark.parametrize("height", ["", "0-", "1-x", "1-" + "9" * 30, "1--4x"])
def test_a_client_update_with_a_strange_height_is_passed_over(height: str) -> None:
    assert not read(HUB.chain, results(update_of(HUB.client, height))).updated


def test_updates_of_other_clients_are_passed_over() -> None:
    assert not read(HUB.chain, results(update_of("07-tendermint-9"))).updated

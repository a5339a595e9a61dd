from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ibc import errors
from ibc.channel import handle_acknowledgement, handle_timeout
from ibc.events import PacketEventKind, packets_from_events
from ibc.packet import ERROR_ACK
from ibc.ports import HUB_PORT
from ibc.results import RelayResult
from ibc.state import get_commitment
from tests.support.ibc import SECOND_NS
from tests.support.ibc_link import Link, RecordingApp
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext, HostState
    from tests.support.ibc_host import HostChain


def kinds(chain: HostChain) -> list[PacketEventKind]:
    return [event.kind for event in packets_from_events(chain.events)]


# acknowledge


def received(link: Link, *values: bytes) -> packet_pb2.Packet:
    packet = link.send(*values)
    link.recv(link.recv_message(packet))
    return packet


def test_an_answer_ends_a_packet() -> None:
    link = Link()
    packet = received(link, b"one", b"two")
    assert link.acknowledge(link.ack_message(packet)) is RelayResult.SUCCESS
    assert link.hub_app.answers == [(b"one", b"ack of one"), (b"two", b"ack of two")]
    assert get_commitment(link.hub.state, link.hub_client, 1) is None
    assert kinds(link.hub)[-1] is PacketEventKind.ACKNOWLEDGE


def test_an_error_answers_every_payload() -> None:
    link = Link()
    packet = received(link, b"fine", b"refuse")
    assert link.acknowledge(link.ack_message(packet)) is RelayResult.SUCCESS
    assert link.hub_app.answers == [(b"fine", ERROR_ACK), (b"refuse", ERROR_ACK)]


def test_an_answer_counts_once() -> None:
    link = Link()
    msg = link.ack_message(received(link))
    link.acknowledge(msg)
    assert link.acknowledge(msg) is RelayResult.NOOP
    assert len(link.hub_app.answers) == 1


def test_a_forged_answer_is_refused() -> None:
    link = Link()
    msg = link.ack_message(received(link))
    msg.acknowledgement.app_acknowledgements[:] = [ERROR_ACK]
    with pytest.raises(errors.ProofValueMismatch):
        link.acknowledge(msg)


def test_an_answer_to_another_packet_is_refused() -> None:
    link = Link()
    msg = link.ack_message(received(link))
    msg.packet.payloads[0].value = b"forged"
    with pytest.raises(errors.CommitmentMismatch):
        link.acknowledge(msg)
    msg.packet.destination_client = "07-tendermint-9"
    with pytest.raises(errors.CounterpartyMismatch):
        link.acknowledge(msg)


def test_an_answer_that_was_not_written_is_refused() -> None:
    link = Link()
    packet = link.send()
    msg = link.ack_message(packet)
    with pytest.raises(errors.WrongProofKind):
        link.acknowledge(msg)


# time out


def test_a_packet_that_was_not_received_in_time_is_taken_back() -> None:
    link = Link()
    packet = link.send(b"one", b"two", after_s=30)
    link.pass_time(40)
    assert link.time_out(link.timeout_message(packet)) is RelayResult.SUCCESS
    assert link.hub_app.returned == [b"one", b"two"]
    assert get_commitment(link.hub.state, link.hub_client, 1) is None
    assert kinds(link.hub)[-1] is PacketEventKind.TIME_OUT


def test_a_packet_is_taken_back_once() -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    msg = link.timeout_message(packet)
    link.time_out(msg)
    assert link.time_out(msg) is RelayResult.NOOP
    assert len(link.hub_app.returned) == 1


def test_a_packet_is_not_taken_back_before_its_timeout() -> None:
    link = Link()
    with pytest.raises(errors.TimeoutNotReached):
        link.time_out(link.timeout_message(link.send()))


@pytest.mark.parametrize(("early_ns", "is_over"), [(0, True), (1, False)])
def test_a_packet_is_taken_back_from_the_second_of_its_timeout_on(*, early_ns: int, is_over: bool) -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(30)
    link.shard.sim.time_ns = (packet.timeout_timestamp - 1) * SECOND_NS - early_ns
    msg = link.timeout_message(packet)
    assert (
        link.shard.sim.trusted_state(link.shard.sim.height).time_ns
        == packet.timeout_timestamp * SECOND_NS - early_ns
    )
    if is_over:
        assert link.time_out(msg) is RelayResult.SUCCESS
    else:
        with pytest.raises(errors.TimeoutNotReached):
            link.time_out(msg)


def test_a_packet_to_another_client_is_not_taken_back() -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    msg = link.timeout_message(packet)
    msg.packet.destination_client = "07-tendermint-9"
    with pytest.raises(errors.CounterpartyMismatch):
        link.time_out(msg)


def test_a_packet_that_was_received_is_not_taken_back() -> None:
    link = Link()
    packet = received(link)
    link.pass_time(100)
    with pytest.raises(errors.WrongProofKind):
        link.time_out(link.timeout_message(packet))


def test_an_absence_of_another_receipt_takes_nothing_back() -> None:
    """The absent sequence 2 does not show that sequence 1 was not received."""
    link = Link()
    packet = received(link)
    link.pass_time(100)
    other = packet_pb2.Packet()
    other.CopyFrom(packet)
    other.sequence = 2
    msg = link.timeout_message(other)
    msg.packet.CopyFrom(packet)
    with pytest.raises(errors.KeyNotBetween):
        link.time_out(msg)


def test_an_absence_before_the_timeout_takes_nothing_back() -> None:
    """At the old height the packet was not received yet, but it was later."""
    link = Link()
    packet = link.send()
    early = link.timeout_message(packet)
    link.recv(link.recv_message(packet))
    link.pass_time(100)
    with pytest.raises(errors.TimeoutNotReached):
        link.time_out(early)
    link.teach_hub()
    early.proof_height.revision_height = link.shard.sim.height
    with pytest.raises(errors.RootMismatch):
        link.time_out(early)


def test_a_packet_to_no_port_of_ours_is_neither_answered_nor_taken_back() -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    msg = link.timeout_message(packet)
    with pytest.raises(errors.UnknownPort):
        handle_timeout(link.hub.ctx, link.hub.state, msg, ports={})
    assert get_commitment(link.hub.state, link.hub_client, 1) is not None

    link = Link()
    ack = link.ack_message(received(link))
    with pytest.raises(errors.UnknownPort):
        handle_acknowledgement(link.hub.ctx, link.hub.state, ack, ports={})


class Witness(RecordingApp):
    """An application that remembers what it was given beside the payload."""

    given: tuple[HostContext, HostState, packet_pb2.Packet] | None = None

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        ack: bytes,
    ) -> None:
        self.given = (ctx, state, packet)

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        self.given = (ctx, state, packet)


def test_an_application_is_given_the_block_the_state_and_the_packet_that_ends() -> None:
    link, app = Link(), Witness()
    packet = received(link)
    msg, ctx = link.ack_message(packet), link.hub.ctx
    handle_acknowledgement(ctx, link.hub.state, msg, ports={HUB_PORT: app})
    assert app.given == (ctx, link.hub.state, packet)

    link, app = Link(), Witness()
    packet = link.send(after_s=30)
    link.pass_time(40)
    timeout, ctx = link.timeout_message(packet), link.hub.ctx
    handle_timeout(ctx, link.hub.state, timeout, ports={HUB_PORT: app})
    assert app.given == (ctx, link.hub.state, packet)


def test_an_application_never_sees_its_packet_open_when_it_ends() -> None:
    """ASA-2024-007: an application that starts the same message again must find nothing to do."""
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    msg = link.timeout_message(packet)
    results = []

    class Reentrant(RecordingApp):
        def on_timeout(
            self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
        ) -> None:
            results.append(handle_timeout(ctx, state, msg, ports={HUB_PORT: self}))

    handle_timeout(link.hub.ctx, link.hub.state, msg, ports={HUB_PORT: Reentrant()})
    assert results == [RelayResult.NOOP]

"""Packets: sending, receiving, acknowledging, and taking back what was not received in time.

Each handler checks everything before it writes anything.  A message that another relayer was faster with changes
nothing and does not fail, so that it does not take the rest of its transaction with it.

Source: ibc-go `04-channel/v2/keeper/{packet,msg_server}.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibc.clients import require_active_client, verify_packet_absence, verify_packet_membership
from ibc.errors import (
    CommitmentMismatch,
    CounterpartyMismatch,
    TimeoutElapsed,
    TimeoutNotReached,
    TimeoutTooFar,
    UnknownPort,
)
from ibc.events import PacketEventKind, emit_packet, emit_payload_refused
from ibc.identifiers import height_from_wire
from ibc.keys import packet_ack_key, packet_commitment_key, packet_receipt_key
from ibc.packet import (
    ERROR_ACK,
    MAX_TIMEOUT_S,
    check_acknowledgement,
    check_packet,
    commit_acknowledgement,
    commit_packet,
    is_success,
)
from ibc.results import RelayResult
from ibc.state import (
    delete_sent_packet,
    get_commitment,
    has_receipt,
    put_acknowledgement,
    put_receipt,
    put_sent_packet,
    require_consensus_state,
    require_counterparty,
    take_sequence,
)
from ibc.times import NS_PER_SECOND
from tx.errors import AppError
from tx.keys import parse_address
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ibc.host import Branch, HostContext, HostReader, HostState, PortApp
    from wire.ibc.core.channel.v2 import tx_pb2


def send_packet(
    ctx: HostContext,
    state: HostState,
    source_client: str,
    timeout_s: int,
    payloads: Sequence[packet_pb2.Payload],
) -> int:
    """Send payloads of a module of this chain over a client, and return the packet's sequence.

    `timeout_s` is in Unix seconds of the receiver's block time; it is after our time and at most a day ahead.

    Raises:
      CounterpartyNotFound, ClientNotActive: the client cannot be used.
      TimeoutElapsed, TimeoutTooFar: the timeout has passed already, here or there, or is too far ahead.
      InvalidPacket, InvalidIdentifier, PayloadTooLarge: a payload is malformed.

    """
    counterparty = require_counterparty(state, source_client)
    if timeout_s * NS_PER_SECOND <= ctx.time_ns:
        raise TimeoutElapsed(f"expected a timeout after {ctx.time_ns} ns, got {timeout_s} s")
    if timeout_s * NS_PER_SECOND > ctx.time_ns + MAX_TIMEOUT_S * NS_PER_SECOND:
        raise TimeoutTooFar(
            f"expected a timeout within {MAX_TIMEOUT_S} s of {ctx.time_ns} ns, got {timeout_s} s"
        )
    packet = packet_pb2.Packet(
        sequence=1,
        source_client=source_client,
        destination_client=counterparty.client_id,
        timeout_timestamp=timeout_s,
        payloads=payloads,
    )
    check_packet(packet)
    client = require_active_client(state, source_client, ctx.time_ns)
    latest = require_consensus_state(state, source_client, client.latest_height)
    if latest.time_ns // NS_PER_SECOND >= timeout_s:
        raise TimeoutElapsed(
            f"expected a timeout after the receiver's {latest.time_ns} ns, got {timeout_s} s"
        )
    packet.sequence = take_sequence(state, source_client)
    put_sent_packet(state, packet, ctx.height)
    emit_packet(ctx, PacketEventKind.SEND, packet)
    return packet.sequence


def handle_recv_packet(
    ctx: HostContext,
    state: HostState,
    msg: tx_pb2.MsgRecvPacket,
    *,
    ports: Mapping[str, PortApp],
    branch: Branch,
) -> RelayResult:
    """Take a packet that the other chain sent, and write the acknowledgement.

    The payloads are handled together: when an application refuses one, what all of them wrote is dropped, and the
    error acknowledgement says so.  The packet is received all the same.

    Raises:
      CounterpartyNotFound, CounterpartyMismatch: the packet is not for one of our clients, or from another one.
      TimeoutElapsed: it is too late.
      ClientNotActive, ConsensusStateNotFound: the client cannot tell whether it was sent.
      IbcError: the proof does not show that it was sent.

    """
    packet = msg.packet
    client_id = packet.destination_client
    _check_counterparty(state, client_id, packet.source_client)
    if ctx.time_ns // NS_PER_SECOND >= packet.timeout_timestamp:
        raise TimeoutElapsed(f"expected a timeout after {ctx.time_ns} ns, got {packet.timeout_timestamp} s")
    if has_receipt(state, client_id, packet.sequence):
        return RelayResult.NOOP
    verify_packet_membership(
        ctx,
        state,
        client_id,
        height_from_wire(msg.proof_height),
        msg.proof_commitment,
        packet_commitment_key(packet.source_client, packet.sequence),
        commit_packet(packet),
    )
    put_receipt(state, client_id, packet.sequence)
    emit_packet(ctx, PacketEventKind.RECEIVE, packet)
    ack = _run_applications(ctx, state, msg, ports, branch)
    put_acknowledgement(state, client_id, packet.sequence, ack)
    emit_packet(ctx, PacketEventKind.WRITE_ACK, packet, ack)
    return RelayResult.SUCCESS if is_success(ack) else RelayResult.FAILURE


def _run_applications(
    ctx: HostContext,
    state: HostState,
    msg: tx_pb2.MsgRecvPacket,
    ports: Mapping[str, PortApp],
    branch: Branch,
) -> packet_pb2.Acknowledgement:
    """Hand the payloads to their applications; on a refusal drop what they wrote and the events they emitted."""
    packet, relayer = msg.packet, parse_address(msg.signer)
    scratch = branch(state)
    mark = len(ctx.events)
    answers: list[bytes] = []
    for payload in packet.payloads:
        try:
            app = _require_port(ports, payload.destination_port)
            answers.append(app.on_recv(ctx, scratch, packet, payload, relayer))
        except AppError as error:
            del ctx.events[mark:]
            emit_payload_refused(ctx, packet, payload.destination_port, error)
            return packet_pb2.Acknowledgement(app_acknowledgements=[ERROR_ACK])
    ack = packet_pb2.Acknowledgement(app_acknowledgements=answers)
    check_acknowledgement(ack, len(packet.payloads))
    scratch.merge()
    return ack


def handle_acknowledgement(
    ctx: HostContext, state: HostState, msg: tx_pb2.MsgAcknowledgement, *, ports: Mapping[str, PortApp]
) -> RelayResult:
    """Take the other chain's answer to a packet, and end the packet's life.

    Raises:
      CounterpartyNotFound, CounterpartyMismatch: the packet is not of one of our clients, or for another one.
      CommitmentMismatch: another packet was sent under this sequence.
      InvalidAcknowledgement: the answer does not fit the packet.
      ClientNotActive, ConsensusStateNotFound: the client cannot tell whether it was answered so.
      IbcError: the proof does not show the answer.
      AppError: the application fails; the packet stays open.

    """
    packet = msg.packet
    client_id = packet.source_client
    _check_counterparty(state, client_id, packet.destination_client)
    if not _is_open(state, packet):
        return RelayResult.NOOP
    verify_packet_membership(
        ctx,
        state,
        client_id,
        height_from_wire(msg.proof_height),
        msg.proof_acked,
        packet_ack_key(packet.destination_client, packet.sequence),
        commit_acknowledgement(msg.acknowledgement),
    )
    answers = list(msg.acknowledgement.app_acknowledgements)
    if not is_success(msg.acknowledgement):
        answers *= len(packet.payloads)
    apps = [_require_port(ports, payload.source_port) for payload in packet.payloads]
    # Before the applications run, so that nothing they do can meet an open packet (ASA-2024-007).
    delete_sent_packet(state, packet)
    emit_packet(ctx, PacketEventKind.ACKNOWLEDGE, packet)
    for app, payload, answer in zip(apps, packet.payloads, answers, strict=True):
        app.on_ack(ctx, state, packet, payload, answer)
    return RelayResult.SUCCESS


def handle_timeout(
    ctx: HostContext, state: HostState, msg: tx_pb2.MsgTimeout, *, ports: Mapping[str, PortApp]
) -> RelayResult:
    """Take back a packet that was not received before its timeout, and end its life.

    Raises:
      CounterpartyNotFound, CounterpartyMismatch: the packet is not of one of our clients, or for another one.
      CommitmentMismatch: another packet was sent under this sequence.
      TimeoutNotReached: at the proof height it could still be received.
      ClientNotActive, ConsensusStateNotFound: the client cannot tell whether it was received.
      IbcError: the proof does not show that it was not received.
      AppError: the application fails; the packet stays open.

    """
    packet = msg.packet
    client_id = packet.source_client
    _check_counterparty(state, client_id, packet.destination_client)
    if not _is_open(state, packet):
        return RelayResult.NOOP
    height = height_from_wire(msg.proof_height)
    known = require_consensus_state(state, client_id, height)
    if known.time_ns // NS_PER_SECOND < packet.timeout_timestamp:
        raise TimeoutNotReached(
            f"expected a proof from {packet.timeout_timestamp} s on, got one of {known.time_ns} ns"
        )
    key = packet_receipt_key(packet.destination_client, packet.sequence)
    verify_packet_absence(ctx, state, client_id, height, msg.proof_unreceived, key)
    apps = [_require_port(ports, payload.source_port) for payload in packet.payloads]
    delete_sent_packet(state, packet)
    emit_packet(ctx, PacketEventKind.TIME_OUT, packet)
    for app, payload in zip(apps, packet.payloads, strict=True):
        app.on_timeout(ctx, state, packet, payload)
    return RelayResult.SUCCESS


def _check_counterparty(state: HostReader, client_id: str, other_id: str) -> None:
    expected = require_counterparty(state, client_id).client_id
    if other_id != expected:
        raise CounterpartyMismatch(f"expected a packet between {client_id} and {expected}, got {other_id}")


def _is_open(state: HostReader, packet: packet_pb2.Packet) -> bool:
    """Whether a packet that we sent awaits its end; it must be the very packet."""
    stored = get_commitment(state, packet.source_client, packet.sequence)
    if stored is None:
        return False
    got = commit_packet(packet)
    if got != stored:
        raise CommitmentMismatch(f"expected a packet of commitment {stored.hex()}, got {got.hex()}")
    return True


def _require_port(ports: Mapping[str, PortApp], port: str) -> PortApp:
    app = ports.get(port)
    if app is None:
        raise UnknownPort(f"expected one of the ports {sorted(ports)}, got {port!r}")
    return app

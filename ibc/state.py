"""Clients and packets in the state: typed reads and writes of the keys in `ibc.keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any as AnyMessage

from ibc.client_state import (
    ClientState,
    client_state_from_wire,
    consensus_state_from_wire,
    pack_client_state,
    pack_consensus_state,
)
from ibc.errors import ClientNotFound, ConsensusStateNotFound, CounterpartyNotFound
from ibc.host import BULK, PROVABLE
from ibc.identifiers import CLIENT_TYPE, Height
from ibc.keys import (
    AUTHORITY_KEY,
    NEXT_CLIENT_KEY,
    be64,
    client_state_key,
    consensus_state_key,
    counterparty_key,
    height_key,
    next_sequence_key,
    packet_ack_key,
    packet_commitment_key,
    packet_receipt_key,
    pending_packet_key,
    written_ack_key,
)
from ibc.packet import RECEIPT, commit_acknowledgement, commit_packet
from tx.codec import encode
from wire.gradchain.ibc.v1 import query_pb2
from wire.ibc.core.channel.v2 import packet_pb2
from wire.ibc.core.client.v2 import counterparty_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ibc.host import HostReader, HostState
    from ibc.tendermint import TrustedState


def get_authority(state: HostReader) -> bytes | None:
    """Return the account that may create clients, or None where the genesis names none."""
    return state.get(BULK, AUTHORITY_KEY)


def put_authority(state: HostState, authority: bytes) -> None:
    """Set the account that may create clients."""
    state.set(BULK, AUTHORITY_KEY, authority)


def _get_number(state: HostReader, key: bytes, default: int) -> int:
    value = state.get(BULK, key)
    return default if value is None else int.from_bytes(value, "big")


def _put_number(state: HostState, key: bytes, number: int) -> None:
    state.set(BULK, key, be64(number))


def list_client_ids(state: HostReader) -> Iterator[str]:
    """Yield the ids of all clients, in the order of their creation."""
    for number in range(_get_number(state, NEXT_CLIENT_KEY, 0)):
        yield f"{CLIENT_TYPE}-{number}"


def take_client_id(state: HostState) -> str:
    """Return the id of a new client, and count on."""
    number = _get_number(state, NEXT_CLIENT_KEY, 0)
    _put_number(state, NEXT_CLIENT_KEY, number + 1)
    return f"{CLIENT_TYPE}-{number}"


def get_client(state: HostReader, client_id: str) -> ClientState | None:
    """Return a client, or None when there is none of that id."""
    stored = state.get(PROVABLE, client_state_key(client_id))
    if stored is None:
        return None
    packed = AnyMessage.FromString(stored)
    return client_state_from_wire(tendermint_pb2.ClientState.FromString(packed.value))


def require_client(state: HostReader, client_id: str) -> ClientState:
    """Return a client.

    Raises:
      ClientNotFound: there is none of that id.

    """
    client = get_client(state, client_id)
    if client is None:
        raise ClientNotFound(f"expected the id of a client, got {client_id[:128]!r}")
    return client


def put_client(state: HostState, client_id: str, client: ClientState) -> None:
    """Write a client."""
    state.set(PROVABLE, client_state_key(client_id), encode(pack_client_state(client)))


def get_consensus_state(state: HostReader, client_id: str, height: Height) -> TrustedState | None:
    """Return what a client knows of a height, or None when it knows nothing."""
    stored = state.get(PROVABLE, consensus_state_key(client_id, height))
    if stored is None:
        return None
    packed = AnyMessage.FromString(stored)
    return consensus_state_from_wire(tendermint_pb2.ConsensusState.FromString(packed.value), height.height)


def require_consensus_state(state: HostReader, client_id: str, height: Height) -> TrustedState:
    """Return what a client knows of a height.

    Raises:
      ConsensusStateNotFound: it knows nothing, or nothing any more.

    """
    known = get_consensus_state(state, client_id, height)
    if known is None:
        raise ConsensusStateNotFound(f"expected a height that {client_id} knows, got {height}")
    return known


def put_consensus_state(
    state: HostState, client_id: str, revision: int, known: TrustedState, time_ns: int, height: int
) -> None:
    """Write what a client learnt, with time and height of our block in which it did."""
    key = consensus_state_key(client_id, Height(revision, known.height))
    state.set(PROVABLE, key, encode(pack_consensus_state(known)))
    processed = be64(time_ns) + be64(height)
    state.set(BULK, height_key(client_id, known.height), processed)


def delete_consensus_state(state: HostState, client_id: str, height: Height) -> None:
    """Forget what a client knows of a height."""
    state.delete(PROVABLE, consensus_state_key(client_id, height))
    state.delete(BULK, height_key(client_id, height.height))


def get_counterparty(state: HostReader, client_id: str) -> counterparty_pb2.CounterpartyInfo | None:
    """Return the other end of a client, or None before it is registered."""
    stored = state.get(BULK, counterparty_key(client_id))
    return None if stored is None else counterparty_pb2.CounterpartyInfo.FromString(stored)


def require_counterparty(state: HostReader, client_id: str) -> counterparty_pb2.CounterpartyInfo:
    """Return the other end of a client.

    Raises:
      CounterpartyNotFound: it was not registered.

    """
    counterparty = get_counterparty(state, client_id)
    if counterparty is None:
        raise CounterpartyNotFound(f"expected a client with a counterparty, got {client_id[:128]!r}")
    return counterparty


def put_counterparty(
    state: HostState, client_id: str, counterparty: counterparty_pb2.CounterpartyInfo
) -> None:
    """Write the other end of a client."""
    state.set(BULK, counterparty_key(client_id), encode(counterparty))


def take_sequence(state: HostState, client_id: str) -> int:
    """Return the number of a client's next packet, from 1, and count on."""
    sequence = _get_number(state, next_sequence_key(client_id), 1)
    _put_number(state, next_sequence_key(client_id), sequence + 1)
    return sequence


def last_sequence(state: HostReader, client_id: str) -> int:
    """Return the number of the packet that a client has sent last; 0 if it has sent none."""
    return _get_number(state, next_sequence_key(client_id), 1) - 1


def get_commitment(state: HostReader, client_id: str, sequence: int) -> bytes | None:
    """Return the commitment of a packet that was sent and is still open, or None."""
    return state.get(PROVABLE, packet_commitment_key(client_id, sequence))


def put_sent_packet(state: HostState, packet: packet_pb2.Packet, height: int) -> None:
    """Write the commitment of a packet, and the packet itself for those who relay it."""
    key = packet_commitment_key(packet.source_client, packet.sequence)
    state.set(PROVABLE, key, commit_packet(packet))
    pending = query_pb2.PendingPacket(packet=packet, height=height)
    state.set(BULK, pending_packet_key(packet.source_client, packet.sequence), encode(pending))


def delete_sent_packet(state: HostState, packet: packet_pb2.Packet) -> None:
    """Forget a packet whose life has ended."""
    state.delete(PROVABLE, packet_commitment_key(packet.source_client, packet.sequence))
    state.delete(BULK, pending_packet_key(packet.source_client, packet.sequence))


def has_receipt(state: HostReader, client_id: str, sequence: int) -> bool:
    """Whether a packet was received."""
    return state.get(PROVABLE, packet_receipt_key(client_id, sequence)) is not None


def put_receipt(state: HostState, client_id: str, sequence: int) -> None:
    """Note that a packet was received.  Receipts are never deleted: they are the protection against replay."""
    state.set(PROVABLE, packet_receipt_key(client_id, sequence), RECEIPT)


def put_acknowledgement(
    state: HostState, client_id: str, sequence: int, ack: packet_pb2.Acknowledgement
) -> None:
    """Write the commitment of an acknowledgement, and the acknowledgement itself for those who relay it."""
    state.set(PROVABLE, packet_ack_key(client_id, sequence), commit_acknowledgement(ack))
    state.set(BULK, written_ack_key(client_id, sequence), encode(ack))


def get_acknowledgement(
    state: HostReader, client_id: str, sequence: int
) -> packet_pb2.Acknowledgement | None:
    """Return the acknowledgement of a packet that was received, or None when none was."""
    stored = state.get(BULK, written_ack_key(client_id, sequence))
    return None if stored is None else packet_pb2.Acknowledgement.FromString(stored)

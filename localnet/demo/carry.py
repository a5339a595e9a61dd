"""Carrying packets by hand: what a relayer does, one step at a time, so that the demo can do it wrongly on purpose."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ibc.client_state import client_state_from_wire, pack_header
from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.keys import packet_commitment_key
from ibc.light import to_client_message
from ibc.rpcjson import parse_light_block
from localnet.errors import DemoStalled
from tx.keys import format_address
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx
from wire.ibc.core.client.v1 import tx_pb2 as client_tx
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from abci_app.client import ChainConnection
    from localnet.nodes import ChainHandle
    from tx.keys import SigningKey
    from wire.ibc.core.channel.v2 import packet_pb2
    from wire.tendermint.types import types_pb2

POLL_S: Final = 0.1
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Side:
    """One chain of a link, seen from outside."""

    chain: ChainHandle
    connection: ChainConnection


@dataclass(frozen=True, slots=True)
class ProvenPacket:
    """A packet with everything that its destination wants to see."""

    packet: packet_pb2.Packet
    header: tendermint_pb2.Header
    proof: bytes
    height: int
    """Of the header; the proof is of the state below it."""


def fetch_light_block(side: Side, height: int) -> types_pb2.LightBlock:
    """Return the light block of a height of a chain."""
    with side.chain.nodes[0].open_rpc() as rpc:
        raw = rpc.light_block(height)
    return parse_light_block(raw.signed_header, raw.validators)


def await_packets(side: Side, client_id: str) -> Sequence[ibc_query.PendingPacket]:
    """Return the open packets that a chain sent over a client, as soon as there are any.

    Raises:
      DemoStalled: none was sent for too long.

    """
    deadline = time.monotonic() + PATIENCE_S
    request = ibc_query.ListPendingPacketsRequest(client_id=client_id)
    while time.monotonic() < deadline:
        found = side.connection.ibc(lambda stub: stub.ListPendingPackets(request, timeout=30.0)).packets
        if found:
            return found
        time.sleep(POLL_S)
    raise DemoStalled(f"{side.chain.name} sent no packet over {client_id}")


def prove_packet(source: Side, destination: Side, pending: ibc_query.PendingPacket) -> ProvenPacket:
    """Return a packet with header and proof for the client on the other side.

    Raises:
      DemoStalled: the header that proves the packet does not come.

    """
    deadline = time.monotonic() + PATIENCE_S
    with source.chain.nodes[0].open_rpc() as rpc:
        while (height := rpc.status().height) <= pending.height:
            if time.monotonic() > deadline:
                raise DemoStalled(f"{source.chain.name} makes no block above {pending.height}")
            time.sleep(POLL_S)
    packet = pending.packet
    key = packet_commitment_key(packet.source_client, packet.sequence)
    request = node_query.ProveRequest(key=key, height=height - 1)
    answer = source.connection.node(lambda stub: stub.Prove(request, timeout=30.0))
    header = build_header(source, destination, packet.destination_client, height)
    return ProvenPacket(packet, header, answer.proof, height)


def build_header(source: Side, destination: Side, client_id: str, height: int) -> tendermint_pb2.Header:
    """Return the header of a height for the client that follows the source chain on the destination."""
    request = ibc_query.GetClientRequest(client_id=client_id)
    packed = destination.connection.ibc(
        lambda stub: stub.GetClient(request, timeout=30.0)
    ).client.client_state
    client = client_state_from_wire(tendermint_pb2.ClientState.FromString(packed.value))
    trusted = client.latest_height
    validators = fetch_light_block(source, trusted.height + 1).validator_set
    return to_client_message(fetch_light_block(source, height), trusted, validators)


def build_messages(source: Side, proven: ProvenPacket, signer: bytes) -> list[Message]:
    """Return the messages that deliver a packet: the header, then the packet with its proof."""
    address = format_address(signer)
    height = Height(parse_revision(source.chain.chain_id), proven.height)
    return [
        client_tx.MsgUpdateClient(
            client_id=proven.packet.destination_client,
            client_message=pack_header(proven.header),
            signer=address,
        ),
        channel_tx.MsgRecvPacket(
            packet=proven.packet,
            proof_commitment=proven.proof,
            proof_height=height_to_wire(height),
            signer=address,
        ),
    ]


def carry(
    source: Side,
    destination: Side,
    pending: ibc_query.PendingPacket,
    key: SigningKey,
    change: Callable[[ProvenPacket], ProvenPacket] = lambda proven: proven,
) -> None:
    """Deliver a packet, `change`d on the way.

    Raises:
      RemoteError: the destination refused it.
      DemoStalled: the header that proves it does not come.

    """
    proven = change(prove_packet(source, destination, pending))
    messages = build_messages(source, proven, key.public_key)
    destination.connection.send(destination.chain.chain_id, messages, [key])

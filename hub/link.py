"""The hub's end of the link to its shards: what the registry and rounds need of `ibc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.state import Overlay
from hub.errors import ClientOfAnotherChain, ClientUnusable
from ibc.channel import send_packet
from ibc.clients import ClientStatus, client_status
from ibc.packet import MAX_TIMEOUT_S
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.state import get_client
from tx.codec import encode
from tx.errors import AppError
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from ibc.host import HostContext
    from wire.gradchain.fl.v1 import packet_pb2

SECOND_NS: Final = 1_000_000_000


def check_client(ctx: HostContext, state: StateReader, client_id: str, chain_id: str) -> None:
    """Check that a light client can be used and follows a chain.

    Raises:
      ClientUnusable: it does not exist, has expired, or was frozen.
      ClientOfAnotherChain: it follows another chain.

    """
    client = get_client(state, client_id)
    if client is None:
        raise ClientUnusable(f"expected the id of a light client, got {client_id!r}")
    status = client_status(state, client_id, client, ctx.time_ns)
    if status is not ClientStatus.ACTIVE:
        raise ClientUnusable(f"expected an active light client, got {client_id!r}, which is {status.value}")
    if client.trust.chain_id != chain_id:
        raise ClientOfAnotherChain(
            f"expected a light client of {chain_id!r}, got one of {client.trust.chain_id!r}"
        )


def is_client_frozen(state: StateReader, client_id: str) -> bool:
    """Whether a light client was frozen, because its chain has contradicted itself."""
    client = get_client(state, client_id)
    return client is not None and client.is_frozen


def send_to_shard(
    ctx: HostContext, state: StateWriter, client_id: str, timeout_s: int, packet: packet_pb2.HubPacket
) -> bool:
    """Send a packet over the client of a shard; tell whether it was sent.

    A client that has expired, was frozen, or has no counterparty yet is no failure of the block that wants to use it:
    the shard just hears nothing.  `timeout_s` is in Unix seconds, and is moved forward to the latest that the
    protocol allows.
    """
    payload = channel_pb2.Payload(
        source_port=HUB_PORT,
        destination_port=SHARD_PORT,
        version=VERSION,
        encoding=ENCODING,
        value=encode(packet),
    )
    latest_s = ctx.time_ns // SECOND_NS + MAX_TIMEOUT_S
    overlay = Overlay(state)
    try:
        send_packet(ctx, overlay, client_id, min(timeout_s, latest_s), [payload])
    except AppError:
        return False
    overlay.merge()
    return True

"""The far end of the hub's links, by hand: packets of shards, and light clients of chains that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import Overlay
from hub.rounds.port import HubPort
from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.proof_spec import DEFAULT_SPECS
from ibc.tendermint import TrustedState, TrustOptions
from tests.support.ibc import ONE_THIRD
from tests.support.txs import SECOND_NS
from tx.codec import encode
from tx.errors import AppError
from tx.keys import format_address
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateWriter
    from wire.gradchain.fl.v1 import packet_pb2


def receive(
    block: BlockContext,
    state: StateWriter,
    client_id: str,
    content: packet_pb2.ShardPacket,
    *,
    relayer: bytes,
    version: str = VERSION,
    encoding: str = ENCODING,
) -> bytes:
    """Hand a packet of a shard to the port; return the acknowledgement, or the name of the error."""
    payload = channel_pb2.Payload(
        source_port=SHARD_PORT,
        destination_port=HUB_PORT,
        version=version,
        encoding=encoding,
        value=encode(content),
    )
    packet = channel_pb2.Packet(
        sequence=1, source_client="07-tendermint-0", destination_client=client_id, payloads=[payload]
    )
    overlay = Overlay(state)
    try:
        ack = HubPort().on_recv(block, overlay, packet, payload, relayer)
    except AppError as error:
        return type(error).__name__.encode()
    overlay.merge()
    return ack


def make_create_client(
    chain_id: str, now_ns: int, trusting_s: int, signer: bytes
) -> client_tx_pb2.MsgCreateClient:
    """Return a message that creates a client of a chain, trusting a made-up state of height 1."""
    options = TrustOptions(chain_id, ONE_THIRD, trusting_s * SECOND_NS, 10 * SECOND_NS)
    client = make_client_state(options, 2 * trusting_s * SECOND_NS, 1, DEFAULT_SPECS)
    known = TrustedState(1, now_ns, b"\x01" * 32, b"\x02" * 32)
    return client_tx_pb2.MsgCreateClient(
        client_state=pack_client_state(client),
        consensus_state=pack_consensus_state(known),
        signer=format_address(signer),
    )

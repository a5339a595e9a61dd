"""The shard's end of the link to the hub: the application behind port `fl.shard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, SUCCESS_ACK, VERSION
from shards.checkpoints.handlers import record_answer
from shards.checkpoints.types import DeliveryStatus
from shards.config import hub_client_id
from shards.errors import ForeignClient, UnexpectedPacket
from shards.pruning import prune_round
from shards.rounds.handlers import handle_round_opened
from shards.rounds.types import RoundId
from tx.codec import decode_canonical
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext, HostState
    from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2


class ShardPort:
    """Takes what the hub sends, and what becomes of what the shard has sent.

    Packets are taken over one client alone, the one that follows the hub: anyone may create another chain and a
    client of it, and such a chain could otherwise open rounds here.
    """

    __slots__ = ()

    def on_recv(
        self,
        ctx: HostContext,
        state: HostState,
        packet: channel_pb2.Packet,
        payload: channel_pb2.Payload,
        relayer: bytes,  # noqa: ARG002 - the interface is that of all ports
    ) -> bytes:
        """Open or settle a round, and return the success acknowledgement.

        Raises:
          ForeignClient, UnexpectedPacket: the packet is none that the hub sends.
          InvalidRound, RoundExists, UnknownRound: the round cannot be opened or settled.

        """
        expected = hub_client_id(state)
        if packet.destination_client != expected:
            raise ForeignClient(
                f"expected a packet over {expected}, got one over {packet.destination_client}"
            )
        _check_format(payload)
        content = decode_canonical(packet_pb2.HubPacket, payload.value)
        kind = content.WhichOneof("kind")
        if kind == "round_opened":
            handle_round_opened(ctx, state, content.round_opened)
        elif kind == "round_settled":
            settled = content.round_settled
            prune_round(ctx, state, RoundId(settled.task, settled.round, settled.attempt))
        else:
            raise UnexpectedPacket("expected a round to open or to settle, got neither")
        return SUCCESS_ACK

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: channel_pb2.Packet,  # noqa: ARG002
        payload: channel_pb2.Payload,
        ack: bytes,
    ) -> None:
        """Note whether the hub took a checkpoint."""
        taken = ack == SUCCESS_ACK
        _record(ctx, state, payload, DeliveryStatus.ACKNOWLEDGED if taken else DeliveryStatus.REFUSED)

    def on_timeout(
        self,
        ctx: HostContext,
        state: HostState,
        packet: channel_pb2.Packet,  # noqa: ARG002
        payload: channel_pb2.Payload,
    ) -> None:
        """Note that a checkpoint did not reach the hub in time."""
        _record(ctx, state, payload, DeliveryStatus.TIMED_OUT)


def _check_format(payload: channel_pb2.Payload) -> None:
    got = (payload.source_port, payload.destination_port, payload.version, payload.encoding)
    expected = (HUB_PORT, SHARD_PORT, VERSION, ENCODING)
    if got != expected:
        raise UnexpectedPacket(f"expected a payload of {expected}, got {got}")


def _record(ctx: HostContext, state: HostState, payload: channel_pb2.Payload, status: DeliveryStatus) -> None:
    """Note what became of our own packet; its bytes were checked against its commitment."""
    content = packet_pb2.ShardPacket.FromString(payload.value)
    record_answer(ctx, state, content.checkpoint, status)

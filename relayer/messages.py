"""Building the messages that are submitted, from what was proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any as AnyMessage

from ibc.client_state import HEADER_URL
from ibc.identifiers import Height as IbcHeight
from ibc.identifiers import height_to_wire, parse_revision
from relayer.types import Duty
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx_pb2
from wire.ibc.core.channel.v2 import packet_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from relayer.actions import SignBatch, SubmitItem
    from relayer.types import BodyKey, ChainId
    from wire.gradchain.shard.v1 import query_pb2 as shard_pb2
    from wire.ibc.core.client.v1 import client_pb2


def build_batch(action: SignBatch, origin: ChainId, signer: str) -> list[Message]:
    """Return the messages of a batch: the headers first, then what is proven with the last of them.

    `signer` is the address that signs the transaction.
    """
    messages: list[Message] = [
        client_tx_pb2.MsgUpdateClient(
            client_id=action.lane.client,
            client_message=AnyMessage(type_url=HEADER_URL, value=header),
            signer=signer,
        )
        for header in action.headers
    ]
    height = height_to_wire(IbcHeight(parse_revision(origin), action.target_height))
    messages.extend(_build_item(item, height, signer) for item in action.items)
    return messages


def _build_item(item: SubmitItem, height: client_pb2.Height, signer: str) -> Message:
    packet = packet_pb2.Packet.FromString(item.packet_bytes)
    if item.duty is Duty.RECEIVE:
        return channel_tx_pb2.MsgRecvPacket(
            packet=packet, proof_commitment=item.proof, proof_height=height, signer=signer
        )
    if item.duty is Duty.ACKNOWLEDGE:
        return channel_tx_pb2.MsgAcknowledgement(
            packet=packet,
            acknowledgement=packet_pb2.Acknowledgement.FromString(item.acknowledgement),
            proof_acked=item.proof,
            proof_height=height,
            signer=signer,
        )
    return channel_tx_pb2.MsgTimeout(
        packet=packet, proof_unreceived=item.proof, proof_height=height, signer=signer
    )


def build_parts(
    key: BodyKey, parts: Sequence[shard_pb2.BodyPart], submitter: bytes
) -> hub_tx_pb2.MsgSubmitBody:
    """Return the message that delivers parts of a body."""
    return hub_tx_pb2.MsgSubmitBody(
        submitter=submitter,
        task=key.task,
        round=key.round,
        attempt=key.attempt,
        shard=key.shard.chain,
        parts=[hub_tx_pb2.DataPart(index=part.index, data=part.data, path=part.path) for part in parts],
    )

"""What the relayer asks about packets: those that an end has sent and that are still open, and single ones.

Everything here raises the errors of `ChainNodes.ask`, and `AnswerMalformed` for an answer that makes no sense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ibc.events import PacketEventKind
from relayer.blocks import find_key
from relayer.errors import AnswerMalformed
from relayer.events import ListedPacket, PacketStatusSeen, PendingListed, SentPacket
from relayer.queries import check_height
from relayer.types import MAX_STORED, NO_HEIGHT
from tx.codec import decode_canonical, encode
from tx.failures import TxError
from wire.gradchain.ibc.v1 import query_pb2 as ibc_pb2
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relayer.actions import ListPending, QueryPacket
    from relayer.nodes import ChainNodes, Node
    from relayer.types import Height, Link, LinkEnd

PAGE: Final = 256
"""Pending packets in one answer."""


async def list_pending(nodes: ChainNodes, end: LinkEnd, link: Link) -> tuple[SentPacket, ...]:
    """Return all packets that an end has sent and that are still open."""
    found: list[SentPacket] = []
    start = 1
    while start:
        page, start = await _list_page(nodes, end, link, start, NO_HEIGHT)
        found += page
    return tuple(found)


async def list_some_pending(
    nodes: ChainNodes, receiver: ChainNodes, link: Link, asked: ListPending
) -> PendingListed:
    """Return the next open packets that an end has sent, and what the receiver says of them."""
    end = asked.end
    page, following = await _list_page(nodes, end, link, asked.start, asked.least_height)
    if not page:
        return PendingListed(end, (), following)
    request = ibc_pb2.ListPacketStatusesRequest(
        client_id=asked.receiver.client, sequences=[sent.key.sequence for sent in page]
    )

    async def ask_one(node: Node) -> Sequence[ibc_pb2.GetPacketStatusResponse]:
        statuses = (await node.ibc.ListPacketStatuses(request, timeout=node.timeout_s)).statuses
        if len(statuses) != len(page):
            raise AnswerMalformed(f"expected {len(page)} statuses of packets, got {len(statuses)}")
        for status in statuses:
            _check_acknowledgement(status)
        return statuses

    statuses = await receiver.ask(ask_one)
    return PendingListed(
        end,
        tuple(
            ListedPacket(sent, status.received, status.acknowledgement)
            for sent, status in zip(page, statuses, strict=True)
        ),
        following,
    )


async def _list_page(
    nodes: ChainNodes, end: LinkEnd, link: Link, start: int, least: Height
) -> tuple[list[SentPacket], int]:
    """Return open packets from a sequence on, and the sequence at which the list goes on; 0 if it does not."""
    request = ibc_pb2.ListPendingPacketsRequest(
        client_id=end.client, start=start, limit=PAGE, least_height=least
    )
    answer = await nodes.ask(lambda node: node.ibc.ListPendingPackets(request, timeout=node.timeout_s))
    found: list[SentPacket] = []
    for pending in answer.packets:
        packet = pending.packet
        key = find_key(end.chain, PacketEventKind.SEND, packet, {end: link})
        if key is not None:
            found.append(
                SentPacket(key, encode(packet), packet.timeout_timestamp, check_height(pending.height))
            )
    if len(answer.packets) < PAGE:
        return found, 0
    following = answer.packets[-1].packet.sequence + 1
    if not start < following <= MAX_STORED:
        raise AnswerMalformed(f"expected packets of {end} from {start} on, got {following - 1}")
    return found, following


async def get_packet_status(source: ChainNodes, target: ChainNodes, asked: QueryPacket) -> PacketStatusSeen:
    """Return what both chains say of a packet."""
    key = asked.key
    sent = ibc_pb2.GetPacketStatusRequest(
        client_id=key.sender.client, sequence=key.sequence, least_height=asked.least_height
    )
    received = ibc_pb2.GetPacketStatusRequest(client_id=asked.receiver.client, sequence=key.sequence)

    async def ask_receiver(node: Node) -> ibc_pb2.GetPacketStatusResponse:
        answer = await node.ibc.GetPacketStatus(received, timeout=node.timeout_s)
        _check_acknowledgement(answer)
        return answer

    there = await target.ask(ask_receiver)
    # The sender last: a packet that ends in between is then not taken for one that is still open.
    here = await source.ask(lambda node: node.ibc.GetPacketStatus(sent, timeout=node.timeout_s))
    return PacketStatusSeen(
        key, committed=here.committed, received=there.received, acknowledgement=there.acknowledgement
    )


def _check_acknowledgement(status: ibc_pb2.GetPacketStatusResponse) -> None:
    """Check that an acknowledgement is one, if there is any: the journal keeps it, and proofs are made from it."""
    try:
        decode_canonical(packet_pb2.Acknowledgement, status.acknowledgement)
    except TxError as error:
        raise AnswerMalformed(f"acknowledgement: {error.message}") from error

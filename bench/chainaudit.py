"""What the blocks of a chain say about relayed packets: every event, and every message that was paid for."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.rpc import CometRpc
from ibc.events import PacketEventKind, packets_from_events
from localnet.homes import FIRST_CLIENT_ID
from tx.envelope import ParsedTx, parse_envelope
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx
from wire.ibc.core.client.v1 import tx_pb2 as client_tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.any_pb2 import Any as AnyMessage

    from abci_app.rpc_answers import Block, BlockResults, ExecutedTx
    from wire.ibc.core.channel.v2 import packet_pb2

_PACKET_MESSAGES: Final = {
    f"/{message.DESCRIPTOR.full_name}": (message, name)
    for message, name in (
        (channel_tx.MsgRecvPacket, "receive"),
        (channel_tx.MsgAcknowledgement, "acknowledge"),
        (channel_tx.MsgTimeout, "time out"),
    )
}
_RECEIVED: Final = frozenset({PacketEventKind.RECEIVE, PacketEventKind.WRITE_ACK})
_UPDATE: Final = f"/{client_tx.MsgUpdateClient.DESCRIPTOR.full_name}"


@dataclass(slots=True)
class ChainAudit:
    """All blocks of a chain, as far as they are about one of its clients.  Packets are named by their sequences."""

    client_id: str = FIRST_CLIENT_ID
    times_ns: dict[int, int] = field(default_factory=dict)
    """Time in each header."""
    events: dict[PacketEventKind, Counter[int]] = field(
        default_factory=lambda: {kind: Counter() for kind in PacketEventKind}
    )
    """How often each event was emitted for a packet."""
    heights: dict[tuple[PacketEventKind, int], int] = field(default_factory=dict)
    """Block of the last event of a packet."""
    messages: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often blocks hold a message about a packet, whether it did anything or not."""
    signers: Counter[str] = field(default_factory=Counter)
    """How many of these messages each address signed."""
    failed: list[str] = field(default_factory=list)
    """Why transactions in blocks failed, all of the chain."""
    failed_relays: Counter[str] = field(default_factory=Counter)
    """How many transactions with relayed messages failed, by their codes."""
    codes: dict[bytes, int] = field(default_factory=dict)
    """What became of every transaction of the chain, by its hash: 0 if it was executed."""
    relayed_txs: int = 0
    relayed_bytes: int = 0
    """Of transactions with relayed messages."""
    update_bytes: int = 0
    """Of the client updates in them."""
    proof_bytes: int = 0
    """Of the proofs of packets in them."""

    def committed_ns(self, height: int) -> int:
        """Return about when a block was committed: its time is in the next header.

        A block's own time is that at which the block before was voted for.
        """
        return self.times_ns.get(height + 1, self.times_ns[height])

    def count(self, kind: PacketEventKind) -> int:
        """Return how many packets have such an event."""
        return len(self.events[kind])

    def twice(self) -> list[tuple[str, int]]:
        """Return the messages about packets that more than one transaction in blocks carried."""
        return [key for key, times in self.messages.items() if times > 1]

    def count_redundant(self) -> int:
        """Return how many messages about packets came after another one about the same."""
        return sum(self.messages.values()) - len(self.messages)

    def add_block(self, block: Block, results: BlockResults) -> None:
        """Take in the next block."""
        height = block.header.height
        self.times_ns[height] = block.header.time_ns
        events = [event for tx in results.txs if tx.code == 0 for event in tx.events]
        for found in packets_from_events([*events, *results.events]):
            if _own_client(found.packet, is_sender=found.kind not in _RECEIVED) == self.client_id:
                self.events[found.kind][found.packet.sequence] += 1
                self.heights[found.kind, found.packet.sequence] = height
        self.failed += [f"{tx.codespace}/{tx.code} {tx.log}" for tx in results.txs if tx.code]
        for data, result in zip(block.txs, results.txs, strict=True):
            self._add_tx(data, result)

    def _add_tx(self, data: bytes, result: ExecutedTx) -> None:
        tx_hash = sha256(data).digest()
        # A replay fails; what counts is the one that was executed.
        self.codes[tx_hash] = min(self.codes.get(tx_hash, result.code), result.code)
        parsed = parse_envelope(data)
        if not isinstance(parsed, ParsedTx):
            return
        is_relayed = False
        for message in parsed.messages:
            is_relayed |= self._add_message(message)
        if is_relayed:
            self.relayed_txs += 1
            self.relayed_bytes += len(data)
            if result.code:
                self.failed_relays[f"{result.codespace}/{result.code}"] += 1

    def _add_message(self, message: AnyMessage) -> bool:
        if message.type_url == _UPDATE:
            if client_tx.MsgUpdateClient.FromString(message.value).client_id != self.client_id:
                return False
            self.update_bytes += len(message.value)
            return True
        known = _PACKET_MESSAGES.get(message.type_url)
        if known is None:
            return False
        message_class, name = known
        content = message_class.FromString(message.value)
        is_sender = not isinstance(content, channel_tx.MsgRecvPacket)
        if _own_client(content.packet, is_sender=is_sender) != self.client_id:
            return False
        self.messages[name, content.packet.sequence] += 1
        self.signers[content.signer] += 1
        match content:
            case channel_tx.MsgRecvPacket():
                self.proof_bytes += len(content.proof_commitment)
            case channel_tx.MsgAcknowledgement():
                self.proof_bytes += len(content.proof_acked)
            case channel_tx.MsgTimeout():
                self.proof_bytes += len(content.proof_unreceived)
        return True


def _own_client(packet: packet_pb2.Packet, *, is_sender: bool) -> str:
    """Return the client of the chain that sent, or has received, a packet."""
    return packet.source_client if is_sender else packet.destination_client


def audit_clients(rpc_url: str, client_ids: Sequence[str]) -> dict[str, ChainAudit]:
    """Read all blocks of a chain whose app has executed them, and return what they say about each client.

    Raises:
      AppError: the node cannot be asked.

    """
    audits = {client_id: ChainAudit(client_id) for client_id in client_ids}
    with CometRpc(rpc_url) as rpc:
        for height in range(1, rpc.abci_info().height + 1):
            block, results = rpc.block(height), rpc.block_results(height)
            for audit in audits.values():
                audit.add_block(block, results)
    return audits


def audit_chain(rpc_url: str) -> ChainAudit:
    """Read all blocks of a chain that has one client.

    Raises:
      AppError: the node cannot be asked.

    """
    return audit_clients(rpc_url, [FIRST_CLIENT_ID])[FIRST_CLIENT_ID]


def block_latencies(numbers: Sequence[int], here: ChainAudit, there: ChainAudit) -> list[float]:
    """Return how many blocks of the receiving chain each packet took: 1 if the next one held it."""
    heights = sorted(there.times_ns)
    committed = [there.committed_ns(height) for height in heights]
    found = []
    for number in numbers:
        sent_ns = here.committed_ns(here.heights[PacketEventKind.SEND, number])
        known = bisect_right(committed, sent_ns)
        before = heights[known - 1] if known else 0
        found.append(float(there.heights[PacketEventKind.RECEIVE, number] - before))
    return found

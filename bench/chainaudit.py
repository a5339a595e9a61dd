"""What the blocks of a chain say about relayed packets: every event, and every message that was paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from abci_app.rpc import CometRpc
from ibc.events import PacketEventKind, packets_from_events
from tx.envelope import ParsedTx, parse_envelope
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx
from wire.ibc.core.client.v1 import tx_pb2 as client_tx

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage

    from abci_app.rpc_answers import Block, BlockResults

_PACKET_MESSAGES: Final = {
    f"/{message.DESCRIPTOR.full_name}": (message, name)
    for message, name in (
        (channel_tx.MsgRecvPacket, "receive"),
        (channel_tx.MsgAcknowledgement, "acknowledge"),
        (channel_tx.MsgTimeout, "time out"),
    )
}
_UPDATE: Final = f"/{client_tx.MsgUpdateClient.DESCRIPTOR.full_name}"


@dataclass(slots=True)
class ChainAudit:
    """All blocks of a chain that has one client.  Packets are named by their sequences."""

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
    """Why transactions in blocks failed."""
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
            self.events[found.kind][found.packet.sequence] += 1
            self.heights[found.kind, found.packet.sequence] = height
        self.failed += [f"{tx.codespace}/{tx.code} {tx.log}" for tx in results.txs if tx.code]
        for tx in block.txs:
            self._add_tx(tx)

    def _add_tx(self, data: bytes) -> None:
        parsed = parse_envelope(data)
        if not isinstance(parsed, ParsedTx):
            return
        is_relayed = False
        for message in parsed.messages:
            is_relayed |= self._add_message(message)
        if is_relayed:
            self.relayed_txs += 1
            self.relayed_bytes += len(data)

    def _add_message(self, message: AnyMessage) -> bool:
        if message.type_url == _UPDATE:
            self.update_bytes += len(message.value)
            return True
        known = _PACKET_MESSAGES.get(message.type_url)
        if known is None:
            return False
        message_class, name = known
        content = message_class.FromString(message.value)
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


def audit_chain(rpc_url: str) -> ChainAudit:
    """Read all blocks of a chain whose app has executed them.

    Raises:
      AppError: the node cannot be asked.

    """
    audit = ChainAudit()
    with CometRpc(rpc_url) as rpc:
        for height in range(1, rpc.abci_info().height + 1):
            audit.add_block(rpc.block(height), rpc.block_results(height))
    return audit

"""A chain in memory that executes relayed packets by the rules of IBC v2, without cryptography.

What a proof shows is looked up in the history of the other chain at the height of the proof, so a relayer that proves
at the wrong height, or the wrong thing, is refused just as by a real chain.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.errors import TxReplayed
from ibc.errors import (
    ConsensusStateNotFound,
    ProofValueMismatch,
    RelayRedundant,
    TimeoutElapsed,
    TimeoutNotReached,
)
from relayer.bodywork import find_body
from relayer.events import (
    BlockSeen,
    FinishedPacket,
    HeadSeen,
    SentPacket,
    UpdatedClient,
    WrittenAck,
)
from relayer.policy import failure_of
from relayer.types import (
    NS_PER_SECOND,
    BodyKey,
    ChainId,
    ClientId,
    ClientView,
    Duty,
    Failure,
    Height,
    LinkEnd,
    PacketKey,
    TimeNs,
    TxHash,
)
from tx.errors import AppError
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from relayer.actions import SubmitItem

SUCCESS = packet_pb2.Acknowledgement(app_acknowledgements=[b"\x01"]).SerializeToString(deterministic=True)
START_NS = 1_700_000_000 * NS_PER_SECOND
TRUSTING_PERIOD_NS = 24 * 3600 * NS_PER_SECOND
KEPT_STATES = 64
"""Newest states that a node gives proofs of.  A chain checks proofs of any height that its client knows."""
FIRST = Height(1)


def make_packet(
    sender: LinkEnd,
    receiver: LinkEnd,
    sequence: int,
    timeout_s: int,
    checkpoint: fl_pb2.Checkpoint | None = None,
) -> bytes:
    """Return an encoded packet; with a checkpoint, one from a shard to the hub."""
    ports = ("fl.shard", "fl.hub") if checkpoint is not None else ("fl.hub", "fl.shard")
    value = fl_pb2.ShardPacket(checkpoint=checkpoint) if checkpoint is not None else fl_pb2.HubPacket()
    payload = packet_pb2.Payload(
        source_port=ports[0],
        destination_port=ports[1],
        version="gradchain-1",
        encoding="application/x-protobuf",
        value=value.SerializeToString(deterministic=True),
    )
    return packet_pb2.Packet(
        sequence=sequence,
        source_client=sender.client,
        destination_client=receiver.client,
        timeout_timestamp=timeout_s,
        payloads=[payload],
    ).SerializeToString(deterministic=True)


def packet_key(end: LinkEnd, packet_bytes: bytes) -> PacketKey:
    """Return the key of a packet that was sent over this end."""
    return PacketKey(end, packet_pb2.Packet.FromString(packet_bytes).sequence)


@dataclass
class IbcState:
    """What a chain can prove."""

    commitments: dict[PacketKey, bytes] = field(default_factory=dict)
    receipts: set[PacketKey] = field(default_factory=set)
    acks: dict[PacketKey, bytes] = field(default_factory=dict)


@dataclass
class SimClient:
    """A light client: which heights of which chain it knows."""

    origin: LinkEnd
    heights: dict[Height, TimeNs]
    frozen: bool = False

    @property
    def latest(self) -> Height:
        return max(self.heights)


@dataclass(frozen=True)
class PacketTx:
    """A transaction with relayed packets."""

    client: ClientId
    target_height: Height
    header_heights: tuple[Height, ...]
    items: tuple[SubmitItem, ...]
    nonce: int


@dataclass(frozen=True)
class PartsTx:
    """A transaction with parts of a body."""

    key: BodyKey
    indices: tuple[int, ...]
    nonce: int


@dataclass
class SimChain:
    """One chain."""

    chain_id: ChainId
    height: Height = FIRST
    times: dict[Height, TimeNs] = field(default_factory=lambda: {FIRST: TimeNs(START_NS)})
    state: IbcState = field(default_factory=IbcState)
    history: dict[Height, IbcState] = field(default_factory=dict)
    clients: dict[ClientId, SimClient] = field(default_factory=dict)
    peers: dict[ChainId, SimChain] = field(default_factory=dict)
    mempool: dict[TxHash, PacketTx | PartsTx] = field(default_factory=dict)
    outcomes: dict[TxHash, tuple[Height, Failure | None]] = field(default_factory=dict)
    forgotten: set[TxHash] = field(default_factory=set)
    """Transactions whose outcomes only the blocks tell, since the nodes were restarted."""
    executed: set[TxHash] = field(default_factory=set)
    blocks: dict[Height, BlockSeen] = field(default_factory=dict)
    sent: list[SentPacket] = field(default_factory=list)
    sequences: dict[ClientId, int] = field(default_factory=dict)
    bodies: dict[BodyKey, set[int]] = field(default_factory=dict)
    received: list[PacketKey] = field(default_factory=list)
    ended: list[tuple[PacketKey, bool]] = field(default_factory=list)
    refused_packets: dict[PacketKey, AppError] = field(default_factory=dict)
    noops: int = 0
    refreshes: int = 0
    parts_twice: int = 0
    queue: list[SentPacket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history[self.height] = deepcopy(self.state)

    # --- what the chain does --------------------------------------------------------------------------------------

    def send(
        self, end: LinkEnd, receiver: LinkEnd, timeout_s: int, checkpoint: fl_pb2.Checkpoint | None = None
    ) -> PacketKey:
        """Let the next block send a packet."""
        sequence = self.sequences.get(end.client, 0) + 1
        self.sequences[end.client] = sequence
        packet = make_packet(end, receiver, sequence, timeout_s, checkpoint)
        key = PacketKey(end, sequence)
        self.queue.append(SentPacket(key, packet, timeout_s, Height(0)))
        return key

    def make_block(self, time_ns: int) -> Height:
        """Execute what waits."""
        height = Height(self.height + 1)
        self._block = _BlockEvents()
        self._now_ns = max(time_ns, self.times[self.height] + 1)
        self.times[height] = TimeNs(self._now_ns)
        for sent in self.queue:
            self.state.commitments[sent.key] = sent.packet_bytes
            self._block.sent.append(SentPacket(sent.key, sent.packet_bytes, sent.timeout_s, height))
        self.sent += self._block.sent
        self.queue = []
        for tx_hash, tx in list(self.mempool.items()):
            self.outcomes[tx_hash] = (height, self._execute(tx))
            self.executed.add(tx_hash)
        self.mempool.clear()
        block = self._block
        self.blocks[height] = BlockSeen(
            self.chain_id,
            height,
            tuple(block.sent),
            tuple(block.written),
            tuple(block.finished),
            tuple(block.updated),
        )
        self.height = height
        self.history[height] = deepcopy(self.state)
        return height

    def _execute(self, tx: PacketTx | PartsTx) -> Failure | None:
        before = deepcopy((self.state, self.clients, self.bodies))
        marks = (len(self.received), len(self.ended), self.noops, self.refreshes, self.parts_twice)
        events = deepcopy(self._block)
        try:
            if isinstance(tx, PartsTx):
                self._add_parts(tx)
            else:
                self._relay(tx)
        except AppError as error:
            self.state, self.clients, self.bodies = before
            self._block = events
            del self.received[marks[0] :], self.ended[marks[1] :]
            self.noops, self.refreshes, self.parts_twice = marks[2:]
            return failure_of(error)
        return None

    def _add_parts(self, tx: PartsTx) -> None:
        missing = self.bodies[tx.key]
        self.parts_twice += len(set(tx.indices) - missing)
        missing -= set(tx.indices)

    def _relay(self, tx: PacketTx) -> None:
        client = self.clients[tx.client]
        for height in tx.header_heights:
            if height not in client.heights:
                client.heights[height] = self.peers[client.origin.chain].times[height]
                self._block.updated.append(UpdatedClient(tx.client, height))
        if not tx.items:
            self.refreshes += 1
        end = LinkEnd(self.chain_id, tx.client)
        for item in tx.items:
            if tx.target_height not in client.heights:
                raise ConsensusStateNotFound(f"no height {tx.target_height}")
            self._relay_item(end, client, tx.target_height, item)

    def _relay_item(self, end: LinkEnd, client: SimClient, target: Height, item: SubmitItem) -> None:
        peer = self.peers[client.origin.chain]
        proven = peer.history[Height(target - 1)]
        packet = packet_pb2.Packet.FromString(item.packet_bytes)
        if item.duty is Duty.RECEIVE:
            self._receive(PacketKey(client.origin, packet.sequence), item.packet_bytes, packet, proven)
            return
        key = PacketKey(end, packet.sequence)
        if self.state.commitments.get(key) != item.packet_bytes:
            if key in self.state.commitments:
                raise ProofValueMismatch("another packet")
            self.noops += 1
            return
        if item.duty is Duty.ACKNOWLEDGE:
            if proven.acks.get(key) != item.acknowledgement:
                raise ProofValueMismatch("no such acknowledgement")
        else:
            if client.heights[target] < packet.timeout_timestamp * NS_PER_SECOND:
                raise TimeoutNotReached("too early")
            if key in proven.receipts:
                raise ProofValueMismatch("it was received")
        del self.state.commitments[key]
        self._block.finished.append(FinishedPacket(key, timed_out=item.duty is Duty.TIMEOUT))
        self.ended.append((key, item.duty is Duty.TIMEOUT))

    def _receive(
        self, key: PacketKey, packet_bytes: bytes, packet: packet_pb2.Packet, proven: IbcState
    ) -> None:
        if key in self.state.receipts:
            self.noops += 1
            return
        if key in self.refused_packets:
            raise self.refused_packets[key]
        if self._now_ns >= packet.timeout_timestamp * NS_PER_SECOND:
            raise TimeoutElapsed("too late")
        if proven.commitments.get(key) != packet_bytes:
            raise ProofValueMismatch("it was not sent")
        self.state.receipts.add(key)
        self.state.acks[key] = SUCCESS
        self.received.append(key)
        self._block.written.append(WrittenAck(key, packet_bytes, packet.timeout_timestamp, SUCCESS))
        wanted = find_body(key.sender, packet_bytes, SUCCESS)
        if wanted is not None:
            self.bodies[wanted.key] = set(range(wanted.parts))

    # --- what its nodes answer ------------------------------------------------------------------------------------

    def check_tx(self, tx_hash: TxHash, tx: PacketTx | PartsTx) -> Failure | None:
        """Take a transaction into the mempool, or say why not."""
        if tx_hash in self.executed or tx_hash in self.mempool:
            return failure_of(TxReplayed("seen before"))
        if isinstance(tx, PacketTx) and tx.items and all(self._is_redundant(tx, item) for item in tx.items):
            return failure_of(RelayRedundant("all relayed before"))
        self.mempool[tx_hash] = tx
        return None

    def _is_redundant(self, tx: PacketTx, item: SubmitItem) -> bool:
        sequence = packet_pb2.Packet.FromString(item.packet_bytes).sequence
        if item.duty is Duty.RECEIVE:
            return PacketKey(self.clients[tx.client].origin, sequence) in self.state.receipts
        return PacketKey(LinkEnd(self.chain_id, tx.client), sequence) not in self.state.commitments

    def view(self, client_id: ClientId) -> ClientView:
        """Return what a client knows."""
        client = self.clients[client_id]
        return ClientView(client.latest, client.heights[client.latest], TRUSTING_PERIOD_NS)

    def head(self) -> HeadSeen:
        """Return the news of the newest block."""
        return HeadSeen(self.chain_id, self.height, self.times[self.height])


@dataclass
class _BlockEvents:
    sent: list[SentPacket] = field(default_factory=list)
    written: list[WrittenAck] = field(default_factory=list)
    finished: list[FinishedPacket] = field(default_factory=list)
    updated: list[UpdatedClient] = field(default_factory=list)

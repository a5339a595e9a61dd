"""What the relayer is told: blocks of the chains, and the result of every action that it asked for.

All are values.  An event may come twice, late, or never: the machine ignores what it no longer waits for, and gives
up waiting after a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relayer.types import (
        BatchId,
        BodyKey,
        ChainId,
        ClientId,
        ClientView,
        Failure,
        GroupId,
        Height,
        Link,
        LinkEnd,
        PacketKey,
        TimeNs,
        TxHash,
    )


# --- chains ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkReady:
    """Both clients of a link exist and are tied to each other."""

    link: Link
    hub_client: ClientView
    shard_client: ClientView


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """A chain has a new newest block."""

    chain: ChainId
    height: Height
    time_ns: TimeNs
    """Of its header."""
    last_block_hash: bytes = b""
    """Hash of the block below; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet that a block sent, or that is listed as pending."""

    key: PacketKey
    packet_bytes: bytes
    timeout_s: int
    height: Height


@dataclass(frozen=True, slots=True)
class WrittenAck:
    """An acknowledgement that a block wrote, together with its packet."""

    key: PacketKey
    packet_bytes: bytes
    timeout_s: int
    acknowledgement: bytes


@dataclass(frozen=True, slots=True)
class FinishedPacket:
    """The sender's chain dropped the commitment: acknowledged, or timed out."""

    key: PacketKey
    timed_out: bool


@dataclass(frozen=True, slots=True)
class UpdatedClient:
    """A light client was shown a header."""

    client: ClientId
    height: Height


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """All that a block holds for relayers.  Blocks of a chain come in order, without gaps."""

    chain: ChainId
    height: Height
    sent: tuple[SentPacket, ...] = ()
    written: tuple[WrittenAck, ...] = ()
    finished: tuple[FinishedPacket, ...] = ()
    updated: tuple[UpdatedClient, ...] = ()


@dataclass(frozen=True, slots=True)
class BlocksSkipped:
    """The results of the blocks up to this height cannot be had; what they sent is found by listing."""

    chain: ChainId
    height: Height


# --- answers to queries ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """State of the light client at an end."""

    end: LinkEnd
    view: ClientView


@dataclass(frozen=True, slots=True)
class ClientUnknown:
    """The light client at an end could not be read."""

    end: LinkEnd
    failure: Failure


@dataclass(frozen=True, slots=True)
class ListedPacket:
    """An open packet, and what the receiver's nodes say of it; not proven."""

    sent: SentPacket
    received: bool = False
    acknowledgement: bytes = b""
    """Empty if none was written."""


@dataclass(frozen=True, slots=True)
class PendingListed:
    """Some packets that an end has sent and that are neither acknowledged nor timed out, in order."""

    end: LinkEnd
    packets: tuple[ListedPacket, ...]
    next_sequence: int = 0
    """Where the list goes on; 0 if this was the end of it."""


@dataclass(frozen=True, slots=True)
class PendingUnknown:
    """The pending packets of an end could not be listed."""

    end: LinkEnd
    failure: Failure


@dataclass(frozen=True, slots=True)
class PacketStatusSeen:
    """What the nodes of both chains say of a packet; not proven."""

    key: PacketKey
    committed: bool
    """The sender still waits for its end."""
    received: bool
    acknowledgement: bytes
    """Empty if none was written."""


@dataclass(frozen=True, slots=True)
class PacketStatusUnknown:
    """The nodes could not be asked about a packet."""

    key: PacketKey
    failure: Failure


# --- batches ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemProved:
    """The proof that a packet's duty needs, verified."""

    key: PacketKey
    proof: bytes


@dataclass(frozen=True, slots=True)
class ItemAbsent:
    """Proven: what was to be shown is not so.

    The commitment is gone, the acknowledgement is not there yet, or the packet was received after all.
    """

    key: PacketKey


@dataclass(frozen=True, slots=True)
class ItemUnproved:
    """The node's proof does not verify, or shows another value."""

    key: PacketKey
    failure: Failure


@dataclass(frozen=True, slots=True)
class BatchProved:
    """Header and proofs of a batch, verified."""

    batch: BatchId
    headers: tuple[bytes, ...]
    """Encoded client messages that lead the client to the batch's height; empty if it knows the height."""
    header_time_ns: TimeNs
    items: tuple[ItemProved | ItemAbsent | ItemUnproved, ...]


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """A batch could not be proved or signed."""

    batch: BatchId
    failure: Failure


@dataclass(frozen=True, slots=True)
class BatchSigned:
    """The transaction of a batch, ready to be sent."""

    batch: BatchId
    tx_hash: TxHash
    tx_bytes: bytes
    expires_at_ns: TimeNs


# --- transactions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TxAccepted:
    """A node took the transaction into its mempool."""

    tx_hash: TxHash


@dataclass(frozen=True, slots=True)
class TxRefused:
    """A node's CheckTx refused the transaction."""

    tx_hash: TxHash
    failure: Failure


@dataclass(frozen=True, slots=True)
class TxUnsent:
    """No node answered: the transaction may or may not have arrived."""

    tx_hash: TxHash
    failure: Failure


@dataclass(frozen=True, slots=True)
class TxIncluded:
    """A block holds the transaction."""

    tx_hash: TxHash
    height: Height
    failure: Failure | None
    """None if it was executed."""


@dataclass(frozen=True, slots=True)
class TxUnknown:
    """No node knows the outcome of the transaction, or none could be asked."""

    tx_hash: TxHash
    asked: bool
    """A node answered that it has no outcome."""


# --- bodies ----------------------------------------------------------------------------------------------------------


class BodyNeed(Enum):
    """What the hub still wants of a body."""

    UNKNOWN = "unknown"
    """The hub does not know the checkpoint yet."""
    PARTS = "parts"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class BodyWanted:
    """A checkpoint was found whose body the hub lacks."""

    key: BodyKey
    body_root: bytes
    parts: int


@dataclass(frozen=True, slots=True)
class CheckpointSeen:
    """What the hub still lacks of a body."""

    key: BodyKey
    need: BodyNeed
    status: str
    """The hub's name for the state of the shard in the round, for people."""
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointUnknown:
    """The hub could not be asked about a checkpoint."""

    key: BodyKey
    failure: Failure


@dataclass(frozen=True, slots=True)
class PartsSigned:
    """A transaction that carries parts of a body, ready to be sent."""

    key: BodyKey
    group: GroupId
    tx_hash: TxHash
    tx_bytes: bytes = field(repr=False)
    expires_at_ns: TimeNs


@dataclass(frozen=True, slots=True)
class PartsFailed:
    """Parts of a body could not be fetched, or do not match the checkpoint."""

    key: BodyKey
    group: GroupId
    failure: Failure
    told: BodyWanted | None = None
    """What the shard's nodes say of the body now, if the parts do not match what they said before."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A time has come that the machine asked to be woken at."""


ChainEvent = (
    HeadSeen
    | BlockSeen
    | BlocksSkipped
    | ClientSeen
    | ClientUnknown
    | PendingListed
    | PendingUnknown
    | PacketStatusSeen
    | PacketStatusUnknown
)
"""What the chains are like."""

BatchEvent = BatchProved | BatchFailed | BatchSigned
TxEvent = TxAccepted | TxRefused | TxUnsent | TxIncluded | TxUnknown
BodyEvent = BodyWanted | CheckpointSeen | CheckpointUnknown | PartsSigned | PartsFailed

RelayEvent = LinkReady | ChainEvent | BatchEvent | TxEvent | BodyEvent | Tick

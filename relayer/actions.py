"""What the relayer wants done.

Journal actions come true together, durably, before any other action of the same turn is started.  Every other
action is answered by an event, also when it fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relayer.types import NO_HEIGHT

if TYPE_CHECKING:
    from relayer.types import (
        BatchId,
        BodyKey,
        BodyRecord,
        ChainId,
        Duty,
        Failure,
        GroupId,
        Height,
        LinkEnd,
        PacketKey,
        PacketRecord,
        TimeNs,
        TxHash,
        TxRecord,
    )


# --- journal ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutCursor:
    """Remember that all blocks of a chain up to this height were read."""

    chain: ChainId
    height: Height


@dataclass(frozen=True, slots=True)
class PutPacket:
    """Remember what is known of a packet."""

    record: PacketRecord


@dataclass(frozen=True, slots=True)
class PutTx:
    """Remember a transaction."""

    record: TxRecord


@dataclass(frozen=True, slots=True)
class PutBody:
    """Remember a body."""

    record: BodyRecord


# --- queries ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueryClient:
    """Read the light client at an end."""

    end: LinkEnd


@dataclass(frozen=True, slots=True)
class ListPending:
    """List open packets that an end has sent, from a sequence on, as many as come in one answer."""

    end: LinkEnd
    receiver: LinkEnd
    start: int = 1
    least_height: Height = NO_HEIGHT
    """The sender's chain was seen to be this far; a node that is not would hide what was sent meanwhile."""


@dataclass(frozen=True, slots=True)
class QueryPacket:
    """Ask both chains about a packet."""

    key: PacketKey
    receiver: LinkEnd
    least_height: Height = NO_HEIGHT
    """The sender's chain was seen to be this far; for a node that is not, the packet may not have been sent."""


@dataclass(frozen=True, slots=True)
class QueryCheckpoint:
    """Ask the hub what it lacks of a body."""

    key: BodyKey
    hub: LinkEnd


@dataclass(frozen=True, slots=True)
class LookUpTx:
    """Ask what became of a transaction."""

    chain: ChainId
    tx_hash: TxHash
    since_ns: TimeNs | None = None
    """If nodes know of no outcome, look into the blocks since then; None: do not."""


# --- work ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """A packet, and what has to be shown of it."""

    key: PacketKey
    duty: Duty
    packet_bytes: bytes
    acknowledgement: bytes


@dataclass(frozen=True, slots=True)
class ProveBatch:
    """Fetch and verify a header of the origin, and proofs against it, for the client at the lane's end."""

    batch: BatchId
    lane: LinkEnd
    origin: LinkEnd
    target_height: Height
    """Height of the header; it commits to the state of the block below."""
    trusted_height: Height
    """Height that the client knows, to start from; equal to the target if no header is needed."""
    items: tuple[ProofRequest, ...]


@dataclass(frozen=True, slots=True)
class SubmitItem:
    """A packet with the proof that its duty needs."""

    duty: Duty
    packet_bytes: bytes
    acknowledgement: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class SignBatch:
    """Build and sign the transaction of a batch."""

    batch: BatchId
    lane: LinkEnd
    target_height: Height
    headers: tuple[bytes, ...]
    items: tuple[SubmitItem, ...]


@dataclass(frozen=True, slots=True)
class BroadcastTx:
    """Hand a transaction to a chain."""

    chain: ChainId
    tx_hash: TxHash
    tx_bytes: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignParts:
    """Fetch parts of a body from the shard, check them, and sign the transaction that carries them to the hub."""

    key: BodyKey
    group: GroupId
    hub: LinkEnd
    body_root: bytes
    parts: int
    """Number of parts of the whole body."""
    indices: tuple[int, ...]


# --- notices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaneBlocked:
    """Tell people that nothing can be submitted to an end for now."""

    end: LinkEnd
    failure: Failure


@dataclass(frozen=True, slots=True)
class LaneFreed:
    """Tell people that a blocked end works again."""

    end: LinkEnd


JournalAction = PutCursor | PutPacket | PutTx | PutBody
EffectAction = (
    QueryClient
    | ListPending
    | QueryPacket
    | QueryCheckpoint
    | LookUpTx
    | ProveBatch
    | SignBatch
    | BroadcastTx
    | SignParts
)
NoticeAction = LaneBlocked | LaneFreed
RelayAction = JournalAction | EffectAction | NoticeAction

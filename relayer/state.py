"""What the machine keeps in memory, and one turn of it.

The state holds only what the journal and the chains can rebuild.  All changes are made within a `Turn`, which
collects the actions that follow from one event.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from relayer.actions import PutPacket
from relayer.types import NO_HEIGHT, NO_TIME, ChainId, Duty, Height, LinkEnd, PacketKey, Step, TimeNs

if TYPE_CHECKING:
    from relayer.actions import RelayAction
    from relayer.types import (
        BatchId,
        BodyKey,
        BodyRecord,
        ClientView,
        Failure,
        GroupId,
        Link,
        PacketRecord,
        TxHash,
        TxRecord,
    )

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
KEPT_ENDED: Final = 8_192
KEPT_HASHES: Final = 256


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """What an operator may tune.  The defaults suit a hub with tens of shards."""

    max_batch_packets: int = 48
    """Packets in one transaction; the rest of the chain's limit is left to client updates."""
    max_batch_bytes: int = 2 * 1024 * 1024
    """Estimated bytes of packets and proofs in one transaction."""
    max_in_flight: int = 8
    """Batches of a lane that may be under way at once."""
    live_in_flight: int = 5
    """Of these, how many are left to packets that are new: a backlog never takes them."""
    yield_ns: int = 2 * SECOND_NS
    """For so long after new packets went to a chain, each link's backlog has one batch at a time under way to it, so
    that the chain has time for the next ones when they come."""
    yield_in_flight: int = 3
    """Batches of backlog that all links together may have under way to a chain meanwhile; the links take turns."""
    max_batches: int = 32
    """Batches that may be under way over all links; each lane may have one of new packets in any case, and one of its
    backlog unless that yields.  A batch holds its packets with their proofs twice, and its transaction."""
    backlog_blocks: int = 16
    """What a block more than so far below the newest one has sent is backlog, as is what was sent before the start."""
    max_open: int = 8_192
    """Packets that are worked on at once, over all links.  The others of a backlog stay where they are, on the
    chains, and are listed when there is room."""
    least_open: int = 64
    """Packets of one sender that are taken up in any case, however many links there are."""
    most_open: int = 2_048
    """Packets of one sender above which even new ones are left to be listed later."""
    max_parts: int = 48
    """Parts of a body in one transaction: what the hub takes in one message."""
    max_part_groups: int = 4
    """Transactions with parts of one body that may be under way at once."""
    reuse_blocks: int = 16
    """A header that the client knows is proven against again while it is at most this far below the newest one.
    Nodes keep the states of recent heights only."""
    first_retry_ns: int = 200 * MILLISECOND_NS
    max_retry_ns: int = 30 * SECOND_NS
    answer_timeout_ns: int = 60 * SECOND_NS
    """After this long without an answer an action counts as lost."""
    resend_after_ns: int = 10 * SECOND_NS
    """After this long in no block the same bytes are sent again: a node that restarts forgets its mempool."""
    refresh_numerator: int = 1
    refresh_denominator: int = 3
    """Share of the trusting period after which a client is refreshed even if there is nothing to prove."""
    relayers: int = 1
    """Relayers that share the work between the same chains."""
    position: int = 0
    """Which of them this one is, from 0."""
    grace_ns: int = 3 * SECOND_NS
    """What another one leads is taken over when it is still to be done after so long."""
    proof_bytes: int = 4096
    """Estimate of one proof."""


@dataclass(slots=True)
class ChainState:
    """How far a chain is known."""

    head: Height = NO_HEIGHT
    """Newest block whose header can be fetched."""
    start: Height = NO_HEIGHT
    """The first that was."""
    head_time_ns: TimeNs = NO_TIME
    cursor: Height = NO_HEIGHT
    """All blocks up to here were read."""
    hashes: OrderedDict[Height, bytes] = field(default_factory=OrderedDict)
    """Of the newest blocks."""
    timeouts: list[tuple[int, PacketKey]] = field(default_factory=list)
    """Heap of (timeout in seconds, packet) of packets that wait to be received here."""
    live_ns: TimeNs = NO_TIME
    """When new packets last set out to here."""
    turns: dict[LinkEnd, None] = field(default_factory=dict)
    """Lanes to here whose backlog waits for its turn, the next one first."""


class BatchStage(Enum):
    """What a batch waits for."""

    PROVING = "proving"
    SIGNING = "signing"
    SENDING = "sending"


@dataclass(slots=True)
class Batch:
    """Packets that travel together to one end."""

    batch_id: BatchId
    lane: LinkEnd
    target_height: Height
    is_update: bool
    """It brings the client to the target height."""
    items: dict[PacketKey, None]
    """Packets that still depend on it, in order.  Events of the chains may take them out at any time."""
    proofs: dict[PacketKey, bytes]
    stage: BatchStage
    deadline_ns: TimeNs
    """Until when proving or signing must be answered."""
    is_refresh: bool = False
    """It was made to keep the client alive and carries no packet."""
    is_backlog: bool = False
    """Its packets had waited before the relayer got to know them."""
    header_time_ns: TimeNs = NO_TIME
    tx_hash: TxHash | None = None


@dataclass(slots=True)
class Lane:
    """All that is on its way to one end of a link."""

    end: LinkEnd
    origin: LinkEnd
    client: ClientView
    waiting: dict[PacketKey, None] = field(default_factory=dict)
    """Packets to be submitted here that are in no batch, in order of arrival."""
    live: dict[PacketKey, None] = field(default_factory=dict)
    """Those of them that are no backlog."""
    batches: dict[BatchId, None] = field(default_factory=dict)
    blocked: Failure | None = None
    retry_at_ns: TimeNs = NO_TIME
    attempts: int = 0
    """Failures in a row that concern the lane as a whole."""
    packet_limit: int = 0
    """Packets in one transaction, fewer after one was too large; 0 means the option's value."""
    reuse_from: Height = NO_HEIGHT
    """Heights below are not proven against again: no node keeps their state."""
    refresh_wake_ns: TimeNs = NO_TIME
    """Time of the timer for the next refresh."""
    refresh_not_before_ns: TimeNs = NO_TIME
    refresh_attempts: int = 0
    client_asked_ns: TimeNs | None = None
    """When the client was asked for; None if no answer is awaited."""
    pending_asked_ns: TimeNs | None = None
    """When the packets that this end has sent were asked for."""
    pending_from: int = 0
    """Sequence from which on they were asked for."""
    pending_next: int = 0
    """Sequence from which on they have still to be listed; 0 if nothing is left to ask for."""
    open: int = 0
    """Packets that this end has sent and that are not done."""
    refused: int = 0
    """Those of them that are refused: nothing is done for them."""
    pending_retry_ns: TimeNs = NO_TIME
    pending_attempts: int = 0


@dataclass(slots=True)
class TrackedTx:
    """A transaction whose fate is not known yet."""

    tx_hash: TxHash
    chain: ChainId
    tx_bytes: bytes
    expires_at_ns: TimeNs
    record: TxRecord | None
    """None for body parts, which are not kept in the journal: what is missing can be asked."""
    batch: BatchId | None = None
    body: tuple[BodyKey, GroupId] | None = None
    accepted: bool = False
    included_at: Height | None = None
    sent_ns: TimeNs = NO_TIME
    asked_ns: TimeNs | None = None
    """When its outcome was asked for; None if no answer is awaited."""
    asked_after_expiry: bool = False
    is_replay: bool = False
    """The chain says that it has these bytes.  A node that was restarted knows of no outcome, so blocks must tell."""
    attempts: int = 0
    retry_at_ns: TimeNs = NO_TIME


@dataclass(slots=True)
class BodyWork:
    """A body on its way to the hub."""

    record: BodyRecord
    missing: dict[int, None] | None = None
    """Parts that the hub lacks and that are in no group; None until it was asked."""
    groups: dict[GroupId, tuple[int, ...]] = field(default_factory=dict)
    group_deadlines: dict[GroupId, TimeNs] = field(default_factory=dict)
    """Of groups that are being fetched and signed."""
    asked_ns: TimeNs | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What the journal held when the relayer was started."""

    cursors: dict[ChainId, Height] = field(default_factory=dict)
    packets: tuple[PacketRecord, ...] = ()
    """Those that are not done."""
    txs: tuple[TxRecord, ...] = ()
    """Those that are pending."""
    bodies: tuple[BodyRecord, ...] = ()
    """Those that are not done."""


def _is_refused(record: PacketRecord | None) -> bool:
    return record is not None and record.step is Step.REFUSED


@dataclass(slots=True)
class RelayState:
    """Everything that the machine knows."""

    options: RelayOptions
    restored: Restored = field(default_factory=Restored)
    """Taken over link by link, as the links become ready."""
    links: dict[LinkEnd, Link] = field(default_factory=dict)
    """Every link, under both of its ends."""
    chains: dict[ChainId, ChainState] = field(default_factory=dict)
    lanes: dict[LinkEnd, Lane] = field(default_factory=dict)
    packets: dict[PacketKey, PacketRecord] = field(default_factory=dict)
    """Packets that are not done."""
    backlog: set[PacketKey] = field(default_factory=set)
    """Those of them that had waited before the relayer got to know them: new ones go first."""
    ended: OrderedDict[PacketKey, None] = field(default_factory=OrderedDict)
    """Packets that ended last.  A list that was made before shows them as open."""
    received_from: dict[PacketKey, Height] = field(default_factory=dict)
    """From which height on packets that have expired since the start could be received."""
    turns: dict[PacketKey, TimeNs] = field(default_factory=dict)
    """From when on a packet's present duty is this relayer's."""
    batch_of: dict[PacketKey, BatchId] = field(default_factory=dict)
    queries: dict[PacketKey, TimeNs] = field(default_factory=dict)
    """Packets that the chains are being asked about, with the time of the question."""
    batches: dict[BatchId, Batch] = field(default_factory=dict)
    txs: dict[TxHash, TrackedTx] = field(default_factory=dict)
    bodies: dict[BodyKey, BodyWork] = field(default_factory=dict)
    next_number: int = 1
    """For batches and groups."""
    timers: list[int] = field(default_factory=list)
    """Heap of times at which something may have to be done."""
    dirty: dict[LinkEnd, None] = field(default_factory=dict)
    """Lanes to look at before the turn ends."""
    dirty_bodies: dict[BodyKey, None] = field(default_factory=dict)

    def keep(self, record: PacketRecord) -> None:
        """Hold a packet, for the first time or with other content."""
        lane, known = self.lanes[record.key.sender], self.packets.get(record.key)
        lane.open += known is None
        lane.refused += _is_refused(record) - _is_refused(known)
        self.packets[record.key] = record

    def forget(self, key: PacketKey) -> None:
        """Drop a packet that has ended."""
        lane, known = self.lanes[key.sender], self.packets.pop(key, None)
        lane.open -= known is not None
        lane.refused -= _is_refused(known)
        self.backlog.discard(key)
        self.turns.pop(key, None)
        self.received_from.pop(key, None)
        self.ended[key] = None
        while len(self.ended) > KEPT_ENDED:
            self.ended.popitem(last=False)

    def chain(self, chain_id: ChainId) -> ChainState:
        """Return the chain's state, a blank one at first."""
        return self.chains.setdefault(chain_id, ChainState())

    def has_room(self, lane: Lane) -> bool:
        """Tell whether more of the backlog that a lane's end has sent can be taken up."""
        options = self.options
        share = max(options.least_open, options.max_open // max(1, len(self.lanes)))
        # The other half is left to packets that are new.
        worked_on = lane.open - lane.refused
        return worked_on < min(share, options.most_open // 2) and lane.open < options.most_open

    def lane_of(self, record: PacketRecord) -> Lane:
        """Return the lane in which a packet's present duty is done."""
        sender = record.key.sender
        end = self.links[sender].opposite(sender) if record.duty is Duty.RECEIVE else sender
        return self.lanes[end]

    def destination(self, key: PacketKey) -> LinkEnd | None:
        """Return the end that receives a packet, or None while its link is not ready."""
        link = self.links.get(key.sender)
        return None if link is None else link.opposite(key.sender)


@dataclass(slots=True)
class Turn:
    """One call of the machine: its time, and the actions collected so far."""

    state: RelayState
    now_ns: TimeNs
    actions: list[RelayAction] = field(default_factory=list)

    def emit(self, action: RelayAction) -> None:
        """Add an action."""
        self.actions.append(action)

    def wake_at(self, time_ns: int) -> None:
        """Have the machine woken then."""
        heapq.heappush(self.state.timers, time_ns)

    def put(self, record: PacketRecord) -> PacketRecord:
        """Keep a packet's new record, in memory and in the journal."""
        if record.changed_ns != self.now_ns:
            record = replace(record, changed_ns=self.now_ns)
        if record.step is Step.DONE:
            self.state.forget(record.key)
        else:
            self.state.keep(record)
        self.emit(PutPacket(record))
        return record

    def retry_at(self, seed: object, attempts: int) -> TimeNs:
        """Return when to try again after that many failures, and have the machine woken then.

        The pause doubles up to a cap.  Up to a quarter is taken off by a hash of what is retried, so that many
        packets that failed together do not all come back at the same moment.
        """
        options = self.state.options
        pause = min(options.max_retry_ns, options.first_retry_ns << min(max(attempts - 1, 0), 30))
        digest = sha256(f"{seed}/{attempts}".encode()).digest()
        pause -= pause * digest[0] // 1024
        time_ns = TimeNs(self.now_ns + pause)
        self.wake_at(time_ns)
        return time_ns

    def next_number(self) -> int:
        """Return a number that no batch and no group had before."""
        number = self.state.next_number
        self.state.next_number = number + 1
        return number

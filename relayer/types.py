"""The words of the relayer: chains, links, and what it knows of each packet, transaction and body.

A *link* ties the hub to one shard.  Its two *ends* are a chain together with the light client that this chain keeps
of the other one.  A packet is named by the end that sent it and its number there.  Everything that has to be
submitted to an end travels in its *lane*: a packet that the other end sent, and what comes back of the packets that
this end sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

ChainId = NewType("ChainId", str)
ClientId = NewType("ClientId", str)
Height = NewType("Height", int)
"""Height of a block.  Zero means unknown."""
TimeNs = NewType("TimeNs", int)
"""Unix nanoseconds."""
TxHash = NewType("TxHash", bytes)
"""sha256 of a transaction's bytes."""
BatchId = NewType("BatchId", int)
GroupId = NewType("GroupId", int)

NS_PER_SECOND: Final = 1_000_000_000
MAX_STORED: Final = (1 << 63) - 1
"""Largest number that the journal can hold; no honest chain has a height, sequence or time anywhere near it."""
NO_HEIGHT: Final = Height(0)
NO_TIME: Final = TimeNs(0)
NO_TX: Final = TxHash(b"")


@dataclass(frozen=True, slots=True, order=True)
class LinkEnd:
    """A chain, and its light client of the chain at the other end."""

    chain: ChainId
    client: ClientId

    def __str__(self) -> str:
        return f"{self.chain}/{self.client}"


@dataclass(frozen=True, slots=True)
class Link:
    """A hub and a shard that follow each other."""

    hub: LinkEnd
    shard: LinkEnd

    @property
    def name(self) -> ChainId:
        """The shard's chain id: there is one link a shard."""
        return self.shard.chain

    @property
    def ends(self) -> tuple[LinkEnd, LinkEnd]:
        """Both ends, the hub's first."""
        return (self.hub, self.shard)

    def opposite(self, end: LinkEnd) -> LinkEnd:
        """Return the other end."""
        return self.shard if end == self.hub else self.hub


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not work: a registered code and a text for people."""

    codespace: str
    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.message} [{self.codespace}/{self.code}]"


class ClientStatus(Enum):
    """Whether a light client can be updated and proven against."""

    ACTIVE = "active"
    EXPIRED = "expired"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a chain's light client knows of the other chain."""

    height: Height
    """Of the newest consensus state."""
    time_ns: TimeNs
    """Header time of the newest consensus state."""
    trusting_period_ns: int
    status: ClientStatus = ClientStatus.ACTIVE


class Duty(Enum):
    """What is still to be done for a packet."""

    RECEIVE = "receive"
    """Deliver it to its destination."""
    ACKNOWLEDGE = "acknowledge"
    """Bring the destination's acknowledgement back to the sender."""
    TIMEOUT = "timeout"
    """Prove to the sender that it was not received in time."""

    @property
    def is_done_by_receiver(self) -> bool:
        """Whether the receiver's chain executes it, on a proof of the sender's; otherwise it is the other way round."""
        return self is Duty.RECEIVE


class Step(Enum):
    """How far the present duty is."""

    WAITING = "waiting"
    PROVED = "proved"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    """The chain refused it for good; it is taken up again when the packet expires."""
    DONE = "done"


STAGE_NAMES: Final = {
    (Duty.RECEIVE, Step.WAITING): "seen",
    (Duty.RECEIVE, Step.PROVED): "proved",
    (Duty.RECEIVE, Step.SUBMITTED): "submitted",
    (Duty.RECEIVE, Step.REFUSED): "refused",
    (Duty.RECEIVE, Step.DONE): "gone",
    (Duty.ACKNOWLEDGE, Step.WAITING): "committed",
    (Duty.ACKNOWLEDGE, Step.PROVED): "ack_proved",
    (Duty.ACKNOWLEDGE, Step.SUBMITTED): "ack_submitted",
    (Duty.ACKNOWLEDGE, Step.REFUSED): "ack_refused",
    (Duty.ACKNOWLEDGE, Step.DONE): "acknowledged",
    (Duty.TIMEOUT, Step.WAITING): "expired",
    (Duty.TIMEOUT, Step.PROVED): "timeout_proved",
    (Duty.TIMEOUT, Step.SUBMITTED): "timeout_submitted",
    (Duty.TIMEOUT, Step.REFUSED): "timeout_refused",
    (Duty.TIMEOUT, Step.DONE): "timed_out",
}
"""The life of a packet in one word each."""


@dataclass(frozen=True, slots=True, order=True)
class PacketKey:
    """Names a packet: the end that sent it, and its number among those sent over that client."""

    sender: LinkEnd
    sequence: int

    def __str__(self) -> str:
        return f"{self.sender}#{self.sequence}"


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """What the relayer knows of a packet.  The journal holds exactly this."""

    key: PacketKey
    packet_bytes: bytes
    """Canonical encoding of the `Packet`."""
    timeout_s: int
    """Unix seconds of the destination's block time from which on it can no longer be received."""
    duty: Duty
    step: Step
    provable_from: Height
    """First height of the proving chain whose header commits to what has to be proven."""
    seen_ns: TimeNs
    changed_ns: TimeNs
    acknowledgement: bytes = b""
    """Canonical encoding of the `Acknowledgement`; empty while it is not known."""
    tx_hash: TxHash = NO_TX
    """The transaction in which it was submitted last."""
    attempts: int = 0
    """Submissions of the present duty that failed."""
    not_before_ns: TimeNs = NO_TIME
    alone: bool = False
    """A transaction with others failed: the next one carries this packet only, so that it cannot harm them."""
    failure: Failure | None = None
    """Why it was refused, or the last attempt failed."""

    @property
    def stage(self) -> str:
        """Where the packet is in its life."""
        return STAGE_NAMES[self.duty, self.step]


class TxState(Enum):
    """What became of a transaction."""

    PENDING = "pending"
    INCLUDED = "included"
    FAILED = "failed"
    """A block or CheckTx refused it."""
    EXPIRED = "expired"
    """No block took it in before its expiry, and none can any more."""


@dataclass(frozen=True, slots=True)
class TxRecord:
    """A signed transaction.  Its bytes are kept until its fate is known, so that they can be sent again.

    A chain executes the same bytes once only, which is what makes a crash between sending and hearing harmless.
    """

    tx_hash: TxHash
    lane: LinkEnd
    tx_bytes: bytes
    expires_at_ns: TimeNs
    state: TxState
    made_ns: TimeNs
    height: Height = NO_HEIGHT
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, order=True)
class BodyKey:
    """Names the body of a checkpoint."""

    shard: LinkEnd
    """The shard's end of the link."""
    task: int
    round: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.shard.chain} task {self.task} round {self.round}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class BodyRecord:
    """A checkpoint's body that the hub needs."""

    key: BodyKey
    body_root: bytes
    parts: int
    done: bool
    seen_ns: TimeNs
    changed_ns: TimeNs
    attempts: int = 0
    refusals: int = 0
    """Answers of a chain that it does not have, or does not want, the body."""
    not_before_ns: TimeNs = NO_TIME
    outcome: str = ""
    """Status of the shard in the round when the work ended."""
    failure: Failure | None = None

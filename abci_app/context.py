"""What a transition may know besides the state: block, signers, and services without state of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.reading import ReadCache
from abci_app.recent import RecentMap

if TYPE_CHECKING:
    from aggregation.kzg import Setup
    from tx.errors import AppError


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the block's results.  Not hashed by CometBFT, yet the same on every node."""

    kind: str
    attributes: tuple[tuple[str, str], ...]


class VerificationCache:
    """Verdicts of pure checks by the digest of everything the check depends on.

    A payload's content and commitments are verified once a node, although CheckTx and FinalizeBlock both need the
    verdict.  The cache can only save time: a verdict is a function of its digest.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._verdicts: RecentMap[bytes, bool] = RecentMap(capacity)

    def get(self, digest: bytes) -> bool | None:
        """Return the verdict, or None when it is not known."""
        return self._verdicts.get(digest)

    def put(self, digest: bytes, *, verdict: bool) -> None:
        """Remember a verdict and forget the oldest ones above the capacity."""
        self._verdicts.put(digest, verdict)


class RefusalCache:
    """Why pure checks have failed, by the digest of everything the check depends on.

    For checks that cost much and whose failure is a result: a transaction that fails for another reason takes the result
    back, so that the same check could be asked for again and again.  Few fail, so few are remembered.
    """

    def __init__(self, capacity: int = 1_024) -> None:
        self._errors: RecentMap[bytes, AppError] = RecentMap(capacity)

    def get(self, digest: bytes) -> AppError | None:
        """Return an error like the one that is remembered, to be raised, or None."""
        error = self._errors.get(digest)
        # Not the same object: a raise leaves its traceback on it.
        return None if error is None else type(error)(error.message)

    def put(self, digest: bytes, error: AppError) -> None:
        """Remember why a check has failed, and forget the oldest reasons above the capacity."""
        self._errors.put(digest, type(error)(error.message))


@dataclass(frozen=True, slots=True)
class Services:
    """Helpers of a node that hold no chain state."""

    kzg: Setup
    verified: VerificationCache = field(default_factory=VerificationCache)
    read: ReadCache = field(default_factory=ReadCache)
    refused: RefusalCache = field(default_factory=RefusalCache)


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block in execution.  Time and height of a transition come from here alone."""

    chain_id: str
    height: int
    time_ns: int
    """Block time, Unix nanoseconds."""
    block_hash: bytes
    services: Services
    events: list[Event] = field(default_factory=list)
    """Events of the hooks, in order."""

    def emit(self, kind: str, **attributes: str) -> None:
        """Append an event of a hook."""
        self.events.append(Event(kind, tuple(attributes.items())))


@dataclass(frozen=True, slots=True)
class TxContext:
    """A transaction, or one item of a bundle, in execution."""

    block: BlockContext
    signers: tuple[bytes, ...] = ()
    """Public keys whose signatures were verified."""
    events: list[Event] = field(default_factory=list)

    @property
    def chain_id(self) -> str:
        """Chain id of the block."""
        return self.block.chain_id

    @property
    def height(self) -> int:
        """Height of the block."""
        return self.block.height

    @property
    def time_ns(self) -> int:
        """Time of the block, Unix nanoseconds."""
        return self.block.time_ns

    @property
    def services(self) -> Services:
        """Services of the node."""
        return self.block.services

    def emit(self, kind: str, **attributes: str) -> None:
        """Append an event of this transaction."""
        self.events.append(Event(kind, tuple(attributes.items())))

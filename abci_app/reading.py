"""Reading transactions: all that depends on their bytes alone, found out once a node.

A transaction passes CheckTx, a proposal or two, and FinalizeBlock, and each needs it parsed and its claims known.
Reading an update costs about as much as a signature and two hashes of the payload, so what was read is remembered.
Forgetting costs time alone: what is read is a function of the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from abci_app.recent import RecentMap
from tx.envelope import ParsedTx, parse_envelope
from tx.errors import AppError

if TYPE_CHECKING:
    from abci_app.definition import AppDefinition

CACHE_BYTES: Final = 128 * 1024 * 1024
"""Bound of what is remembered: more than usually waits in a mempool."""

ITEM_BYTES: Final = 4_096
"""What an update takes in memory beside its bytes in the transaction, which may be as few as two."""


class ReadItem(Protocol):
    """An update as an app has read it."""

    @property
    def claim(self) -> bytes:
        """What may occur only once in a bundle, and waits only once in a mempool: task, round, attempt, participant."""


@dataclass(frozen=True, slots=True)
class ReadBundle:
    """A bundle of updates, each read by the app; empty where the app takes no bundles."""

    items: tuple[ReadItem, ...]


ReadTx = ParsedTx | ReadBundle | AppError
"""A transaction, or why its bytes are none."""


class ReadCache(RecentMap[bytes, ReadBundle]):
    """Bundles that were read, by the digest of their transaction; each weighs the bytes that it takes."""

    def __init__(self, capacity_bytes: int = CACHE_BYTES) -> None:
        super().__init__(capacity_bytes)


def read_tx(app: AppDefinition, cache: ReadCache, tx: bytes) -> ReadTx:
    """Return a transaction as the app reads it, or why its bytes are none.  Account transactions are cheap to parse."""
    digest = sha256(tx).digest()
    known = cache.get(digest)
    if known is not None:
        return known
    try:
        parsed = parse_envelope(tx)
    except AppError as error:
        return error
    if isinstance(parsed, ParsedTx):
        return parsed
    if app.items is None:
        return ReadBundle(())
    bundle = ReadBundle(tuple(app.items.read(update) for update in parsed.updates))
    cache.put(digest, bundle, len(tx) + ITEM_BYTES * len(bundle.items))
    return bundle


def list_claims(read: ParsedTx | ReadBundle) -> list[bytes]:
    """Return what a transaction may claim only once: its body, or each (round, participant) of its items."""
    if isinstance(read, ParsedTx):
        return [read.body_hash]
    return [item.claim for item in read.items]

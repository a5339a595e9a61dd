"""The committed state on disk.

A home holds a database (`state/`), the files of large blobs (`segments/`), a lock, and the name of the database
library.  The database holds the bulk pairs, the provable pairs, the length of each segment, and one *head*: format,
height, time, app hash and the bulk sum.  The nodes of the provable trie are not stored: its root depends on the content
alone, so the trie is built from the pairs when the store is opened, and the app hash in the head tells whether the
result is what the node had.

A block is committed in two steps.  `stage` computes the app hash of a block's writes, which FinalizeBlock must answer,
and touches nothing.  `commit` puts the new blobs on disk, then everything else in one synced batch, and only then
removes dropped segments: wherever a crash strikes, the next start sees the state before or after the block.

One thread stages and commits.  Any thread may read `latest` and `at` while it does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from abci_app.backend import open_backend
from abci_app.backends.files import storage_errors
from abci_app.backends.homelock import HomeLock
from abci_app.closing import Closing
from abci_app.errors import CorruptState, NodeError, StoreClosed, UnsupportedFormat
from abci_app.lthash import SUM_BYTES, LtHash, hash_element
from abci_app.multistore import hash_stores
from abci_app.segments import Blob, SegmentStore
from abci_app.snapshot import BULK_SPACE, Snapshot
from abci_app.state import BULK, PROVABLE
from abci_app.trie import Trie

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from abci_app.backend import Backend
    from abci_app.state import Overlay

__all__ = ["KEPT_HEIGHTS", "SEGMENTS_DIRECTORY", "Snapshot", "StagedBlock", "Store", "open_store"]

KEPT_HEIGHTS: Final = 128
"""Newest heights that `Store.at` returns by default."""

SEGMENTS_DIRECTORY: Final = "segments"
"""Directory in the home that holds the blobs."""

_VERIFIED_AT_ONCE: Final = 512
"""Pairs that `Store.verify_content` hashes before it adds them up, so that it needs little memory."""

_PROVABLE_SPACE: Final = b"p"
_SEGMENT_SPACE: Final = b"s"
_HEAD_KEY: Final = b"h"
_FORMAT: Final = 1
_HEAD: Final = struct.Struct(f">Bqq32s{SUM_BYTES}s")
"""Format, height, time in nanoseconds, app hash, bulk sum."""


@dataclass(frozen=True, slots=True)
class StagedBlock:
    """The outcome of a block, not yet on disk.  Forgetting it leaves no trace."""

    app_hash: bytes
    """App hash after the block."""
    provable_root: bytes
    bulk_root: bytes
    base: Snapshot
    """The state that the block was executed on."""
    trie: Trie
    bulk_sum: LtHash
    writes: Mapping[bytes, bytes | None]
    """What changes in the database, by its key; None removes."""
    blobs: tuple[Blob, ...]
    dropped_segments: tuple[bytes, ...]


class Store(Closing):
    """The state of a node; see `open_store`."""

    def __init__(self, lock: HomeLock, backend: Backend, segments_directory: Path, kept_heights: int) -> None:
        """Load the committed state; `open_store` is the way to get one."""
        self._lock = lock
        self._backend = backend
        self._kept_heights = kept_heights
        self._failed = False
        self._latest = _load(backend, segments_directory)
        self._segments = self._latest.segments
        self._recent = {self._latest.height: self._latest}
        """By height, oldest first; replaced as a whole, so that readers need no lock."""

    @property
    def backend_name(self) -> str:
        """Name of the database library."""
        return self._backend.name

    def latest(self) -> Snapshot:
        """Return the newest committed state."""
        return self._latest

    def at(self, height: int) -> Snapshot | None:
        """Return the state of a recent height, or None when it is not kept.  A start keeps the newest one alone."""
        return self._recent.get(height)

    def stage(self, overlay: Overlay) -> StagedBlock:
        """Compute the state after a block's writes, which the overlay holds above the newest snapshot.

        Each key counts once, against the value that is really stored; a write that changes nothing is no write.
        Nothing is written, so staging another block, or the same one again, is always possible.

        Raises:
          StoreClosed: the store was closed.
          CorruptState: the database is damaged.
          StorageFailed: the database could not be read.

        """
        base = self._latest
        trie, trie_writes = _apply_provable(base, overlay.writes[PROVABLE])
        bulk_sum, bulk_writes = _apply_bulk(base, overlay.writes[BULK])
        dropped = overlay.dropped_segments
        blobs = (Blob(segment, digest, data) for (segment, digest), data in overlay.blobs.items())
        provable_root, bulk_root = trie.root(), bulk_sum.root()
        return StagedBlock(
            app_hash=hash_stores({BULK: bulk_root, PROVABLE: provable_root}),
            provable_root=provable_root,
            bulk_root=bulk_root,
            base=base,
            trie=trie,
            bulk_sum=bulk_sum,
            writes={**trie_writes, **bulk_writes},
            blobs=tuple(blob for blob in blobs if blob.segment not in dropped),
            dropped_segments=tuple(dropped),
        )

    def commit(self, staged: StagedBlock, height: int, time_ns: int) -> Snapshot:
        """Make a staged block the newest state and return once it is on disk.

        After a failure nothing more may be committed before the store is opened again: only then is it certain what
        the disk holds.

        Raises:
          ValueError: the block was staged on another state, or the height does not ascend (height zero may be
            committed again, as nothing of a chain without blocks is final).
          StoreClosed: the store was closed, or an earlier commit failed.
          DiskFull: there was no room.
          StorageFailed: the disk could not be written for another reason.

        """
        if self._failed:
            raise StoreClosed("expected an open store, got one that was closed or in which a commit failed")
        if staged.base is not self._latest:
            raise ValueError(
                f"expected a block on height {self._latest.height}, got one on {staged.base.height}"
            )
        if height <= self._latest.height and (height, self._latest.height) != (0, 0):
            raise ValueError(f"expected a height above {self._latest.height}, got {height}")
        try:
            return self._commit(staged, height, time_ns)
        except NodeError:
            self._failed = True
            raise

    def verify_content(self) -> None:
        """Check every bulk pair of the newest state against the app hash; opening checks the provable ones alone.

        Raises:
          CorruptState: the pairs do not add up to the sum in the head.
          StoreClosed: the store was closed.
          StorageFailed: the database could not be read.

        """
        snapshot = self._latest
        total = LtHash.EMPTY
        elements = (hash_element(BULK, key, value) for key, value in snapshot.scan(BULK, b""))
        while some := list(islice(elements, _VERIFIED_AT_ONCE)):
            total = total.update(added=some)
        if total.root() != snapshot.bulk_root:
            raise CorruptState(f"expected bulk root {snapshot.bulk_root.hex()}, got {total.root().hex()}")

    def close(self) -> None:
        """Close the database and let other processes open the home; closing again is a no-op."""
        self._failed = True
        self._backend.close()
        self._lock.release()

    def _commit(self, staged: StagedBlock, height: int, time_ns: int) -> Snapshot:
        """Write blobs, then the batch, then remove what the block dropped."""
        appended = self._segments.append(staged.blobs)
        writes: dict[bytes, bytes | None] = dict(staged.writes)
        for segment, length in appended.lengths.items():
            writes[_SEGMENT_SPACE + segment] = length.to_bytes(8, "big")
        for segment in staged.dropped_segments:
            writes[_SEGMENT_SPACE + segment] = None
        writes[_HEAD_KEY] = _HEAD.pack(_FORMAT, height, time_ns, staged.app_hash, staged.bulk_sum.to_bytes())
        self._backend.write(writes)
        self._segments.publish(appended)
        snapshot = Snapshot(
            height=height,
            time_ns=time_ns,
            app_hash=staged.app_hash,
            provable_root=staged.provable_root,
            bulk_root=staged.bulk_root,
            trie=staged.trie,
            bulk_sum=staged.bulk_sum,
            reader=self._backend.snapshot(),
            segments=self._segments,
        )
        recent = {**self._recent, height: snapshot}
        for old in list(recent)[: max(0, len(recent) - self._kept_heights)]:
            del recent[old]
        self._recent = recent
        self._latest = snapshot
        for segment in staged.dropped_segments:
            self._segments.drop(segment)
        return snapshot


def open_store(home: Path, backend: str | None = None, *, kept_heights: int = KEPT_HEIGHTS) -> Store:
    """Open the state of a home, and make it when the home is new.

    A new store has height zero, time zero, and the app hash over the root of an empty trie (the sha256 of no bytes)
    and the root of an empty sum (the sha256 of 2,048 zero bytes).

    `backend` is the database library for a new home, None for the first one available; `kept_heights`, at least one,
    is how many of the newest heights `Store.at` returns.

    Raises:
      HomeLocked: another process has the home open.
      UnknownBackend: there is no database library of that name.
      BackendMismatch: the home was made with another one.
      BackendUnavailable: its library is not installed.
      UnsupportedFormat: another version wrote the state.
      CorruptState: the state does not match its app hash, or a blob its digest.
      DiskFull: there was no room.
      StorageFailed: the home could not be read or written.

    """
    if kept_heights < 1:
        raise ValueError(f"expected at least one height to keep, got {kept_heights}")
    with storage_errors(f"open the home {home}"):
        home.mkdir(parents=True, exist_ok=True)
    lock = HomeLock(home)
    try:
        database = open_backend(home, backend)
        try:
            return Store(lock, database, home / SEGMENTS_DIRECTORY, kept_heights)
        except BaseException:
            database.close()
            raise
    except BaseException:
        lock.release()
        raise


def _load(backend: Backend, segments_directory: Path) -> Snapshot:
    """Read the newest state and check its provable store against its app hash."""
    reader = backend.snapshot()
    try:
        trie = Trie.build((key[1:], value) for key, value in reader.scan(_PROVABLE_SPACE))
    except ValueError as error:
        raise CorruptState(f"expected sound provable pairs, got: {error}") from error
    lengths = {key[1:]: int.from_bytes(value, "big") for key, value in reader.scan(_SEGMENT_SPACE)}
    head = reader.get(_HEAD_KEY)
    height, time_ns, app_hash, bulk_sum = 0, 0, None, LtHash.EMPTY
    if head is not None:
        height, time_ns, app_hash, bulk_sum = _decode_head(head)
    provable_root, bulk_root = trie.root(), bulk_sum.root()
    found = hash_stores({BULK: bulk_root, PROVABLE: provable_root})
    if app_hash is None and (len(trie) or lengths or next(reader.scan(BULK_SPACE), None) is not None):
        raise CorruptState("expected an empty database where there is no head, got pairs")
    if app_hash is not None and found != app_hash:
        raise CorruptState(f"expected app hash {app_hash.hex()} at height {height}, got {found.hex()}")
    return Snapshot(
        height=height,
        time_ns=time_ns,
        app_hash=found,
        provable_root=provable_root,
        bulk_root=bulk_root,
        trie=trie,
        bulk_sum=bulk_sum,
        reader=reader,
        segments=SegmentStore(segments_directory, lengths),
    )


def _decode_head(head: bytes) -> tuple[int, int, bytes, LtHash]:
    """Return height, time, app hash and bulk sum."""
    if head[:1] != bytes((_FORMAT,)):
        raise UnsupportedFormat(f"expected state of format {_FORMAT}, got {head[:1].hex() or 'none'}")
    if len(head) != _HEAD.size:
        raise CorruptState(f"expected a head of {_HEAD.size} bytes, got {len(head)}")
    _, height, time_ns, app_hash, stored_sum = _HEAD.unpack(head)
    return height, time_ns, app_hash, LtHash(stored_sum)


def _apply_provable(
    base: Snapshot, writes: Mapping[bytes, bytes | None]
) -> tuple[Trie, dict[bytes, bytes | None]]:
    """Return the trie after writes, and those that change something, by database key."""
    trie = base.trie
    changes: dict[bytes, bytes | None] = {}
    for key, value in writes.items():
        changed = trie.delete(key) if value is None else trie.set(key, value)
        if changed is not trie:
            changes[_PROVABLE_SPACE + key] = value
            trie = changed
    return trie, changes


def _apply_bulk(
    base: Snapshot, writes: Mapping[bytes, bytes | None]
) -> tuple[LtHash, dict[bytes, bytes | None]]:
    """Return the bulk sum after writes, and those that change something, by database key."""
    added: list[bytes] = []
    removed: list[bytes] = []
    changes: dict[bytes, bytes | None] = {}
    for key, value in writes.items():
        stored = base.get(BULK, key)
        if stored == value:
            continue
        if stored is not None:
            removed.append(hash_element(BULK, key, stored))
        if value is not None:
            added.append(hash_element(BULK, key, value))
        changes[BULK_SPACE + key] = value
    return base.bulk_sum.update(added, removed), changes

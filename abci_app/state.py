"""State as explicit values: a reader, and overlays that collect writes above it.

Read chain: item writes -> tx writes -> block writes -> committed snapshot.  A failure drops its overlay; nothing is
ever undone, because undoing writes to a Merkle structure need not restore its shape.

State has two stores.  `PROVABLE` holds what other chains must be able to prove; `BULK` holds everything else.
Large immutable bytes (payloads of updates) are *blobs*: content-addressed, grouped in segments that are dropped as a
whole, and not part of the app hash except through the digests that records hold.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from abci_app.sortedkeys import SortedKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROVABLE: Final = "provable"
"""Store committed by the Merkle trie: packets, receipts, acks, clients, model roots, round results."""

BULK: Final = "bulk"
"""Store committed by the lattice hash: balances, participants, rounds, records."""

STORES: Final = (BULK, PROVABLE)
"""All store names, sorted bytewise as in the app hash."""


class StateReader(Protocol):
    """Read access to one version of the state."""

    def get(self, store: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        """Return the blob with that sha256 from the segment, or None when it is absent."""


class StateWriter(StateReader, Protocol):
    """Read and write access to a version of the state in the making."""

    def set(self, store: str, key: bytes, value: bytes) -> None:
        """Write a value.  Keys and values are never empty: an ICS-23 proof could not show them."""

    def delete(self, store: str, key: bytes) -> None:
        """Remove a key; removing an absent key is a no-op."""

    def put_blob(self, segment: bytes, data: bytes) -> bytes:
        """Stage a blob for the segment and return its sha256."""

    def drop_segment(self, segment: bytes) -> None:
        """Forget all blobs of the segment when the block commits."""


class Overlay:
    """Writes above a parent reader.

    The parent is never changed until `merge` is called on purpose, so a failed item, transaction or block is
    dropped by forgetting its overlay.
    """

    __slots__ = ("_keys", "blobs", "dropped_segments", "parent", "writes")

    def __init__(self, parent: StateReader) -> None:
        self.parent = parent
        self.writes: dict[str, dict[bytes, bytes | None]] = {name: {} for name in STORES}
        # The keys of `writes`, ascending: a scan must not cost more the more its block has written elsewhere.
        self._keys = {name: SortedKeys() for name in STORES}
        self.blobs: dict[tuple[bytes, bytes], bytes] = {}
        self.dropped_segments: dict[bytes, None] = {}

    def get(self, store: str, key: bytes) -> bytes | None:
        """Return the value of a key as seen above all writes so far."""
        writes = self.writes[store]
        if key in writes:
            return writes[key]
        return self.parent.get(store, key)

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with the prefix in ascending order; writes made meanwhile are not seen."""
        pending = self._list_written(store, prefix)
        pending.reverse()
        for key, value in self.parent.scan(store, prefix):
            while pending and pending[-1][0] < key:
                fresh, written = pending.pop()
                if written is not None:
                    yield fresh, written
            if pending and pending[-1][0] == key:
                _, written = pending.pop()
                if written is not None:
                    yield key, written
            else:
                yield key, value
        while pending:
            fresh, written = pending.pop()
            if written is not None:
                yield fresh, written

    def _list_written(self, store: str, prefix: bytes) -> list[tuple[bytes, bytes | None]]:
        """Return the writes with the prefix, ascending."""
        writes = self.writes[store]
        return [(key, writes[key]) for key in self._keys[store].list_prefix(prefix)]

    def apply_writes(self, store: str, changes: Mapping[bytes, bytes | None]) -> None:
        """Add writes; None removes."""
        writes = self.writes[store]
        fresh = [key for key in changes if key not in writes]
        writes.update(changes)
        self._keys[store].add(fresh)

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        """Return a blob, staged or committed, unless its segment is dropped."""
        if segment in self.dropped_segments:
            return None
        staged = self.blobs.get((segment, digest))
        return staged if staged is not None else self.parent.get_blob(segment, digest)

    def set(self, store: str, key: bytes, value: bytes) -> None:
        """Write a value.

        Raises:
          ValueError: the key or the value is empty; a handler must never try that.

        """
        if not key or not value:
            raise ValueError(f"empty key or value in store {store}: key {key.hex()}")
        self.apply_writes(store, {key: value})

    def delete(self, store: str, key: bytes) -> None:
        """Remove a key."""
        self.apply_writes(store, {key: None})

    def put_blob(self, segment: bytes, data: bytes) -> bytes:
        """Stage a blob and return its sha256."""
        digest = sha256(data).digest()
        self.blobs[segment, digest] = data
        return digest

    def drop_segment(self, segment: bytes) -> None:
        """Forget the blobs of a segment."""
        self.dropped_segments[segment] = None
        for key in [key for key in self.blobs if key[0] == segment]:
            del self.blobs[key]

    def merge(self) -> None:
        """Hand all writes to the parent, which must be an overlay too.

        Raises:
          TypeError: the parent is not an overlay.

        """
        parent = self.parent
        if not isinstance(parent, Overlay):
            raise TypeError("only an overlay on an overlay can be merged")
        for segment in self.dropped_segments:
            parent.drop_segment(segment)
        parent.blobs.update(self.blobs)
        for store, writes in self.writes.items():
            parent.apply_writes(store, writes)


def flatten(overlay: Overlay) -> Overlay:
    """Return one overlay that holds the net writes of a stack of overlays, above the first reader that is none."""
    stack = [overlay]
    base = overlay.parent
    while isinstance(base, Overlay):
        stack.append(base)
        base = base.parent
    flat = Overlay(base)
    for layer in reversed(stack):
        for segment in layer.dropped_segments:
            flat.drop_segment(segment)
        flat.blobs.update(layer.blobs)
        for store, writes in layer.writes.items():
            flat.apply_writes(store, writes)
    return flat

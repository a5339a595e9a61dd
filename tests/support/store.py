"""Building blocks of the tests of the state store."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import shake_128
from typing import TYPE_CHECKING

from abci_app.lthash import LtHash, hash_element
from abci_app.multistore import hash_stores
from abci_app.state import BULK, PROVABLE, STORES, Overlay
from abci_app.trie import Trie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.snapshot import Snapshot
    from abci_app.state import StateReader
    from abci_app.store import Store

Writes = dict[bytes, bytes | None]


@dataclass
class StoreModel:
    """What a store must hold, in dictionaries."""

    pairs: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: {name: {} for name in STORES})
    blobs: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)

    def copy(self) -> StoreModel:
        """Return a model that can be changed on its own."""
        return StoreModel({name: dict(pairs) for name, pairs in self.pairs.items()}, dict(self.blobs))

    def app_hash(self) -> bytes:
        """Compute the app hash from the content alone."""
        elements = [hash_element(BULK, key, value) for key, value in self.pairs[BULK].items()]
        roots = {
            BULK: LtHash.EMPTY.update(added=elements).root(),
            PROVABLE: Trie.build(sorted(self.pairs[PROVABLE].items())).root(),
        }
        return hash_stores(roots)


def read_pairs(state: StateReader) -> dict[str, dict[bytes, bytes]]:
    """Return all pairs of a state."""
    return {name: dict(state.scan(name, b"")) for name in STORES}


def make_overlay(
    parent: StateReader,
    *,
    provable: Mapping[bytes, bytes | None] | None = None,
    bulk: Mapping[bytes, bytes | None] | None = None,
) -> Overlay:
    """Return an overlay with writes; None removes a key."""
    overlay = Overlay(parent)
    for name, writes in ((PROVABLE, provable), (BULK, bulk)):
        for key, value in (writes or {}).items():
            if value is None:
                overlay.delete(name, key)
            else:
                overlay.set(name, key, value)
    return overlay


def commit_overlay(store: Store, overlay: Overlay) -> Snapshot:
    """Commit an overlay at the next height; a block takes a second."""
    height = store.latest().height + 1
    return store.commit(store.stage(overlay), height, height * 1_000_000_000)


def commit_writes(
    store: Store,
    *,
    provable: Mapping[bytes, bytes | None] | None = None,
    bulk: Mapping[bytes, bytes | None] | None = None,
) -> Snapshot:
    """Commit a block of writes at the next height."""
    return commit_overlay(store, make_overlay(store.latest(), provable=provable, bulk=bulk))


def make_block(state: Snapshot) -> Overlay:
    """Return a block whose writes follow from the height alone: pairs, a large blob, and an old segment dropped."""
    height = state.height + 1
    overlay = Overlay(state)
    for number in range(40):
        key = b"%d" % ((height * 7 + number) % 100)
        overlay.set(BULK, key, shake_128(b"bulk %d %s" % (height, key)).digest(300))
        if number % 3 == 0:
            overlay.delete(BULK, b"%d" % (number + height % 50))
    overlay.set(PROVABLE, b"round/" + height.to_bytes(8, "big"), height.to_bytes(32, "big"))
    overlay.put_blob(b"segment %d" % (height // 4), make_payload(height))
    overlay.drop_segment(b"segment %d" % (height // 4 - 2))
    return overlay


def make_payload(height: int) -> bytes:
    """Return the blob of a block of `make_block`."""
    return shake_128(b"blob %d" % height).digest(20_000)

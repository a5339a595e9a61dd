"""One committed version of the state, for reading and for proofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.multistore import chain_proofs, prove_store
from abci_app.state import BULK, PROVABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.backend import BackendSnapshot
    from abci_app.lthash import LtHash
    from abci_app.segments import SegmentStore
    from abci_app.trie import Trie

BULK_SPACE: Final = b"b"
"""First byte of the database keys of the bulk store."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after one block; any thread may read it, at any time before the store is closed.

    It is released when nobody refers to it any more.  Blobs alone are not versioned: one that was dropped since is
    gone from older snapshots too, and one that was added since can be read by its digest.
    """

    height: int
    """Height of the block; zero before the first one."""
    time_ns: int
    """Time of the block, Unix nanoseconds."""
    app_hash: bytes
    provable_root: bytes
    bulk_root: bytes
    trie: Trie
    """The provable store."""
    bulk_sum: LtHash
    """The sum that `bulk_root` is the hash of."""
    reader: BackendSnapshot
    """The database at that height."""
    segments: SegmentStore

    def get(self, store: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent.

        Raises:
          ValueError: there is no such store.
          StoreClosed: the store was closed.
          CorruptState: the database is damaged.
          StorageFailed: the database could not be read.

        """
        if store == PROVABLE:
            return self.trie.get(key)
        if store == BULK:
            return self.reader.get(BULK_SPACE + key)
        raise ValueError(f"expected the store {PROVABLE} or {BULK}, got {store}")

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order; raises as `get` does."""
        if store == PROVABLE:
            return self.trie.items(prefix)
        if store == BULK:
            return ((key[1:], value) for key, value in self.reader.scan(BULK_SPACE + prefix))
        raise ValueError(f"expected the store {PROVABLE} or {BULK}, got {store}")

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        """Return the blob with that sha256 from the segment, or None when it is absent.

        Raises:
          CorruptState: the bytes on disk do not match the digest.
          StorageFailed: the file could not be read.

        """
        return self.segments.get(segment, digest)

    def prove(self, key: bytes) -> bytes:
        """Return an encoded `ibc.core.commitment.v1.MerkleProof` of a provable key's presence or absence.

        It holds for the path [`provable`, key] under `app_hash`, with the specs [`IavlSpec`, `TendermintSpec`].

        Raises:
          NothingToProve: the provable store is empty.
          KeyTooDeep: no verifier would follow a path of that length.

        """
        roots = {BULK: self.bulk_root, PROVABLE: self.provable_root}
        return chain_proofs(self.trie.prove(key), prove_store(roots, PROVABLE))

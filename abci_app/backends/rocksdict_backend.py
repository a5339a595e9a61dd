"""RocksDB through rocksdict, in raw mode: keys and values are bytes as they are."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from abci_app.backends.files import storage_error
from abci_app.backends.gate import Gate
from abci_app.errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rocksdict import RdictIter

_CHUNK: Final = 256
"""Entries that a scan reads at once."""

_BLOCK_CACHE_BYTES: Final = 64 << 20
_WRITE_BUFFER_BYTES: Final = 8 << 20
_BLOOM_FILTER_BITS: Final = 10
_OPEN_FILES: Final = 256
_LOG_FILES: Final = 2


def _make_options() -> Options:
    """Return the settings of the database."""
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(_BLOCK_CACHE_BYTES))
    tables.set_bloom_filter(_BLOOM_FILTER_BITS, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(tables)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_open_files(_OPEN_FILES)
    options.set_keep_log_file_num(_LOG_FILES)
    return options


class RocksdictSnapshot:
    """The content of a RocksDB at one moment.

    It is held by an iterator, which RocksDB pins to the moment of its creation, and not by rocksdict's own snapshot:
    the iterators of that one see later writes (`Snapshot.iter` of 0.3.29 loses the snapshot among its read options).
    One iterator has one position, so threads take turns.
    """

    __slots__ = ("__weakref__", "_gate", "_iterator", "_turn")

    def __init__(self, iterator: RdictIter, gate: Gate) -> None:
        self._iterator: RdictIter | None = iterator
        self._gate = gate
        self._turn = RLock()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""
        with self._gate, self._turn:
            found = self._read(key, key, 1)
            return found[0][1] if found and found[0][0] == key else None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""
        start = prefix
        while True:
            with self._gate, self._turn:
                chunk = self._read(start, prefix, _CHUNK)
            yield from chunk
            if len(chunk) < _CHUNK:
                return
            start = chunk[-1][0] + b"\x00"  # the next key in bytewise order that is possible

    def release(self) -> None:
        """Let go of the database, which stays open as long as an iterator lives."""
        with self._turn:
            self._iterator = None

    def _read(self, start: bytes, prefix: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` entries with the prefix, the first one at or after `start`."""
        iterator = self._iterator
        if iterator is None:
            raise StoreClosed("expected an open store, got one that was closed")
        entries: list[tuple[bytes, bytes]] = []
        try:
            iterator.seek(start)
            while len(entries) < limit and iterator.valid():
                key: bytes = iterator.key()
                if not key.startswith(prefix):
                    break
                entries.append((key, iterator.value()))
                iterator.next()
            iterator.status()
        except Exception as error:  # rocksdict raises no narrower type
            raise storage_error("read the state", error) from error
        return entries


class RocksdictBackend:
    """An open RocksDB."""

    name = "rocksdict"

    def __init__(self, path: Path) -> None:
        """Open or make the database.

        Raises:
          HomeLocked: another process has it open.
          CorruptState: its files are damaged.
          DiskFull: there was no room.
          StorageFailed: the files could not be read or written.

        """
        self._gate = Gate()
        self._snapshots: WeakSet[RocksdictSnapshot] = WeakSet()
        self._synced = WriteOptions()
        self._synced.sync = True
        try:
            self._database = Rdict(str(path), _make_options())
        except Exception as error:  # rocksdict raises no narrower type
            raise storage_error(f"open the database {path}", error) from error

    def get(self, key: bytes) -> bytes | None:
        """Return the newest value of a key, or None when it is absent."""
        with self._gate:
            try:
                value: bytes | None = self._database.get(key)
            except Exception as error:  # rocksdict raises no narrower type
                raise storage_error("read the state", error) from error
            return value

    def snapshot(self) -> RocksdictSnapshot:
        """Return the present content, unchanged by later writes."""
        with self._gate:
            snapshot = RocksdictSnapshot(self._database.iter(), self._gate)
            self._snapshots.add(snapshot)
            return snapshot

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Apply writes atomically and return once they are on disk; see `Backend.write`."""
        with self._gate:
            batch = WriteBatch(raw_mode=True)
            for key, value in writes.items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            try:
                self._database.write(batch, self._synced)
            except Exception as error:  # rocksdict raises no narrower type
                raise storage_error("write the state", error) from error

    def close(self) -> None:
        """Wait for readers that are inside a call and close; closing again is a no-op.

        The database closes when the last reference to it goes.  `Rdict.close` would write out tables first, which
        fails on a full disk; that is not needed, as all batches are in the synced log.
        """
        if self._gate.close():
            for snapshot in list(self._snapshots):
                snapshot.release()
            del self._database

"""LevelDB through plyvel."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, cast

import plyvel

from abci_app.backends.files import storage_error
from abci_app.backends.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CHUNK: Final = 256
"""Entries that a scan reads at once."""

_BLOCK_CACHE_BYTES: Final = 64 << 20
_WRITE_BUFFER_BYTES: Final = 8 << 20
_BLOOM_FILTER_BITS: Final = 10
_OPEN_FILES: Final = 256


class _Batch(Protocol):
    """Writes that are applied together."""

    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...
    def write(self) -> None: ...


class _Reader(Protocol):
    """What a LevelDB and a snapshot of it have in common; plyvel brings no type information."""

    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None: ...
    def iterator(self, *, prefix: bytes | None, verify_checksums: bool) -> Iterator[tuple[bytes, bytes]]: ...


class _Database(_Reader, Protocol):
    """An open LevelDB."""

    def snapshot(self) -> _Reader: ...
    def write_batch(self, *, sync: bool) -> _Batch: ...
    def close(self) -> None: ...


def _get(reader: _Reader, gate: Gate, key: bytes) -> bytes | None:
    """Return the value of a key, or None when it is absent."""
    with gate:
        try:
            return reader.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise storage_error("read the state", error) from error


class PlyvelSnapshot:
    """The content of a LevelDB at one moment."""

    __slots__ = ("_gate", "_reader")

    def __init__(self, reader: _Reader, gate: Gate) -> None:
        self._reader = reader
        self._gate = gate

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""
        return _get(self._reader, self._gate, key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""
        with self._gate:
            entries = self._reader.iterator(prefix=prefix or None, verify_checksums=True)
        while True:
            with self._gate:
                try:
                    chunk = list(islice(entries, _CHUNK))
                except plyvel.Error as error:
                    raise storage_error("read the state", error) from error
            yield from chunk
            if len(chunk) < _CHUNK:
                return


class PlyvelBackend:
    """An open LevelDB."""

    name = "plyvel"

    def __init__(self, path: Path) -> None:
        """Open or make the database.

        Raises:
          HomeLocked: another process has it open.
          CorruptState: its files are damaged.
          DiskFull: there was no room.
          StorageFailed: the files could not be read or written.

        """
        self._gate = Gate()
        try:
            database = plyvel.DB(
                str(path),
                create_if_missing=True,
                lru_cache_size=_BLOCK_CACHE_BYTES,
                write_buffer_size=_WRITE_BUFFER_BYTES,
                bloom_filter_bits=_BLOOM_FILTER_BITS,
                max_open_files=_OPEN_FILES,
            )
        except plyvel.Error as error:
            raise storage_error(f"open the database {path}", error) from error
        self._database = cast("_Database", database)

    def get(self, key: bytes) -> bytes | None:
        """Return the newest value of a key, or None when it is absent."""
        return _get(self._database, self._gate, key)

    def snapshot(self) -> PlyvelSnapshot:
        """Return the present content, unchanged by later writes."""
        with self._gate:
            return PlyvelSnapshot(self._database.snapshot(), self._gate)

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Apply writes atomically and return once they are on disk; see `Backend.write`."""
        with self._gate:
            batch = self._database.write_batch(sync=True)
            for key, value in writes.items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            try:
                batch.write()
            except plyvel.Error as error:
                raise storage_error("write the state", error) from error

    def close(self) -> None:
        """Wait for readers that are inside a call and close; closing again is a no-op."""
        if self._gate.close():
            self._database.close()

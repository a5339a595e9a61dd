"""Large immutable bytes: content-addressed blobs in append-only segment files.

Payloads of updates are megabytes that are written once, read a few times and forgotten together, which a database of
small sorted values is bad at.  Here all blobs of a segment (one round, say) share a file, and forgetting them is the
removal of that file.

Blobs become part of the state only by the batch that commits their block.  Hence two steps: `append` puts them on
disk, and `publish` makes them readable once the batch, which records the new length of each segment, is on disk too.
`open` takes the recorded lengths as the truth: what lies beyond them, a torn record or the blobs of a block that was
never committed, is cut off; a file without a record is removed; a file that is shorter, or whose bytes do not match
their digests, is damaged.  So a crash at any moment leaves exactly the blobs of the committed blocks, on every node
the same.

Record: length (4 bytes, big-endian), sha256, data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple

from abci_app.backends.files import storage_errors, sync_directory, write_all
from abci_app.errors import CorruptState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_NAME_BYTES: Final = 100
"""Longest name of a segment; in hex it must fit a file name."""

_LENGTH_BYTES: Final = 4
_HEADER_BYTES: Final = _LENGTH_BYTES + 32


class Blob(NamedTuple):
    """Bytes to store."""

    segment: bytes
    digest: bytes
    """Sha256 of the data."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data of a blob lies in its segment's file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What `append` has put on disk and `publish` will make readable."""

    places: Mapping[tuple[bytes, bytes], Place]
    """By (segment, digest)."""
    lengths: Mapping[bytes, int]
    """New length in bytes of each file that grew, by segment."""


class SegmentStore:
    """The segment files of a directory.

    One thread appends, publishes and drops; any thread reads.
    """

    def __init__(self, directory: Path, lengths: Mapping[bytes, int]) -> None:
        """Open the files, restore them to their recorded lengths in bytes, and index their blobs.

        Raises:
          CorruptState: a recorded segment is missing, too short, or does not match its digests.
          DiskFull: there was no room for the directory.
          StorageFailed: a file could not be read, cut or removed.

        """
        self._directory = directory
        self._lock = RLock()
        self._lengths = dict(lengths)
        self._places: dict[bytes, dict[bytes, Place]] = {}
        with storage_errors(f"open the blobs in {directory}"):
            directory.mkdir(parents=True, exist_ok=True)
            recorded = {self._path(segment) for segment in lengths}
            for path in sorted(directory.iterdir()):
                if path not in recorded:
                    path.unlink()
            for segment, length in lengths.items():
                self._places[segment] = self._restore(segment, length)
            sync_directory(directory)

    def get(self, segment: bytes, digest: bytes) -> bytes | None:
        """Return a blob, or None when it is absent.

        Raises:
          CorruptState: the bytes on disk do not match the digest.
          StorageFailed: the file could not be read.

        """
        with self._lock:
            place = self._places.get(segment, {}).get(digest)
            if place is None:
                return None
            with storage_errors(f"read a blob of segment {segment.hex()}"):
                descriptor = os.open(self._path(segment), os.O_RDONLY)
                try:
                    data = os.pread(descriptor, place.length, place.offset)
                finally:
                    os.close(descriptor)
        if sha256(data).digest() != digest:
            raise CorruptState(f"expected blob {digest.hex()} in segment {segment.hex()}, got other bytes")
        return data

    def append(self, blobs: Iterable[Blob]) -> Appended:
        """Put blobs on disk and return once they are there; those already stored are left out.

        Nothing of it can be read before `publish`.  Appending again without publishing overwrites.

        Raises:
          DiskFull: there was no room; the files are as long as before.
          StorageFailed: a file could not be written.

        """
        fresh: dict[bytes, dict[bytes, bytes]] = {}
        for blob in blobs:
            if blob.digest not in self._places.get(blob.segment, {}):
                fresh.setdefault(blob.segment, {})[blob.digest] = blob.data
        places: dict[tuple[bytes, bytes], Place] = {}
        lengths: dict[bytes, int] = {}
        for segment, contents in sorted(fresh.items()):
            end = self._lengths.get(segment, 0)
            records: list[bytes] = []
            for digest, data in sorted(contents.items()):
                records += (len(data).to_bytes(_LENGTH_BYTES, "big"), digest, data)
                places[segment, digest] = Place(end + _HEADER_BYTES, len(data))
                end += _HEADER_BYTES + len(data)
            self._write(segment, b"".join(records))
            lengths[segment] = end
        if any(segment not in self._lengths for segment in lengths):
            with storage_errors(f"write the blobs in {self._directory}"):
                sync_directory(self._directory)
        return Appended(places, lengths)

    def publish(self, appended: Appended) -> None:
        """Make appended blobs readable."""
        with self._lock:
            self._lengths.update(appended.lengths)
            for (segment, digest), place in appended.places.items():
                self._places.setdefault(segment, {})[digest] = place

    def drop(self, segment: bytes) -> None:
        """Forget all blobs of a segment and remove its file; a segment that does not exist is a no-op.

        Raises:
          StorageFailed: the file could not be removed.

        """
        with self._lock, storage_errors(f"remove segment {segment.hex()}"):
            if self._lengths.pop(segment, None) is not None:
                self._places.pop(segment, None)
                self._path(segment).unlink(missing_ok=True)

    def _path(self, segment: bytes) -> Path:
        """Return the file of a segment."""
        if not 1 <= len(segment) <= MAX_NAME_BYTES:
            raise ValueError(f"expected a segment name of 1 to {MAX_NAME_BYTES} bytes, got {len(segment)}")
        return self._directory / segment.hex()

    def _write(self, segment: bytes, data: bytes) -> None:
        """Write at the end of a segment and sync; on failure cut what was written."""
        end = self._lengths.get(segment, 0)
        with storage_errors(f"write segment {segment.hex()}"):
            descriptor = os.open(self._path(segment), os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.ftruncate(descriptor, end)
                os.lseek(descriptor, end, os.SEEK_SET)
                write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
            finally:
                os.close(descriptor)

    def _restore(self, segment: bytes, length: int) -> dict[bytes, Place]:
        """Cut a segment's file to its recorded length, check it, and return where its blobs are."""
        path = self._path(segment)
        size = path.stat().st_size if path.exists() else 0
        if size < length:
            raise CorruptState(f"expected {length} bytes in segment {segment.hex()}, got {size}")
        if size > length:
            os.truncate(path, length)
        places: dict[bytes, Place] = {}
        with path.open("rb") as file:
            offset = 0
            while offset < length:
                header = file.read(_HEADER_BYTES)
                count = int.from_bytes(header[:_LENGTH_BYTES], "big")
                data = file.read(min(count, length - offset))
                digest = header[_LENGTH_BYTES:]
                if len(data) != count or sha256(data).digest() != digest:
                    raise CorruptState(
                        f"expected intact blobs in segment {segment.hex()}, got damage at {offset}"
                    )
                places[digest] = Place(offset + _HEADER_BYTES, count)
                offset += _HEADER_BYTES + count
        return places

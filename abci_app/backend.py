"""The database under the state store, and the choice between two of them.

The store asks little of a database: ordered keys, snapshots that later writes do not change, and batches that are on
disk as a whole or not at all.  LevelDB (through plyvel) is the first choice; RocksDB (through rocksdict) runs where
plyvel has no wheels.  They cannot read each other's files, so the choice is made once, when a home is made, and
recorded there.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

from abci_app.backends.files import storage_errors, write_durably
from abci_app.errors import BackendMismatch, BackendUnavailable, CorruptState, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


class BackendSnapshot(Protocol):
    """The content of a database at one moment; readable from any thread while the database is written.

    It is released when nobody refers to it any more.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""


class Backend(Protocol):
    """An open database.  Every method raises `StoreClosed` after `close`."""

    name: str
    """Name that is recorded in the home."""

    def get(self, key: bytes) -> bytes | None:
        """Return the newest value of a key, or None when it is absent."""

    def snapshot(self) -> BackendSnapshot:
        """Return the present content, unchanged by later writes."""

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Set or (None) remove keys, all of them or none, and return once that is on disk.

        After a failure the next start shows whether the batch is there, as a whole or not at all; nothing may be
        written before that.

        Raises:
          DiskFull: there was no room.
          StorageFailed: the database could not write for another reason.

        """

    def close(self) -> None:
        """Wait for readers that are inside a call and close; closing again is a no-op."""


def _open_plyvel(path: Path) -> Backend:
    """Open LevelDB; the import fails where plyvel has no wheel."""
    from abci_app.backends.plyvel_backend import PlyvelBackend  # noqa: PLC0415

    return PlyvelBackend(path)


def _open_rocksdict(path: Path) -> Backend:
    """Open RocksDB; it need not be loaded where LevelDB is used."""
    from abci_app.backends.rocksdict_backend import RocksdictBackend  # noqa: PLC0415

    return RocksdictBackend(path)


_OPENERS: Final[Mapping[str, Callable[[Path], Backend]]] = {
    "plyvel": _open_plyvel,
    "rocksdict": _open_rocksdict,
}

BACKENDS: Final = tuple(_OPENERS)
"""Names of the databases, the preferred one first."""

RECORD_FILE: Final = "BACKEND"
"""File in the home that names its database."""

DATABASE_DIRECTORY: Final = "state"
"""Directory in the home that the database owns."""


def open_backend(home: Path, name: str | None) -> Backend:
    """Open the database of a home, and make it when the home is new.

    `name` is the choice for a new home; None takes the first database that can be imported here.

    Raises:
      UnknownBackend: there is no database of that name.
      BackendMismatch: the home was made with another one.
      BackendUnavailable: its library is not installed.
      CorruptState: the record or the database is damaged.
      HomeLocked: another process has the database open.
      DiskFull: there was no room.
      StorageFailed: the directory could not be read or written.

    """
    if name is not None and name not in _OPENERS:
        raise UnknownBackend(f"expected one of {', '.join(BACKENDS)}, got {name}")
    record = home / RECORD_FILE
    with storage_errors(f"open the home {home}"):
        home.mkdir(parents=True, exist_ok=True)
        recorded = record.read_text(encoding="ascii", errors="replace").strip() if record.exists() else None
    if recorded is None:
        chosen = name if name is not None else _first_available()
        _require_library(chosen)
        write_durably(record, f"{chosen}\n".encode())
    else:
        chosen = recorded
        if chosen not in _OPENERS:
            raise CorruptState(f"expected {record} to name one of {', '.join(BACKENDS)}, got {chosen!r}")
        if name is not None and name != chosen:
            raise BackendMismatch(f"expected {chosen}, with which {home} was made, got {name}")
        _require_library(chosen)
    return _OPENERS[chosen](home / DATABASE_DIRECTORY)


def _first_available() -> str:
    """Return the name of the first database that can be imported."""
    for name in BACKENDS:
        if find_spec(name) is not None:
            return name
    raise BackendUnavailable(f"expected one of the libraries {', '.join(BACKENDS)} to be installed, got none")


def _require_library(name: str) -> None:
    """Check that the library of a database can be imported; library and database have the same name."""
    if find_spec(name) is None:
        raise BackendUnavailable(f"expected the library {name} to be installed, got none: install {name}")

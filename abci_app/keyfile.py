"""Secret keys on disk: one key a file, readable by its owner alone, never overwritten."""

from __future__ import annotations

import json
import os
import secrets
import stat
from typing import TYPE_CHECKING

from abci_app.errors import KeyFileExists, KeyFileInvalid, KeyFileMissing, KeyFileReadable, KeyFileUnusable
from tx.keys import SEED_BYTES, SigningKey, format_address

if TYPE_CHECKING:
    from pathlib import Path

OWNER_ONLY = 0o600
MAX_KEY_FILE_BYTES = 4096
"""More than a key file ever has."""


def generate_key() -> SigningKey:
    """Return a new key from the system's random source."""
    return SigningKey.from_seed(secrets.token_bytes(SEED_BYTES))


def save_key(path: Path, key: SigningKey) -> None:
    """Write a key to a new file that only its owner may read, and wait until it is on disk.

    Raises:
      KeyFileExists: something is there already; a key that is overwritten is lost for good.
      KeyFileUnusable: the operating system refuses to create it.

    """
    text = json.dumps({"address": format_address(key.public_key), "seed": key.seed.hex()}) + "\n"
    try:
        # The mode is set when the file is made: there is no moment at which others could open it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise KeyFileExists(f"expected no file at {path}, got one") from None
    except OSError as error:
        raise KeyFileUnusable(f"expected to create {path}, got {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_key(path: Path) -> SigningKey:
    """Read a key that `save_key` has written.

    Raises:
      KeyFileMissing: there is no such file.
      KeyFileUnusable: the operating system refuses to open it.
      KeyFileReadable: its mode lets others than the owner do anything with it.
      KeyFileInvalid: it is no regular file, or not what `save_key` writes.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFileMissing(f"expected a key file at {path}, got none") from None
    except OSError as error:
        raise KeyFileUnusable(f"expected to open {path}, got {error.strerror}") from error
    try:
        # The open file is looked at, not the path: nobody can put another file there in between.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileInvalid(f"expected a regular file at {path}, got something else")
        mode = stat.S_IMODE(status.st_mode)
        if mode & ~OWNER_ONLY:
            raise KeyFileReadable(f"expected mode {OWNER_ONLY:o} of {path}, got {mode:o}")
        return _parse_key(path, os.read(descriptor, MAX_KEY_FILE_BYTES))
    finally:
        os.close(descriptor)


def _parse_key(path: Path, data: bytes) -> SigningKey:
    """Parse the content of a key file.  Nothing of the content enters a message: it may be a secret."""
    try:
        content = json.loads(data)
        address, seed = content["address"], bytes.fromhex(content["seed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeyFileInvalid(
            f"expected a JSON object with address and seed in {path}, got other content"
        ) from None
    if len(seed) != SEED_BYTES:
        raise KeyFileInvalid(f"expected a seed of {SEED_BYTES} bytes in {path}, got {len(seed)}")
    key = SigningKey.from_seed(seed)
    if address != format_address(key.public_key):
        raise KeyFileInvalid(f"expected the address of the seed in {path}, got another one")
    return key

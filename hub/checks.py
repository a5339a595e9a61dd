"""Checks of message fields that several modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.errors import InvalidField
from tx.keys import PUBLIC_KEY_BYTES
from tx.limits import HASH_BYTES, MAX_CHAIN_ID_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wire.gradchain.hub.v1 import tx_pb2

PART_BYTES = 65_536
"""Bytes of a part of a model or of a checkpoint's body; only the last part may be shorter."""

MAX_PARTS = 48
"""Parts of one message: with their paths they stay below CometBFT's largest transaction of the default settings."""

MAX_PATH = 32
"""Hashes of an audit path: enough for any tree whose leaves have indices of 32 bits."""


def check_address(field: str, address: bytes) -> None:
    """Refuse what is no address.

    Raises:
      InvalidField: the address has another length.

    """
    check_size(field, address, PUBLIC_KEY_BYTES)


def check_hash(field: str, digest: bytes) -> None:
    """Refuse what is no digest or Merkle root.

    Raises:
      InvalidField: the digest has another length.

    """
    check_size(field, digest, HASH_BYTES)


def check_size(field: str, value: bytes, expected: int) -> None:
    """Refuse bytes of another length.

    Raises:
      InvalidField: the length differs.

    """
    if len(value) != expected:
        raise InvalidField(f"expected {expected} bytes in {field}, got {len(value)}")


def check_positive(field: str, value: int, high: int) -> None:
    """Refuse a number outside 1..high.

    Raises:
      InvalidField: the number is outside.

    """
    if not 1 <= value <= high:
        raise InvalidField(f"expected 1 to {high} as {field}, got {value}")


def check_chain_id(field: str, chain_id: str) -> None:
    """Refuse what is no chain id: visible ASCII, not too long.

    Raises:
      InvalidField: the text has another form.

    """
    if not 1 <= len(chain_id) <= MAX_CHAIN_ID_BYTES or any(not "!" <= letter <= "~" for letter in chain_id):
        raise InvalidField(
            f"expected 1 to {MAX_CHAIN_ID_BYTES} visible ASCII characters in {field}, got another text"
        )


def check_parts(parts: Sequence[tx_pb2.DataPart]) -> None:
    """Check what can be seen of parts without knowing what they are parts of.

    Raises:
      InvalidField: there are none or too many, or one has an impossible size.

    """
    check_positive("number of parts", len(parts), MAX_PARTS)
    for part in parts:
        check_positive(f"bytes of part {part.index}", len(part.data), PART_BYTES)
        _check_path(part.index, part.path)


def _check_path(index: int, path: Iterable[bytes]) -> None:
    hashes = list(path)
    if len(hashes) > MAX_PATH:
        raise InvalidField(
            f"expected at most {MAX_PATH} hashes in the path of part {index}, got {len(hashes)}"
        )
    for digest in hashes:
        check_hash(f"path of part {index}", digest)


def part_count(total_bytes: int) -> int:
    """Return in how many parts so many bytes travel."""
    return -(-total_bytes // PART_BYTES)


def part_bytes(total_bytes: int, index: int) -> int:
    """Return the size of a part of bytes that are cut as `PART_BYTES` says."""
    return min(PART_BYTES, total_bytes - index * PART_BYTES)

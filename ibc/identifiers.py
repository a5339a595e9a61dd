"""Names of clients, ports and chains, and the heights of chains.

Source: ICS-24 as implemented by ibc-go (`24-host/validate.go`, `02-client/types/{keys,height}.go`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ibc.errors import InvalidIdentifier
from wire.ibc.core.client.v1 import client_pb2

CLIENT_TYPE: Final = "07-tendermint"
MAX_CHAIN_ID_BYTES: Final = 50

_MAX_UINT_64 = (1 << 64) - 1
_CHARACTERS = re.compile(r"[a-zA-Z0-9._+\-#\[\]<>]+")
_NUMBERED = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?-([0-9]{1,20})")
_WITH_REVISION = re.compile(r".*[^\n-]-([1-9][0-9]*)")


@dataclass(frozen=True, slots=True, order=True)
class Height:
    """A block height that survives a restart of the chain under a new revision.  Ordered by revision first."""

    revision: int
    height: int

    def __str__(self) -> str:
        return f"{self.revision}-{self.height}"


ZERO_HEIGHT: Final = Height(0, 0)


def height_from_wire(height: client_pb2.Height) -> Height:
    """Return the height of a message; a missing one is 0-0."""
    return Height(height.revision_number, height.revision_height)


def height_to_wire(height: Height) -> client_pb2.Height:
    """Return the height as a message."""
    return client_pb2.Height(revision_number=height.revision, revision_height=height.height)


def _check_identifier(kind: str, text: str, shortest: int, longest: int) -> None:
    if not shortest <= len(text) <= longest or _CHARACTERS.fullmatch(text) is None:
        raise InvalidIdentifier(
            f"expected a {kind} of {shortest} to {longest} letters, digits and ._+-#[]<>, got {text[:128]!r}"
        )


def check_client_id(client_id: str) -> None:
    """Check that a client id, ours or the other chain's, reads `{name}-{number}`.

    Raises:
      InvalidIdentifier: it does not.

    """
    _check_identifier("client id", client_id, 4, 64)
    match = _NUMBERED.fullmatch(client_id)
    if match is None or int(match.group(1)) > _MAX_UINT_64:
        raise InvalidIdentifier(f"expected a client id of the form name-number, got {client_id!r}")


def check_packet_client_id(client_id: str) -> None:
    """Check a client id in a packet, which follows the rules of classic channel ids.

    Raises:
      InvalidIdentifier: its length or a character is not allowed.

    """
    _check_identifier("client id", client_id, 8, 64)


def check_port(port: str) -> None:
    """Check the name of an application's port.

    Raises:
      InvalidIdentifier: its length or a character is not allowed.

    """
    _check_identifier("port", port, 2, 128)


def parse_revision(chain_id: str) -> int:
    """Return the number at the end of a chain id such as `name-3`, or 0 when there is none.

    Raises:
      InvalidIdentifier: the number does not fit 64 bits.

    """
    match = _WITH_REVISION.fullmatch(chain_id)
    if match is None:
        return 0
    digits = match.group(1)
    if len(digits) > 20 or int(digits) > _MAX_UINT_64:
        raise InvalidIdentifier(f"expected a revision of at most 64 bits, got {digits[:64]}")
    return int(digits)

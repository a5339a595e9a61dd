"""Addresses that a node listens on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from abci_app.errors import HomeInvalid

_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})")
_PORT_CAP = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint of a text `host:port`; an IPv6 host stands in brackets.

    Raises:
      HomeInvalid: the text has another form, or the port is out of range.

    """
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 1 <= int(match.group(2)) <= _PORT_CAP:
        raise HomeInvalid(f"expected an address of the form host:port, got {text!r}")
    return Endpoint(match.group(1).strip("[]"), int(match.group(2)))

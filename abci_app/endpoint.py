"""Addresses that a node listens on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from abci_app.errors import HomeInvalid

_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})")
_PORT_CAP = 65_535
LOCAL_HOSTS: Final = ("0.0.0.0", "::", "127.0.0.1", "::1", "localhost")  # noqa: S104 - compared, not bound
"""Hosts that mean the one on which they are said."""


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


def locate_rpc(grpc_address: str, said: str) -> str:
    """Return the URL of a node's CometBFT, from the address of its gRPC and what it says of its RPC.

    A node knows on which interface it listens, not under which name others reach it: what is loopback or any interface
    there is the host on which its gRPC was reached.
    """
    grpc, rpc = parse_endpoint(grpc_address), parse_endpoint(said)
    return f"http://{Endpoint(grpc.host, rpc.port) if rpc.host in LOCAL_HOSTS else rpc}"

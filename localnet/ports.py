"""Give every node ports of its own."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from localnet.errors import NoFreePorts

if TYPE_CHECKING:
    from collections.abc import Callable

STRIDE: Final = 10
"""Ports set aside for a node; round numbers are easy to remember."""

USED: Final = 4
"""Ports that a node listens on."""

ANY_LOW: Final = 10_240
ANY_SPAN: Final = 20_480
"""Where ports are looked for when any will do: below the range that operating systems use for outgoing connections."""

_PORT_CAP: Final = 65_535


@dataclass(frozen=True, slots=True)
class NodePorts:
    """The ports of one node."""

    p2p: int
    rpc: int
    grpc: int
    metrics: int


def allocate_ports(count: int, base_port: int, is_free: Callable[[int], bool]) -> list[NodePorts]:
    """Return ports for so many nodes: blocks from the base port upwards, leaving out those with a port in use.

    Raises:
      NoFreePorts: the port numbers end before all nodes have theirs.

    """
    allocated: list[NodePorts] = []
    first = base_port
    while len(allocated) < count:
        if first + USED - 1 > _PORT_CAP:
            raise NoFreePorts(
                f"expected free ports for {count} nodes from {base_port} on, got {len(allocated)}"
            )
        block = range(first, first + USED)
        if all(is_free(port) for port in block):
            allocated.append(NodePorts(*block))
        first += STRIDE
    return allocated


def list_spare_ports(first: int) -> range:
    """Return the ports that are set aside for the node whose first port this is, and that it does not use."""
    return range(first + USED, first + STRIDE)


def choose_base_port(directory: str) -> int:
    """Return where to look for ports when any will do; different directories start at different places."""
    digest = int.from_bytes(sha256(directory.encode()).digest()[:8], "big")
    return ANY_LOW + digest % (ANY_SPAN // STRIDE) * STRIDE

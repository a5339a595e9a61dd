"""Ports for servers of tests."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from abci_app.endpoint import Endpoint
from abci_app.probe import is_port_free
from localnet.ports import ANY_LOW, ANY_SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on at present.

    They lie below those of outgoing connections.  Among those a client that waits for its server can connect to
    itself, and so take the very port that it waits for.
    """
    found: list[int] = []
    while len(found) < count:
        port = ANY_LOW + int.from_bytes(os.urandom(4), "big") % ANY_SPAN
        if port not in found and is_port_free(Endpoint("127.0.0.1", port)):
            found.append(port)
    return found


@contextmanager
def taken_port(port: int) -> Iterator[None]:
    """Listen on a port.

    As servers do, also while connections of one that listened there before are about to be forgotten: another test's
    nodes may just have used it.
    """
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield

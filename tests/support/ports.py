"""Ports for servers of tests."""

from __future__ import annotations

import os

from abci_app.endpoint import Endpoint
from abci_app.probe import is_port_free
from localnet.ports import ANY_LOW, ANY_SPAN


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

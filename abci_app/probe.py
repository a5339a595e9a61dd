"""Look at sockets: is a port free, does a server accept connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from abci_app.errors import PortInUse

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.endpoint import Endpoint
    from abci_app.nodehome import NodeConfig


def check_ports_free(config: NodeConfig) -> None:
    """Check that nothing listens where the node is going to.

    Raises:
      PortInUse: something does.

    """
    for name, endpoint in config.listeners.items():
        if not is_port_free(endpoint):
            raise PortInUse(
                f"expected {endpoint} to be free for {name} of {config.name}, got another listener"
            )


def is_port_free(endpoint: Endpoint) -> bool:
    """Tell whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the past that linger do not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError:
            return False
    return True


def accepts_unix(path: Path) -> bool:
    """Tell whether a server accepts connections on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def accepts_tcp(endpoint: Endpoint) -> bool:
    """Tell whether a server accepts connections on a TCP port."""
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=1).close()
    except OSError:
        return False
    return True

"""A real gRPC server for a service that a test has made."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from abci_app.grpc_server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpc


@contextmanager
def serving(services: dict[str, Callable[[grpc.Server], None]]) -> Iterator[str]:
    """Serve services, by their full names; yield the address."""
    server = GrpcServer("127.0.0.1:0", list(services.items()))
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.stop()

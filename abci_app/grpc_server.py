"""The gRPC server of a node: its services, reflection and health, on a loopback address unless told otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from abci_app.errors import GrpcAddressInUse
from abci_app.waiting import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANSWERING: Final = 16
"""Threads that are left for everything else when as many calls as may wait for a block."""

WORKERS: Final = MAX_WAITING + ANSWERING
"""Threads for calls; one is started when a call finds none idle, so a node has as many as it ever needed at once."""

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
STOP_GRACE_S: Final = 1.0


class GrpcServer:
    """A started server."""

    def __init__(self, address: str, services: Sequence[tuple[str, Callable[[grpc.Server], None]]]) -> None:
        """Start to serve; `services` are (full name, function that adds the service to the server).

        Raises:
          GrpcAddressInUse: something else listens there.

        """
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="grpc"),
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ),
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [name for name, _ in services]
        for _, add in services:
            add(self._server)
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise GrpcAddressInUse(f"expected {address} to be free for gRPC, got: {error}") from error
        self._server.start()
        for name in ("", *names):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def stop(self) -> None:
        """Stop taking calls and give those in flight a moment."""
        self._health.enter_graceful_shutdown()
        self._server.stop(STOP_GRACE_S).wait()

"""Addresses that are taken when a server wants to listen there."""

from __future__ import annotations

import socket

import pytest

from abci_app.errors import GrpcAddressInUse
from abci_app.grpc_server import GrpcServer


def test_a_grpc_address_that_is_taken_is_an_error_with_its_own_code() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(GrpcAddressInUse, match=f"expected {address} to be free for gRPC, got: "):
            GrpcServer(address, [])


def test_two_grpc_servers_do_not_share_an_address() -> None:
    """Linux lets them if both ask for it, and deals the calls out between them."""
    first = GrpcServer("127.0.0.1:0", [])
    try:
        with pytest.raises(GrpcAddressInUse):
            GrpcServer(f"127.0.0.1:{first.port}", [])
    finally:
        first.stop()

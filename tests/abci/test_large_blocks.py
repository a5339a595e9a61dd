"""The cost of a large block is linear: counted in bytes moved and calls of the system, not in seconds."""

from __future__ import annotations

import socket

import pytest

from abci_app.dispatch import build_routes
from abci_app.server import BaseApplication, _Connection
from tests.support.abci import AbciClient, frame, run_server
from tests.support.abci_requests import finalize_block
from wire.tendermint.abci import types_pb2
from wire.tendermint.abci.types_pb2 import Request, Response

MIB = 1 << 20
PIECE = 200_000
"""About what a unix socket hands over at once."""


class CountingSocket:
    """Delivers a stream in pieces, and counts what the connection asks of it."""

    def __init__(self, stream: bytes) -> None:
        self._rest = memoryview(stream)
        self.received = 0
        self.sent: list[bytes] = []

    def recv_into(self, space: memoryview, _count: int = 0, flags: int = 0) -> int:
        self.received += 1
        if flags & socket.MSG_DONTWAIT and not self._rest:
            raise BlockingIOError
        count = min(PIECE, len(space), len(self._rest))
        space[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.mark.parametrize("size", [MIB, 16 * MIB, 64 * MIB])
def test_a_block_is_received_in_as_few_calls_as_its_pieces_and_moved_only_at_its_start(size: int) -> None:
    request = frame(Request(finalize_block=finalize_block(1, [bytes(MIB)] * (size // MIB))))
    peer = CountingSocket(request)
    connection = _Connection(peer, build_routes(BaseApplication()), 1 << 30)  # type: ignore[arg-type]
    connection.serve()
    assert peer.received <= len(request) // PIECE + 4
    assert connection._frames.bytes_moved <= 2 * PIECE
    assert len(peer.sent) == 1


def test_a_proposal_of_many_megabytes_comes_back_whole_over_a_socket() -> None:
    txs = [bytes([number]) * MIB for number in range(24)]
    request = Request(prepare_proposal=types_pb2.RequestPrepareProposal(txs=txs, max_tx_bytes=100 * MIB))
    with run_server(BaseApplication()) as running, AbciClient(running.address) as client:
        assert list(client.call(request).prepare_proposal.txs) == txs


def test_a_large_answer_is_sent_without_joining_it_to_others() -> None:
    tx = bytes(4 * MIB)
    small = frame(Request(echo=types_pb2.RequestEcho(message="before")))
    large = frame(Request(prepare_proposal=types_pb2.RequestPrepareProposal(txs=[tx])))
    peer = CountingSocket(small + large + small)
    connection = _Connection(peer, build_routes(BaseApplication()), 1 << 30)  # type: ignore[arg-type]
    connection.serve()
    assert any(
        len(part) == len(types_pb2.ResponsePrepareProposal(txs=[tx]).SerializeToString())
        for part in peer.sent
    )
    stream = b"".join(peer.sent)
    expected = [
        Response(echo=types_pb2.ResponseEcho(message="before")),
        Response(prepare_proposal=types_pb2.ResponsePrepareProposal(txs=[tx])),
        Response(echo=types_pb2.ResponseEcho(message="before")),
    ]
    assert stream == b"".join(frame(answer.SerializeToString()) for answer in expected)

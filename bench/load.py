"""Post transactions to CometBFT as fast as it takes them, and wait until all are in blocks.

The loader must not be what is measured: requests are made before the clock starts, go over connections that stay
open, and answers are read when the clock has stopped.  Transactions are posted as forms, which is what our own
gateway does and what CometBFT takes fastest.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from abci_app.rpc import CometRpc
from bench.errors import LoadLost, NetworkStalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.endpoint import Endpoint

CONNECTIONS: Final = 8
"""Requests in flight.  More do not make a node faster."""

PATIENCE_S: Final = 120.0
POLL_S: Final = 0.01
_HEADERS_END: Final = b"\r\n\r\n"
_RECEIVE_BYTES: Final = 65_536


@dataclass(slots=True)
class _Lane:
    """One connection with what it has to post."""

    endpoint: Endpoint
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    failure: OSError | None = None

    def run(self, start: threading.Barrier) -> None:
        """Post everything, one request after the other."""
        try:
            with socket.create_connection((self.endpoint.host, self.endpoint.port), PATIENCE_S) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                start.wait()
                for request in self.requests:
                    peer.sendall(request)
                    self.answers.append(_receive_answer(peer))
        except OSError as error:
            self.failure = error
            start.abort()


def post_all(endpoints: Sequence[Endpoint], txs: Sequence[bytes]) -> float:
    """Post transactions, spread over the nodes, and return the seconds until the last one is in a block.

    Raises:
      LoadLost: a node refused one, or broke off.
      NetworkStalled: some are in no block after a long time.

    """
    lanes = [_Lane(endpoints[index % len(endpoints)]) for index in range(max(CONNECTIONS, len(endpoints)))]
    for index, tx in enumerate(txs):
        lane = lanes[index % len(lanes)]
        lane.requests.append(form_request(lane.endpoint, tx))
    start = threading.Barrier(len(lanes) + 1)
    threads = [threading.Thread(target=lane.run, args=(start,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        start.wait()
    except threading.BrokenBarrierError:
        _raise_failure(lanes)
        raise
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    _raise_failure(lanes)
    await_empty(endpoints)
    seconds = time.perf_counter() - begin
    for lane in lanes:
        for answer in lane.answers:
            check_answer(answer)
    return seconds


def form_request(endpoint: Endpoint, tx: bytes) -> bytes:
    """Return the HTTP request that posts a transaction."""
    body = b"tx=0x" + tx.hex().encode("ascii")
    head = (
        f"POST /broadcast_tx_sync HTTP/1.1\r\nHost: {endpoint}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def check_answer(body: bytes) -> None:
    """Check that a transaction passed CheckTx.

    Raises:
      LoadLost: it did not.

    """
    answer = json.loads(body)
    if "error" in answer or answer["result"]["code"]:
        raise LoadLost(f"expected a transaction to be taken, got {body[:500].decode('utf-8', 'replace')}")


def await_empty(endpoints: Sequence[Endpoint]) -> None:
    """Wait until no node has a transaction that is in no block.

    Raises:
      NetworkStalled: it takes too long.

    """
    deadline = time.monotonic() + PATIENCE_S
    clients = [CometRpc(f"http://{endpoint}") for endpoint in endpoints]
    try:
        waiting = clients
        while waiting:
            waiting = [client for client in waiting if client.mempool_size().txs]
            if time.monotonic() > deadline:
                raise NetworkStalled(f"expected all transactions in blocks within {PATIENCE_S:g} s")
            if waiting:
                time.sleep(POLL_S)
    finally:
        for client in clients:
            client.close()


def _raise_failure(lanes: Sequence[_Lane]) -> None:
    for lane in lanes:
        if lane.failure is not None:
            raise LoadLost(f"expected {lane.endpoint} to answer, got: {lane.failure}") from lane.failure


def _receive_answer(peer: socket.socket) -> bytes:
    """Read one answer whose length its head tells.

    Raises:
      ConnectionError: the node broke off, or answers otherwise.

    """
    received = b""
    while _HEADERS_END not in received:
        received += _receive_some(peer)
    head, _, body = received.partition(_HEADERS_END)
    length = _content_length(head)
    while len(body) < length:
        body += _receive_some(peer)
    return body


def _receive_some(peer: socket.socket) -> bytes:
    data = peer.recv(_RECEIVE_BYTES)
    if not data:
        raise ConnectionError("the node closed the connection")
    return data


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise ConnectionError("the node answered without a length")

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.endpoint import Endpoint
from bench.errors import LoadLost
from bench.kvchain import imitate
from bench.load import check_answer, form_request, post_all

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_CHARACTERS = 64


class FakeNode(BaseHTTPRequestHandler):
    """Takes forms, and says that nothing waits."""

    protocol_version = "HTTP/1.1"
    code = 0
    seen: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(body)
        self._answer({"result": {"code": self.code, "hash": "", "log": "", "codespace": ""}})

    def do_GET(self) -> None:
        self._answer({"result": {"n_txs": "0", "total": "0", "total_bytes": "0"}})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _answer(self, document: dict[str, object]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_node(code: int = 0) -> Iterator[tuple[Endpoint, list[bytes]]]:
    taken: list[bytes] = []
    handler = type("Handler", (FakeNode,), {"seen": taken, "code": code})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Endpoint("127.0.0.1", server.server_port), taken
        server.shutdown()
        thread.join()


def test_every_transaction_is_posted_once_as_a_form() -> None:
    txs = [b"transaction %d" % number for number in range(20)]
    with fake_node() as (first, seen), fake_node() as (second, seen_too):
        assert post_all([first, second], txs) > 0
    assert sorted(seen + seen_too) == sorted(b"tx=0x" + tx.hex().encode() for tx in txs)
    assert seen
    assert seen_too


def test_a_refused_transaction_is_no_throughput() -> None:
    with fake_node(code=7) as (endpoint, _), pytest.raises(LoadLost):
        post_all([endpoint], [b"transaction"])


def test_a_node_that_is_not_there_is_reported() -> None:
    with fake_node() as (endpoint, _):
        pass
    with pytest.raises(LoadLost):
        post_all([endpoint], [b"transaction"])


def test_an_error_of_the_rpc_is_reported() -> None:
    with pytest.raises(LoadLost, match="mempool is full"):
        check_answer(b'{"error": {"data": "mempool is full"}}')


def test_a_request_tells_the_length_of_its_body() -> None:
    head, _, body = form_request(Endpoint("127.0.0.1", 1), b"\x00\xff").partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert body == b"tx=0x00ff"


@given(st.binary(min_size=KEY_CHARACTERS + 2, max_size=300))
def test_an_imitation_has_the_size_of_the_original_and_one_separator(tx: bytes) -> None:
    imitation = imitate(tx)
    assert len(imitation.encoded) == len(tx)
    assert imitation.encoded.count(b"=") == 1
    assert b":" not in imitation.encoded
    assert len(imitation.key) == KEY_CHARACTERS


def test_an_imitation_keeps_all_other_bytes() -> None:
    tx = bytes(range(256)) * 2
    kept = [byte for byte in tx[KEY_CHARACTERS + 1 :] if byte not in b"=:"]
    assert [byte for byte in imitate(tx).value if byte not in b">;"] == [
        byte for byte in kept if byte not in b">;"
    ]

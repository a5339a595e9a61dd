"""An HTTP server that answers like CometBFT's RPC, as a test tells it to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server sends; no body at all cuts the connection."""

    body: bytes | None
    status: int = 200


@dataclass
class RpcServer:
    """A running server."""

    url: str
    answer: Callable[[str, bytes], Reply]
    """Takes the target and the body of a request."""
    requests: list[tuple[str, bytes, str]] = field(default_factory=list)
    """Target, body and content type of every request."""
    close_after_answer: bool = False
    """Close each connection without saying so, as a node does with one that was idle."""


def build_result(result: object) -> Reply:
    """Return an answer with a result."""
    return Reply(json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode())


def build_error(data: str, code: int = -32603, status: int = 500) -> Reply:
    """Return an answer with an error."""
    error = {"code": code, "message": "Internal error", "data": data}
    return Reply(json.dumps({"jsonrpc": "2.0", "id": -1, "error": error}).encode(), status)


@contextmanager
def running_rpc_server(answer: Callable[[str, bytes], Reply]) -> Iterator[RpcServer]:
    """Serve on a free port of the loopback interface."""
    server = RpcServer("", answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": server})) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: RpcServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.served.requests.append((self.path, body, self.headers.get("Content-Type", "")))
        reply = self.served.answer(self.path, body)
        if reply.body is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.close_connection = self.served.close_after_answer

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""

"""A client of the ABCI server, and a server that runs beside the test."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from abci_app.closing import Closing
from abci_app.framing import FrameBuffer, encode_varint
from abci_app.listener import UnixAddress, parse_address
from abci_app.server import Application, Server
from wire.tendermint.abci.types_pb2 import Request, RequestFlush, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIMEOUT_S = 60.0
"""How long a test waits for what must come, before it fails."""

FLUSH = Request(flush=RequestFlush())


def frame(message: Request | bytes) -> bytes:
    """Return a request as it travels."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return encode_varint(len(data)) + data


class AbciClient(Closing):
    """Speaks the socket protocol as CometBFT does."""

    def __init__(self, address: str) -> None:
        parsed = parse_address(address)
        if isinstance(parsed, UnixAddress):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(TIMEOUT_S)
            try:
                self.socket.connect(parsed.path)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection((parsed.host, parsed.port), timeout=TIMEOUT_S)
        self._frames = FrameBuffer()

    def send(self, *requests: Request) -> None:
        """Send requests without waiting."""
        self.socket.sendall(b"".join(map(frame, requests)))

    def receive(self) -> Response | None:
        """Return the next answer, or None when the server has closed the connection."""
        while (data := self._frames.next_message()) is None:
            try:
                count = self.socket.recv_into(self._frames.writable())
            except ConnectionResetError:
                return None
            if not count:
                return None
            self._frames.advance(count)
        return Response.FromString(data)

    def require(self) -> Response:
        """Return the next answer."""
        answer = self.receive()
        assert answer is not None, "the server closed the connection"
        return answer

    def call(self, request: Request) -> Response:
        """Send a request with a flush, and return its answer."""
        self.send(request, FLUSH)
        answer = self.require()
        if answer.WhichOneof("value") != "exception":
            assert self.require().WhichOneof("value") == "flush"
        return answer

    def pipeline(self, requests: Iterable[Request]) -> list[Response]:
        """Send requests while answers come in, as CometBFT does with CheckTx, and return all answers."""
        frames = [frame(request) for request in requests]
        sender = threading.Thread(target=self._send_all, args=(frames,))
        sender.start()
        answers = [self.require() for _ in frames]
        sender.join()
        assert self.require().WhichOneof("value") == "flush"
        return answers

    def _send_all(self, frames: list[bytes]) -> None:
        for start in range(0, len(frames), 64):
            self.socket.sendall(b"".join(frames[start : start + 64]))
        self.socket.sendall(frame(FLUSH))

    def close(self) -> None:
        self.socket.close()


class RunningServer:
    """A server in a thread.  `failure` holds what `serve_forever` raised, once it has ended."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.address = server.address
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self.server.serve_forever()
        except BaseException as error:  # noqa: BLE001
            self.failure = error

    def join(self) -> None:
        """Wait until the server has ended."""
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server did not end"

    def stop(self) -> None:
        """Stop the server and wait for it."""
        self.server.stop()
        self.join()


@contextmanager
def run_server(
    application: Application, address: str = "tcp://127.0.0.1:0", **options: int
) -> Iterator[RunningServer]:
    """Serve an application beside the test."""
    running = RunningServer(Server(application, address, **options))
    try:
        yield running
    finally:
        running.stop()

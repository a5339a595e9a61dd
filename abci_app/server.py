"""The ABCI socket server: CometBFT calls, an `Application` answers.

One thread a connection reads into one buffer, answers requests in their order, and sends answers when a Flush is
answered, when no complete request is left, or when enough have gathered.  There is no request id and no timeout in
ABCI: the order of the answers is all that CometBFT goes by.

A defect in the application ends the server: the caller gets `Response.exception` (which makes CometBFT stop),
the log gets the traceback, and `Server.serve_forever` raises.  Whoever runs the node starts both processes
again, and CometBFT replays what the application had not committed.  A peer that sends anything but ABCI merely
loses its connection.

Source: CometBFT, spec/abci/abci++_client_server.md; abci/client/socket_client.go.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
import traceback
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Final

import structlog

from abci_app.dispatch import answer_tag, build_routes, frame_answer, parse_request
from abci_app.errors import ApplicationFailed, NodeError
from abci_app.framing import DEFAULT_MAX_MESSAGE_BYTES, FrameBuffer
from abci_app.interface import Application, BaseApplication
from abci_app.listener import Listener
from wire.tendermint.abci.types_pb2 import ResponseException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.dispatch import Route

__all__ = ["Application", "BaseApplication", "Server", "serve"]

LOG = structlog.get_logger(__name__)

SEND_THRESHOLD_BYTES: Final = 256 * 1024
"""Answers are sent when this much has gathered, so that a long pipeline needs bounded memory."""

MAX_CONNECTIONS: Final = 64
"""CometBFT opens four."""

STOP_GRACE_S: Final = 10.0
"""How long a call in progress may take to finish when the server stops."""


class Server:
    """Listens from its construction on, and serves until `stop` or a defect.

    `max_message_bytes` bounds what a peer can make the server allocate.
    """

    def __init__(
        self,
        application: Application,
        address: str,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        """Bind the address.

        Raises:
          InvalidSocketAddress, SocketPathTooLong, SocketPathTaken, SocketInUse: it cannot be bound.

        """
        self._routes = build_routes(application)
        self._max_message_bytes = max_message_bytes
        self._stop_grace_s = stop_grace_s
        self._listener = Listener(address)
        self.address = self._listener.address
        # `stop` may run in a signal handler, where no lock can be waited for: it writes a byte here.
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_sender.setblocking(False)
        self._lock = threading.Lock()
        self._connections: dict[_Connection, threading.Thread] = {}
        self._failure: ApplicationFailed | None = None

    def serve_forever(self) -> None:
        """Serve until `stop` is called; then finish calls in progress, close everything and return.

        Raises:
          ApplicationFailed: a method of the application raised, or answered with something impossible.

        """
        LOG.info("server_listening", address=self.address)
        try:
            self._accept_until_stopped()
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        LOG.info("server_stopped", address=self.address)

    def stop(self) -> None:
        """Make `serve_forever` return.  May be called from any thread and from a signal handler, and again."""
        # A full pipe has been woken already, a closed one needs no waking.
        with suppress(OSError):
            self._wake_sender.send(b"\0")

    def _accept_until_stopped(self) -> None:
        with DefaultSelector() as selector:
            selector.register(self._listener.socket, EVENT_READ)
            selector.register(self._wake_receiver, EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake_receiver in ready:
                    return
                # A peer may give up between the two calls.
                with suppress(ConnectionAbortedError):
                    self._start_connection(self._listener.socket.accept()[0])

    def _start_connection(self, peer: socket.socket) -> None:
        peer.setblocking(True)
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS:
                LOG.warning("connection_refused", limit=MAX_CONNECTIONS)
                peer.close()
                return
            connection = _Connection(peer, self._routes, self._max_message_bytes)
            thread = threading.Thread(target=self._run_connection, args=(connection,), daemon=True)
            self._connections[connection] = thread
        thread.start()

    def _run_connection(self, connection: _Connection) -> None:
        """Serve one connection to its end, and tell whose fault the end is."""
        try:
            connection.serve()
        except ApplicationFailed as failure:
            self._fail(failure)
        except NodeError as error:
            LOG.warning("connection_closed", reason=str(error))
        except OSError as error:
            LOG.warning("connection_lost", reason=error.strerror)
        except BaseException as error:  # noqa: BLE001
            # A defect of the server itself, which must not end as a thread that nobody misses.
            self._fail(report_defect("the server", error))
        finally:
            connection.close()
            with self._lock:
                del self._connections[connection]

    def _fail(self, failure: ApplicationFailed) -> None:
        """Remember the first failure, and stop."""
        with self._lock:
            self._failure = self._failure or failure
        self.stop()

    def _close(self) -> None:
        """Let calls in progress finish, within the grace, and release all sockets."""
        self._listener.close()
        deadline = time.monotonic() + self._stop_grace_s
        with self._lock:
            open_connections = dict(self._connections)
        for connection in open_connections:
            connection.stop_reading()
        for thread in open_connections.values():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                LOG.error("call_abandoned", grace_s=self._stop_grace_s)
        self._wake_receiver.close()
        self._wake_sender.close()


class _Connection:
    """One peer: a buffer for what it sends, and the answers that wait to be sent."""

    def __init__(self, peer: socket.socket, routes: Mapping[str, Route], max_message_bytes: int) -> None:
        self._peer = peer
        self._routes = routes
        self._frames = FrameBuffer(max_message_bytes=max_message_bytes)
        self._answers: list[bytes] = []
        self._answers_bytes = 0

    def serve(self) -> None:
        """Answer requests until the peer closes.

        Raises:
          NodeError: the peer sent something else than ABCI requests.
          OSError: the connection broke.
          ApplicationFailed: the application failed; the peer has been told.

        """
        while True:
            data = self._frames.next_message()
            if data is not None:
                self._read_ahead()
                self._answer(data)
                continue
            self._send()
            count = self._peer.recv_into(self._frames.writable())
            if not count:
                if self._frames.pending_bytes:
                    LOG.warning("connection_ended_inside_a_message", pending_bytes=self._frames.pending_bytes)
                return
            self._frames.advance(count)

    def _read_ahead(self) -> None:
        """Take over what has arrived meanwhile, as far as the buffer has room, so that the peer need not wait to write.

        A CometBFT that waits to write burns processor time until it can: its timer for flushes is set to nanoseconds
        where milliseconds are meant, and finds nobody who listens.
        """
        room = self._frames.writable()
        if room:
            with suppress(BlockingIOError):
                self._frames.advance(self._peer.recv_into(room, 0, socket.MSG_DONTWAIT))

    def _answer(self, data: bytes) -> None:
        """Answer one request."""
        kind, request = parse_request(data)
        try:
            parts = self._routes[kind].answer(request)
        except BaseException as error:
            # Whatever it is, an exit included: a thread that ended silently would hang the chain.
            failure = report_defect(kind, error)
            self._send_exception(kind)
            raise failure from error
        for part in parts:
            self._answers.append(part)
            self._answers_bytes += len(part)
        if kind == "flush" or self._answers_bytes >= SEND_THRESHOLD_BYTES:
            self._send()

    def _send_exception(self, kind: str) -> None:
        """Tell the peer that the application failed, and no more: the error's text may hold secrets."""
        answer = ResponseException(error=f"the application failed in {kind}: see its log")
        self._answers.extend(frame_answer(answer_tag("exception"), answer))
        with suppress(OSError):
            self._send()

    def _send(self) -> None:
        """Send the answers that wait: small ones together, a large one without another copy."""
        if not self._answers:
            return
        answers, self._answers, self._answers_bytes = self._answers, [], 0
        gathered: list[bytes] = []
        for part in answers:
            if len(part) < SEND_THRESHOLD_BYTES:
                gathered.append(part)
                continue
            self._peer.sendall(b"".join(gathered))
            gathered.clear()
            self._peer.sendall(part)
        if gathered:
            self._peer.sendall(b"".join(gathered))

    def stop_reading(self) -> None:
        """Make the thread that serves this connection end after the call in progress."""
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Release the socket."""
        self._peer.close()


def report_defect(where: str, error: BaseException) -> ApplicationFailed:
    """Log the traceback of a defect, and return the failure that ends the server."""
    # Formatted here: a log's own renderer might add the values of variables.
    text = "".join(traceback.format_exception(error))
    # A full disk takes no log either, and must not keep the failure from ending the process.
    with suppress(OSError):
        LOG.critical("application_failed", where=where, traceback=text)
    failure = ApplicationFailed(f"expected {where} to work, got {type(error).__name__}")
    failure.__cause__ = error
    return failure


def serve(application: Application, address: str) -> None:
    """Serve an application until SIGTERM or SIGINT.  Call it from the main thread.

    Raises:
      ApplicationFailed: the application failed; the process should end with an error.
      NodeError: the address cannot be bound.

    """
    server = Server(application, address)
    previous = {
        number: signal.signal(number, lambda _number, _frame: server.stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        server.serve_forever()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

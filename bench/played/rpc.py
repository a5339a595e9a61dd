"""A small HTTP and websocket server in the place of CometBFT's RPC."""

from __future__ import annotations

import asyncio
import json
import threading
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bench.errors import NetworkStalled

if TYPE_CHECKING:
    from collections.abc import Callable

START_S: Final = 120.0


class PlayedRpc:
    """Serves what it is given on a free port of loopback, in a thread of its own."""

    def __init__(self, answer: Callable[[str, dict[str, str]], bytes], clock_s: Callable[[], float]) -> None:
        self._answer = answer
        self._clock_s = clock_s
        self._subscribers: set[ServerConnection] = set()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.port = 0
        """Known when it is started."""

    def start(self) -> None:
        """Serve, and return when the port is known.

        Raises:
          NetworkStalled: it takes too long.

        """
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        if not self._ready.wait(START_S):
            raise NetworkStalled(f"expected an RPC endpoint to listen within {START_S:g} s")

    def stop(self) -> None:
        """Stop serving, and wait for the end of it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def notify(self, height: int) -> None:
        """Tell all who have subscribed of a new block."""
        event = {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"query": "", "data": {"value": {"header": {"height": str(height)}}}},
        }
        text = json.dumps(event)

        async def send() -> None:
            await asyncio.gather(
                *(socket.send(text) for socket in set(self._subscribers)), return_exceptions=True
            )

        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(send(), self._loop)

    def drop_subscribers(self) -> None:
        """Cut all websockets."""

        async def close() -> None:
            for socket in set(self._subscribers):
                socket.transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await serve(self._handle_socket, "127.0.0.1", 0, process_request=self._process_request)
        self.port = next(iter(server.sockets)).getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await server.wait_closed()

    async def _handle_socket(self, socket: ServerConnection) -> None:
        message = json.loads(await socket.recv())
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}))
        self._subscribers.add(socket)
        try:
            await socket.wait_closed()
        finally:
            self._subscribers.discard(socket)

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path == "/websocket":
            return None
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self._answer(parts.path, query)
        date = formatdate(self._clock_s(), usegmt=True)
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close", "Date": date})
        return Response(HTTPStatus.OK.value, "OK", headers, body)

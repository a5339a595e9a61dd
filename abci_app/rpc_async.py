"""An asynchronous client of one CometBFT RPC endpoint, and a stream of new heights that misses none."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self, TypeVar

import aiohttp
import websockets

from abci_app import rpc_calls
from abci_app.both import finish_both
from abci_app.errors import EndpointUnreachable, RpcMalformed, RpcRefused
from abci_app.rpc import DEFAULT_TIMEOUT_S, check_url
from abci_app.rpc_answers import RawLightBlock
from abci_app.rpc_calls import Call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from abci_app.json_reader import JsonObject, JsonReader
    from abci_app.rpc_answers import (
        AbciInfo,
        Block,
        BlockResults,
        BroadcastOutcome,
        Header,
        MempoolSize,
        Status,
    )

T = TypeVar("T")

MAX_CONNECTIONS: Final = 20
SILENCE_S: Final = 5.0
"""A subscription that says nothing for so long is checked: a websocket can die without a word."""
RETRY_S: Final = 0.5
"""First pause before a lost endpoint is tried again; it doubles."""
LONGEST_RETRY_S: Final = 8.0
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024

_SUBSCRIBE: Final = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"query": "tm.event='NewBlockHeader'"}}
)


def _parse_new_header(result: JsonReader) -> int:
    """Return the height of an event, or 0 for the confirmation of the subscription, which is empty."""
    if not result.to_object():
        return 0
    return result.child("data").child("value").child("header").integer("height")


_NEW_HEADER: Final = Call("websocket", _parse_new_header)


@cache
def _load_certificates() -> ssl.SSLContext:
    """Return the TLS context of all clients: each would load the same certificates, for 20 ms and 0.7 MB."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    date: str
    body: bytes


class AsyncCometRpc:
    """Asks one node.  Every method raises `EndpointUnreachable`, `RpcRefused` or `RpcMalformed`, and what it names."""

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Prepare a client; nothing is connected yet.

        Raises:
          InvalidSetting: the URL is none of http or https with a host.

        """
        self.url = check_url(url)
        self._timeout_s = timeout_s
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The session, which belongs to the event loop that asks first."""
        if self._opened is None:
            tls = _load_certificates() if self.url.startswith("https://") else True
            # The endpoint is named by its operator: proxies of the environment have no part in it.
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=tls),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._opened

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    async def status(self) -> Status:
        """Return how the node does."""
        return await self._ask(rpc_calls.status_call())

    async def health(self) -> None:
        """Return if the node answers."""
        await self._ask(rpc_calls.health_call())

    async def clock_ns(self) -> int | None:
        """Return the node's clock (Unix nanoseconds, to the second), or None if it does not tell.

        Go's HTTP server dates every answer (RFC 9110, section 6.6.1).
        """
        answer = await self._exchange(rpc_calls.health_call())
        try:
            moment = parsedate_to_datetime(answer.date)
        except ValueError:
            return None
        return int(moment.timestamp()) * 1_000_000_000

    async def header(self, height: int) -> Header:
        """Return a header, unverified; `HeightUnavailable` if the node does not have it."""
        return await self._ask(rpc_calls.header_call(height))

    async def commit(self, height: int | None = None) -> JsonObject:
        """Return the signed header of a height, or the newest; `HeightUnavailable` if the node does not have it."""
        return await self._ask(rpc_calls.commit_call(height))

    async def validators(self, height: int) -> tuple[JsonObject, ...]:
        """Return all validators of a height; `HeightUnavailable` if the node does not have it."""
        pages = [await self._ask(rpc_calls.validators_call(height, 1))]
        while not rpc_calls.is_last_page(pages, height):
            pages.append(await self._ask(rpc_calls.validators_call(height, len(pages) + 1)))
        return tuple(validator for page in pages for validator in page.validators)

    async def light_block(self, height: int) -> RawLightBlock:
        """Return what a light client needs of a height; `HeightUnavailable` if the node does not have it."""
        signed_header, validators = await finish_both(self.commit(height), self.validators(height))
        return RawLightBlock(height, signed_header, validators)

    async def block(self, height: int) -> Block:
        """Return a block with its transactions; `HeightUnavailable` if the node does not have it."""
        return await self._ask(rpc_calls.block_call(height))

    async def block_results(self, height: int) -> BlockResults:
        """Return what a block did; `HeightUnavailable` if the node does not have it."""
        return await self._ask(rpc_calls.block_results_call(height))

    async def abci_info(self) -> AbciInfo:
        """Return the height and hash that the app itself states."""
        return await self._ask(rpc_calls.abci_info_call())

    async def mempool_size(self) -> MempoolSize:
        """Return what waits for a block."""
        return await self._ask(rpc_calls.mempool_size_call())

    async def peer_count(self) -> int:
        """Return the number of connected peers."""
        return await self._ask(rpc_calls.peer_count_call())

    async def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        """Hand over a transaction and return the verdict of CheckTx.

        Raises:
          TxTooLarge: it exceeds a limit.
          MempoolFull: there is no room for it now.
          NodeCatchingUp: the node takes none at present.

        """
        try:
            return await self._ask(rpc_calls.broadcast_call(tx))
        except rpc_calls.TxAlreadyKnown:
            return rpc_calls.known_outcome(tx)

    async def subscribe_heights(self, cursor: int, attempts: int | None = None) -> AsyncGenerator[int, None]:
        """Yield every height above the cursor, in order and without a gap, as blocks are made.

        The subscription only says that there is something new.  What was missed while it was down, or while the
        caller was busy, follows from the node's height.  After a loss the endpoint is tried again, for ever or
        until so many attempts in a row have failed.  Who leaves the loop early closes the generator
        (`contextlib.aclosing`): otherwise its connection lives until the event loop gets round to it.

        Raises:
          EndpointUnreachable: the attempts are used up.

        """
        failures = 0
        while True:
            try:
                async with websockets.connect(
                    self._websocket_url,
                    max_size=MAX_EVENT_BYTES,
                    open_timeout=self._timeout_s,
                    proxy=None,
                    # CometBFT compresses nothing; to be ready for it would take memory for each endpoint.
                    compression=None,
                ) as socket:
                    await socket.send(_SUBSCRIBE)
                    newest = (await self.abci_info()).height
                    while True:
                        failures = 0
                        while cursor < newest:
                            cursor += 1
                            yield cursor
                        newest = max(newest, await self._next_height(socket))
            except (
                OSError,
                websockets.WebSocketException,
                EndpointUnreachable,
                RpcMalformed,
                RpcRefused,
            ) as error:
                failures += 1
                if attempts is not None and failures >= attempts:
                    raise EndpointUnreachable(f"expected new blocks from {self.url}, got: {error}") from error
            await asyncio.sleep(min(RETRY_S * 2 ** (failures - 1), LONGEST_RETRY_S))

    async def _next_height(self, socket: websockets.ClientConnection) -> int:
        """Return the height of the next event, or that of the app if there is none for a while.

        A block is stored before it is executed, so the node's own height may have no results yet.
        """
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await socket.recv()
        except TimeoutError:
            return (await self.abci_info()).height
        data = message if isinstance(message, bytes) else message.encode()
        return rpc_calls.read_answer(_NEW_HEADER, HTTPStatus.OK, data, self._websocket_url)

    @property
    def _websocket_url(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/websocket"

    async def _ask(self, call: Call[T]) -> T:
        answer = await self._exchange(call)
        return rpc_calls.read_answer(call, answer.status, answer.body, f"{self.url} {call.target}")

    async def _exchange(self, call: Call[T]) -> _Answer:
        method, headers = (
            ("GET", {}) if call.form is None else ("POST", {"Content-Type": rpc_calls.FORM_TYPE})
        )
        question = self._session.request(
            method, f"{self.url}/{call.target}", data=call.form, headers=headers, allow_redirects=False
        )
        try:
            async with question as answer:
                return _Answer(answer.status, answer.headers.get("Date", ""), await answer.read())
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error.os_error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"expected an answer from {self.url}, got: {str(error) or type(error).__name__}"
        )

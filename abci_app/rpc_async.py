"""An asynchronous client of one CometBFT RPC endpoint, and a stream of new heights that misses none."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self, TypeVar

import httpx
import websockets

from abci_app import rpc_calls
from abci_app.errors import EndpointUnreachable, RpcMalformed, RpcRefused
from abci_app.rpc import DEFAULT_TIMEOUT_S, check_url
from abci_app.rpc_answers import RawLightBlock
from abci_app.rpc_calls import Call

if TYPE_CHECKING:
    import ssl
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
    return httpx.create_ssl_context(trust_env=False)


def _choose_tls(url: str) -> ssl.SSLContext | bool:
    """Return what checks an endpoint's certificate; nothing does where the line is not encrypted."""
    return _load_certificates() if url.startswith("https://") else False


class AsyncCometRpc:
    """Asks one node.  Every method raises `EndpointUnreachable`, `RpcRefused` or `RpcMalformed`, and what it names."""

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Prepare a client; nothing is connected yet.

        Raises:
          InvalidSetting: the URL is none of http or https with a host.

        """
        self.url = check_url(url)
        self._timeout_s = timeout_s
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        # The endpoint is named by its operator: proxies of the environment have no part in it.
        self._client = httpx.AsyncClient(
            timeout=timeout_s, limits=limits, trust_env=False, verify=_choose_tls(self.url)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

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
        url = f"{self.url}/{rpc_calls.health_call().target}"
        try:
            answer = await self._client.get(url)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            moment = parsedate_to_datetime(answer.headers.get("Date", ""))
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
        # Both to their ends: what is left behind by a failure of the other would outlive the client.
        signed_header, validators = await asyncio.gather(
            self.commit(height), self.validators(height), return_exceptions=True
        )
        if isinstance(signed_header, BaseException):
            raise signed_header
        if isinstance(validators, BaseException):
            raise validators
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
                    self._websocket_url, max_size=MAX_EVENT_BYTES, open_timeout=self._timeout_s, proxy=None
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
        url = f"{self.url}/{call.target}"
        try:
            if call.form is None:
                answer = await self._client.get(url)
            else:
                answer = await self._client.post(
                    url, content=call.form, headers={"Content-Type": rpc_calls.FORM_TYPE}
                )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return rpc_calls.read_answer(call, answer.status_code, answer.content, f"{self.url} {call.target}")

    def _unreachable(self, error: httpx.HTTPError) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"expected an answer from {self.url}, got: {str(error) or type(error).__name__}"
        )

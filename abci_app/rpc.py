"""A blocking client of one CometBFT RPC endpoint.

It is built on the standard library alone: it lives in every node's app and in the tools that start nodes, where the
import of a full HTTP library would cost more time than everything they do with it.  `rpc_async` is the client of
programs that talk to many endpoints.
"""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from abci_app import rpc_calls
from abci_app.closing import Closing
from abci_app.errors import EndpointUnreachable, InvalidSetting
from abci_app.rpc_answers import RawLightBlock

if TYPE_CHECKING:
    from abci_app.json_reader import JsonObject
    from abci_app.rpc_answers import (
        AbciInfo,
        Block,
        BlockResults,
        BroadcastOutcome,
        Header,
        MempoolSize,
        Status,
    )
    from abci_app.rpc_calls import Call

T = TypeVar("T")

DEFAULT_TIMEOUT_S: Final = 10.0

_CONNECTION_ERRORS: Final = (OSError, http.client.HTTPException)


class CometRpc(Closing):
    """Asks one node.  Safe for use by several threads; each request in flight has its own connection.

    Every method raises `EndpointUnreachable`, `RpcRefused` or `RpcMalformed`, and what it names itself.
    """

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Prepare a client; nothing is connected yet.

        Raises:
          InvalidSetting: the URL is none of http or https with a host.

        """
        self.url = check_url(url)
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def status(self) -> Status:
        """Return how the node does."""
        return self._ask(rpc_calls.status_call())

    def health(self) -> None:
        """Return if the node answers."""
        self._ask(rpc_calls.health_call())

    def header(self, height: int) -> Header:
        """Return a header, unverified; `HeightUnavailable` if the node does not have it."""
        return self._ask(rpc_calls.header_call(height))

    def commit(self, height: int | None = None) -> JsonObject:
        """Return the signed header of a height, or the newest; `HeightUnavailable` if the node does not have it."""
        return self._ask(rpc_calls.commit_call(height))

    def validators(self, height: int) -> tuple[JsonObject, ...]:
        """Return all validators of a height; `HeightUnavailable` if the node does not have it."""
        pages = [self._ask(rpc_calls.validators_call(height, 1))]
        while not rpc_calls.is_last_page(pages, height):
            pages.append(self._ask(rpc_calls.validators_call(height, len(pages) + 1)))
        return tuple(validator for page in pages for validator in page.validators)

    def light_block(self, height: int) -> RawLightBlock:
        """Return what a light client needs of a height; `HeightUnavailable` if the node does not have it."""
        return RawLightBlock(height, self.commit(height), self.validators(height))

    def block(self, height: int) -> Block:
        """Return a block with its transactions; `HeightUnavailable` if the node does not have it."""
        return self._ask(rpc_calls.block_call(height))

    def block_results(self, height: int) -> BlockResults:
        """Return what a block did; `HeightUnavailable` if the node does not have it."""
        return self._ask(rpc_calls.block_results_call(height))

    def abci_info(self) -> AbciInfo:
        """Return the height and hash that the app itself states."""
        return self._ask(rpc_calls.abci_info_call())

    def mempool_size(self) -> MempoolSize:
        """Return what waits for a block."""
        return self._ask(rpc_calls.mempool_size_call())

    def peer_count(self) -> int:
        """Return the number of connected peers."""
        return self._ask(rpc_calls.peer_count_call())

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        """Hand over a transaction and return the verdict of CheckTx.

        Raises:
          TxTooLarge: it exceeds a limit.
          MempoolFull: there is no room for it now.
          NodeCatchingUp: the node takes none at present.

        """
        try:
            return self._ask(rpc_calls.broadcast_call(tx))
        except rpc_calls.TxAlreadyKnown:
            return rpc_calls.known_outcome(tx)

    def _ask(self, call: Call[T]) -> T:
        http_status, body = self._exchange(call)
        where = f"{self.url} {call.target}"
        return rpc_calls.read_answer(call, http_status, body, where)

    def _exchange(self, call: Call[T]) -> tuple[int, bytes]:
        """Send a request on an idle connection, and again on a fresh one if the node closed it meanwhile.

        Sending twice is harmless: questions change nothing, and a transaction is known the second time.
        """
        idle = self._take_idle()
        if idle is not None:
            try:
                return self._exchange_on(idle, call)
            except _CONNECTION_ERRORS:
                idle.close()
        fresh = self._connect()
        try:
            return self._exchange_on(fresh, call)
        except _CONNECTION_ERRORS as error:
            fresh.close()
            shown = str(error) or type(error).__name__
            raise EndpointUnreachable(f"expected an answer from {self.url}, got: {shown}") from error

    def _exchange_on(self, connection: http.client.HTTPConnection, call: Call[T]) -> tuple[int, bytes]:
        base = urlsplit(self.url).path.rstrip("/")
        headers = {"Content-Type": rpc_calls.FORM_TYPE} if call.form is not None else {}
        method = "GET" if call.form is None else "POST"
        connection.request(method, f"{base}/{call.target}", call.form, headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return answer.status, body

    def _take_idle(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return make(parts.hostname or "", parts.port, timeout=self._timeout_s)


def check_url(url: str) -> str:
    """Return the URL of an endpoint; `tcp://`, as CometBFT writes it, means http.

    Raises:
      InvalidSetting: it is none of http or https with a host.

    """
    normal = "http://" + url.removeprefix("tcp://") if url.startswith("tcp://") else url
    try:
        parts = urlsplit(normal)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidSetting(f"expected an RPC address such as http://127.0.0.1:26657, got {url!r}")
    return normal.rstrip("/")

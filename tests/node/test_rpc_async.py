"""The asynchronous client of an RPC endpoint, against servers that do what a node seldom does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import EndpointUnreachable
from abci_app.rpc_async import MAX_CONNECTIONS, AsyncCometRpc
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEALTHY = b'HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{"jsonrpc":"2.0","id":-1,"result":{}} '
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{"


class Server:
    """Gives every request the same answer."""

    def __init__(self, answer: bytes, *, hangs_up: bool = False) -> None:
        self.answer = answer
        self.hangs_up = hangs_up
        """After each answer, without a word."""
        self.heads: list[bytes] = []
        self.connections = 0
        self.busy = 0
        self.most_busy = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.busy += 1
                self.most_busy = max(self.busy, self.most_busy)
                await asyncio.sleep(0.01)
                self.busy -= 1
                writer.write(self.answer)
                await writer.drain()
                if self.hangs_up:
                    break
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def ask(server: Server, question: Callable[[AsyncCometRpc], Awaitable[object]], user: str = "") -> None:
    """Let a client that waits a second put questions to a server."""

    async def run() -> None:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        try:
            async with AsyncCometRpc(f"http://{user}127.0.0.1:{port}", 1.0) as client:
                await question(client)
        finally:
            listener.close()

    asyncio.run(run())


@pytest.mark.parametrize("hangs_up", [True, False], ids=["cut off", "stalled"])
def test_an_answer_that_does_not_come_whole_is_none(hangs_up: bool) -> None:
    async def question(client: AsyncCometRpc) -> None:
        with pytest.raises(EndpointUnreachable):
            await client.health()

    ask(Server(CUT_OFF, hangs_up=hangs_up), question)


def test_a_port_where_nothing_listens_is_named_with_the_cause() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"

    async def run() -> None:
        async with AsyncCometRpc(url, 1.0) as client:
            await client.health()

    with pytest.raises(
        EndpointUnreachable, match=rf"expected an answer from {url}, got: .*Connect call failed"
    ):
        asyncio.run(run())


def test_a_connection_serves_one_question_after_the_other() -> None:
    server = Server(HEALTHY)

    async def question(client: AsyncCometRpc) -> None:
        for _ in range(3):
            await client.health()

    ask(server, question)
    assert (server.connections, len(server.heads)) == (1, 3)


def test_a_question_is_put_on_a_new_connection_when_the_server_has_closed_the_last() -> None:
    server = Server(HEALTHY, hangs_up=True)

    async def question(client: AsyncCometRpc) -> None:
        for _ in range(2):
            await client.health()

    ask(server, question)
    assert server.connections == 2


def test_no_more_questions_than_allowed_are_put_at_once() -> None:
    server = Server(HEALTHY)

    async def question(client: AsyncCometRpc) -> None:
        await asyncio.gather(*(client.health() for _ in range(2 * MAX_CONNECTIONS)))

    ask(server, question)
    assert (server.most_busy, len(server.heads)) == (MAX_CONNECTIONS, 2 * MAX_CONNECTIONS)


def test_name_and_password_of_an_endpoint_are_sent() -> None:
    server = Server(HEALTHY)
    ask(server, lambda client: client.health(), user="us%40er:word@")
    assert b"\r\nAuthorization: Basic dXNAZXI6d29yZA==\r\n" in server.heads[0]
    assert b"\r\nHost: 127.0.0.1:" in server.heads[0]

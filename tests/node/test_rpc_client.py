"""Both clients of the RPC, against a server that the test plays."""

from __future__ import annotations

import asyncio
import base64
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from abci_app.comet import GO_FORM_BYTES
from abci_app.context import Event
from abci_app.errors import (
    EndpointUnreachable,
    HeightUnavailable,
    InvalidSetting,
    MempoolFull,
    NodeCatchingUp,
    RpcMalformed,
    RpcRefused,
    TxTooLarge,
)
from abci_app.rpc import CometRpc, check_url
from abci_app.rpc_answers import BroadcastOutcome, ExecutedTx
from abci_app.rpc_async import AsyncCometRpc
from tests.support.ports import free_ports
from tests.support.rpc_server import Reply, build_error, build_result, running_rpc_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

STATUS = {
    "node_info": {"network": "hub", "id": "ab", "moniker": "hub.0", "version": "0.39.4"},
    "sync_info": {
        "latest_block_height": "12",
        "latest_app_hash": "00FF",
        "latest_block_time": "2026-11-22T15:46:37.087779353Z",
        "earliest_block_height": "3",
        "catching_up": False,
    },
    "validator_info": {"voting_power": "10"},
}


class Blocking:
    """The blocking client, called as the asynchronous one is."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, *arguments: object) -> Any:
        with CometRpc(self.url) as rpc:
            return getattr(rpc, method)(*arguments)


class Asynchronous(Blocking):
    def call(self, method: str, *arguments: object) -> Any:
        async def ask() -> Any:
            async with AsyncCometRpc(self.url) as rpc:
                return await getattr(rpc, method)(*arguments)

        return asyncio.run(ask())


both_clients = pytest.mark.parametrize("client", [Blocking, Asynchronous])


@both_clients
def test_a_status_is_read(client: type[Blocking]) -> None:
    with running_rpc_server(lambda *_: build_result(STATUS)) as server:
        status = client(server.url).call("status")
    assert (status.chain_id, status.height, status.app_hash.hex()) == ("hub", 12, "00ff")
    assert status.block_time_ns == 1795362397_087779353
    assert (status.earliest_height, status.catching_up, status.voting_power) == (3, False, 10)
    assert [request[0] for request in server.requests] == ["/status"]


@both_clients
def test_results_of_a_block_are_read(client: type[Blocking]) -> None:
    event = {"type": "send_packet", "attributes": [{"key": "sequence", "value": "1", "index": False}]}
    tx = {"code": 3, "codespace": "hub", "log": "no", "data": "AQI=", "gas_used": "7", "events": [event]}
    answer = {"height": "5", "txs_results": [tx], "finalize_block_events": None, "app_hash": "AAE="}
    with running_rpc_server(lambda *_: build_result(answer)) as server:
        results = client(server.url).call("block_results", 5)
    expected = Event("send_packet", (("sequence", "1"),))
    assert results.txs == (ExecutedTx(3, "hub", "no", b"\1\2", 7, (expected,)),)
    assert (results.height, results.events, results.app_hash) == (5, (), b"\0\1")


@both_clients
def test_a_block_is_read_with_its_transactions(client: type[Blocking]) -> None:
    header = {
        "height": "5",
        "chain_id": "hub",
        "time": "2026-11-22T15:46:36Z",
        "app_hash": "AA",
        "proposer_address": "BB",
        "last_block_id": {"hash": "CC"},
    }
    block = {"header": header, "data": {"txs": [base64.b64encode(b"tx").decode()]}}
    with running_rpc_server(lambda *_: build_result({"block_id": {"hash": "CC"}, "block": block})) as server:
        read = client(server.url).call("block", 5)
    assert (read.block_hash, read.txs, read.header.app_hash, read.header.height) == (
        b"\xcc",
        (b"tx",),
        b"\xaa",
        5,
    )


@both_clients
def test_a_transaction_travels_as_a_form_in_hexadecimal(client: type[Blocking]) -> None:
    answer = build_result({"code": 0, "data": "", "log": "", "codespace": "", "hash": "AB"})
    with running_rpc_server(lambda *_: answer) as server:
        outcome = client(server.url).call("broadcast_tx_sync", b"\x01\xff")
    assert outcome == BroadcastOutcome(b"\xab")
    assert server.requests == [("/broadcast_tx_sync", b"tx=0x01ff", "application/x-www-form-urlencoded")]


@both_clients
def test_a_known_transaction_is_an_outcome_and_no_error(client: type[Blocking]) -> None:
    with running_rpc_server(lambda *_: build_error("tx already exists in cache")) as server:
        outcome = client(server.url).call("broadcast_tx_sync", b"tx")
    assert outcome.already_known
    assert outcome.tx_hash == sha256(b"tx").digest()


@both_clients
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Tx too large. Max size is 10, but got 11", TxTooLarge),
        ("tx pre check: tx size is too big: 10, max: 9", TxTooLarge),
        ("error reading request body: http: request body too large", TxTooLarge),
        ("mempool is full: number of txs 5 (max: 5), total txs bytes 1 (max: 2)", MempoolFull),
        ("mempool is still rechecking after a new committed block, so it is considered as full", MempoolFull),
        ("endpoint is closed while node is catching up", NodeCatchingUp),
        ("height 9 must be less than or equal to the current blockchain height 3", HeightUnavailable),
        ("height 1 is not available, lowest height is 3", HeightUnavailable),
        ("could not find results for height #7", HeightUnavailable),
        ("something else", RpcRefused),
    ],
)
def test_refusals_are_told_apart(client: type[Blocking], text: str, error: type[Exception]) -> None:
    with (
        running_rpc_server(lambda *_: build_error(text)) as server,
        pytest.raises(error, match="got error -32603"),
    ):
        client(server.url).call("broadcast_tx_sync", b"tx")


@both_clients
def test_a_transaction_that_go_would_drop_is_not_sent(client: type[Blocking]) -> None:
    with running_rpc_server(lambda *_: build_error("unasked")) as server:
        with pytest.raises(TxTooLarge):
            client(server.url).call("broadcast_tx_sync", bytes(GO_FORM_BYTES // 2))
        assert server.requests == []


@both_clients
@pytest.mark.parametrize(
    "reply",
    [
        Reply(b""),
        Reply(b"404 page not found\n", 404),
        Reply(b"[]"),
        Reply(b'{"result": {}}'),
        Reply(b"{}"),
        Reply(b'{"error": "text"}'),
        Reply(b'{"error": {"code": "x"}}'),
    ],
)
def test_an_answer_that_is_not_cometbfts_is_refused(client: type[Blocking], reply: Reply) -> None:
    with running_rpc_server(lambda *_: reply) as server, pytest.raises(RpcMalformed):
        client(server.url).call("status")


@both_clients
def test_an_endpoint_that_does_not_listen_is_unreachable(client: type[Blocking]) -> None:
    (port,) = free_ports(1)
    with pytest.raises(EndpointUnreachable, match=str(port)):
        client(f"http://127.0.0.1:{port}").call("status")


@both_clients
def test_an_endpoint_that_cuts_the_connection_is_unreachable(client: type[Blocking]) -> None:
    with running_rpc_server(lambda *_: Reply(None)) as server, pytest.raises(EndpointUnreachable):
        client(server.url).call("status")


@both_clients
@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_all_pages_of_validators_are_read_in_order(client: type[Blocking], count: int) -> None:
    def answer(target: str, _body: bytes) -> Reply:
        query = parse_qs(urlsplit(target).query)
        page, size = int(query["page"][0]), int(query["per_page"][0])
        members = range(count)[(page - 1) * size : page * size]
        return build_result({"total": str(count), "validators": [{"number": number} for number in members]})

    with running_rpc_server(answer) as server:
        validators = client(server.url).call("validators", 7)
    assert [validator["number"] for validator in validators] == list(range(count))


@both_clients
def test_a_node_that_promises_validators_it_does_not_have_is_refused(client: type[Blocking]) -> None:
    with running_rpc_server(lambda *_: build_result({"total": "5", "validators": []})) as server:
        with pytest.raises(RpcMalformed, match="expected 5 validators"):
            client(server.url).call("validators", 7)
        assert len(server.requests) == 1


@both_clients
def test_a_light_block_has_the_header_and_the_validators(client: type[Blocking]) -> None:
    def answer(target: str, _body: bytes) -> Reply:
        if target.startswith("/commit"):
            return build_result({"signed_header": {"header": {"height": "7"}}})
        return build_result({"total": "1", "validators": [{"address": "AA"}]})

    with running_rpc_server(answer) as server:
        block = client(server.url).call("light_block", 7)
    assert block.signed_header == {"header": {"height": "7"}}
    assert block.validators == ({"address": "AA"},)


def test_an_idle_connection_that_the_node_closed_is_replaced() -> None:
    with running_rpc_server(lambda *_: build_result(STATUS)) as server, CometRpc(server.url) as rpc:
        server.close_after_answer = True
        assert [rpc.status().height for _ in range(5)] == [12] * 5


def test_a_url_may_have_a_path() -> None:
    with running_rpc_server(lambda *_: build_result(STATUS)) as server:
        for client in (Blocking, Asynchronous):
            client(f"{server.url}/nodes/a/").call("status")
    assert [target for target, _, _ in server.requests] == ["/nodes/a/status"] * 2


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("tcp://127.0.0.1:26657", "http://127.0.0.1:26657"),
        ("https://rpc.example.org/", "https://rpc.example.org"),
    ],
)
def test_addresses_are_brought_to_one_form(text: str, url: str) -> None:
    assert check_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:26657", "ftp://a", "http://", "http://a:x", "http://a:99999", "http://[::1"]
)
def test_an_address_that_is_no_url_is_refused(text: str) -> None:
    for client in (CometRpc, AsyncCometRpc):
        with pytest.raises(InvalidSetting):
            client(text)


def collect(ask: Callable[[AsyncCometRpc], Awaitable[T]], url: str) -> T:
    async def run() -> T:
        async with AsyncCometRpc(url) as rpc:
            return await ask(rpc)

    return asyncio.run(run())


def test_a_subscription_to_nothing_ends_after_its_attempts() -> None:
    (port,) = free_ports(1)

    async def follow(rpc: AsyncCometRpc) -> list[int]:
        return [height async for height in rpc.subscribe_heights(0, attempts=1)]

    with pytest.raises(EndpointUnreachable, match="new blocks"):
        collect(follow, f"http://127.0.0.1:{port}")

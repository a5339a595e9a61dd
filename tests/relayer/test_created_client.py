"""A new client is the one that the transaction has created, whoever else creates one meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from abci_app.grpc_errors import RemoteError
from abci_app.rpc_async import AsyncCometRpc
from ibc.errors import ClientNotFound, CounterpartyNotFound
from relayer import queries
from relayer.errors import AnswerMalformed, HeightsDisagree
from relayer.service import link_chains
from relayer.submit import Submitter
from relayer.types import Height, TxHash
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, connected, running_pair
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

    from abci_app.rpc_answers import BlockResults
    from bench.played.node import PlayedNode
    from relayer.nodes import ChainNodes
    from relayer.queries import ClientInfo
    from relayer.types import ClientId
    from tests.support.relayer import Pair
    from tx.errors import AppError
    from tx.keys import SigningKey


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path, linked=False) as running:
        yield running


def test_who_links_at_the_same_time_as_another_takes_the_client_that_is_its_own(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Submitter.submit

    async def submit_after_another(
        self: Submitter, chain: ChainNodes, messages: Sequence[Message], key: SigningKey
    ) -> object:
        if isinstance(messages[0], client_tx_pb2.MsgCreateClient):
            await submit(self, chain, messages, key)
        return await submit(self, chain, messages, key)

    monkeypatch.setattr(Submitter, "submit", submit_after_another)
    (linked,) = asyncio.run(link_chains(pair.config))
    assert (linked.hub_client, linked.shard_client) == ("07-tendermint-1", "07-tendermint-1")


def lag(monkeypatch: pytest.MonkeyPatch, error: AppError) -> None:
    """Let the first answer about a client of each chain come from a node that is behind."""
    asked = queries.get_client
    behind = {"hub", "shard"}

    async def get_client(chain: ChainNodes, client_id: ClientId) -> ClientInfo:
        if chain.kind in behind:
            behind.remove(chain.kind)
            raise error
        return await asked(chain, client_id)

    monkeypatch.setattr(queries, "get_client", get_client)


@pytest.mark.parametrize(
    "error",
    [
        HeightsDisagree("not that far"),
        RemoteError(ClientNotFound.CODESPACE, ClientNotFound.CODE, "not yet"),
    ],
)
def test_a_node_that_does_not_know_the_new_client_yet_is_asked_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, error: AppError
) -> None:
    lag(monkeypatch, error)
    (linked,) = asyncio.run(link_chains(pair.config))
    assert (linked.hub_client, linked.shard_client) == (HUB_CLIENT, SHARD_CLIENT)


def test_what_else_a_node_says_about_the_new_client_ends_the_work(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lag(monkeypatch, RemoteError(CounterpartyNotFound.CODESPACE, CounterpartyNotFound.CODE, "something else"))
    with pytest.raises(RemoteError, match="something else"):
        asyncio.run(link_chains(pair.config))


def ask(pair: Pair, tx_hash: bytes, height: int) -> ClientInfo:
    """Return the client that a transaction of the hub has created."""

    async def look() -> ClientInfo:
        async with connected(pair.config) as (hub, _):
            return await queries.get_created_client(hub, TxHash(tx_hash), Height(height))

    return asyncio.run(look())


def list_executed(node: PlayedNode) -> list[tuple[bytes, int]]:
    """Return the hash of each executed transaction, and its height."""
    return [(sha256(tx).digest(), height) for height, block in list(node.blocks.items()) for tx in block.txs]


def test_a_transaction_tells_which_client_it_has_created(pair: Pair) -> None:
    asyncio.run(link_chains(pair.config))
    (creation, height), (registration, later) = list_executed(pair.hub)
    assert ask(pair, creation, height).client_id == HUB_CLIENT
    for tx_hash, wrong in ((registration, later), (creation, later)):
        with pytest.raises(AnswerMalformed, match=rf"{tx_hash.hex()} in block {wrong} of hub-1 to create"):
            ask(pair, tx_hash, wrong)


def test_a_block_whose_results_are_not_those_of_its_transactions_is_malformed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(link_chains(pair.config))
    (creation, height), _ = list_executed(pair.hub)
    honest = AsyncCometRpc.block_results

    async def shorten(self: AsyncCometRpc, height: int) -> BlockResults:
        return replace(await honest(self, height), txs=())

    monkeypatch.setattr(AsyncCometRpc, "block_results", shorten)
    with pytest.raises(AnswerMalformed, match=r"expected 1 results of block \d+ of hub-1, got 0"):
        ask(pair, creation, height)

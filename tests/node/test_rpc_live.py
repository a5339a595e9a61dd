"""The RPC clients against a real node."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from abci_app.comet import MIB
from abci_app.errors import HeightUnavailable, TxTooLarge
from abci_app.nodehome import load_config
from abci_app.process import read_pid_file
from abci_app.rpc import CometRpc
from abci_app.rpc_async import AsyncCometRpc
from tests.support.localnet import make_kvstore_home, running_node
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from abci_app.nodehome import NodeHome

pytestmark = pytest.mark.localnet


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHome]:
    home = make_kvstore_home(tmp_path_factory.mktemp("node") / "home")
    with running_node(home):
        wait_for_height(home, 2)
        yield home


@pytest.fixture
def rpc(home: NodeHome) -> Iterator[CometRpc]:
    with CometRpc(load_config(home).rpc_url) as client:
        yield client


def wait_for_height(home: NodeHome, height: int) -> None:
    def look() -> bool:
        with CometRpc(load_config(home).rpc_url) as client:
            try:
                return client.status().height >= height
            except Exception:  # noqa: BLE001 - whatever it is, it is not there yet
                return False

    eventually(look, f"height {height}")


def send(rpc: CometRpc, tx: bytes) -> int:
    """Hand over a transaction and return the height of its block."""
    start = rpc.status().height
    assert rpc.broadcast_tx_sync(tx).code == 0

    def find() -> int | None:
        # A block is stored before the app has executed it.
        newest = rpc.abci_info().height
        return next((height for height in range(start, newest + 1) if tx in rpc.block(height).txs), None)

    return eventually(find, "the block of the transaction")


def test_a_node_tells_how_it_does(home: NodeHome, rpc: CometRpc) -> None:
    status = rpc.status()
    assert (status.chain_id, status.moniker) == ("kv-test", "alone")
    assert status.version.startswith("0.")
    assert status.voting_power == 10
    assert rpc.peer_count() == 0
    rpc.health()


def test_the_largest_transaction_passes_every_limit_and_one_byte_more_does_not(rpc: CometRpc) -> None:
    key = b"large-" + os.urandom(4).hex().encode() + b"="
    send(rpc, key.ljust(4 * MIB, b"x"))
    with pytest.raises(TxTooLarge, match="Max size is 4194304"):
        rpc.broadcast_tx_sync(key.ljust(4 * MIB + 1, b"y"))
    with pytest.raises(TxTooLarge, match="request body too large"):
        rpc.broadcast_tx_sync(key.ljust(4 * MIB + 64 * 1024, b"y"))


def test_a_transaction_is_known_the_second_time(rpc: CometRpc) -> None:
    tx = b"again-" + os.urandom(4).hex().encode() + b"=1"
    height = send(rpc, tx)
    assert rpc.broadcast_tx_sync(tx).already_known
    results = rpc.block_results(height)
    assert [item.code for item in results.txs] == [0] * len(rpc.block(height).txs)


def test_the_header_of_the_next_height_has_the_hash_that_the_app_states(rpc: CometRpc) -> None:
    height = send(rpc, b"hash-" + os.urandom(4).hex().encode() + b"=1")
    eventually(lambda: rpc.abci_info().height > height, "the next block")
    assert rpc.header(height + 1).app_hash == rpc.block_results(height).app_hash
    assert rpc.abci_info().app_hash


def test_a_light_block_has_a_header_its_commit_and_its_validators(rpc: CometRpc) -> None:
    block = rpc.light_block(1)
    assert set(block.signed_header) == {"header", "commit"}
    assert len(block.validators) == 1
    assert rpc.commit() is not None


@pytest.mark.parametrize(
    "method", ["header", "commit", "validators", "light_block", "block", "block_results"]
)
def test_a_height_of_the_future_is_not_available(rpc: CometRpc, method: str) -> None:
    with pytest.raises(HeightUnavailable):
        getattr(rpc, method)(10**6)


def test_the_mempool_is_empty_when_all_is_in_blocks(rpc: CometRpc) -> None:
    send(rpc, b"last-" + os.urandom(4).hex().encode() + b"=1")
    eventually(lambda: rpc.mempool_size().txs == 0, "an empty mempool")
    assert rpc.mempool_size().size_bytes == 0


def test_a_subscription_yields_every_height_even_when_the_node_restarts(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")

    async def follow() -> list[int]:
        heights = []
        async with (
            AsyncCometRpc(load_config(home).rpc_url) as rpc,
            aclosing(rpc.subscribe_heights(0)) as stream,
        ):
            async for height in stream:
                heights.append(height)
                if height == 3:
                    comet = read_pid_file(home.pid_file("comet"))
                    assert comet is not None
                    os.kill(comet.pid, signal.SIGKILL)
                if height == 6:
                    return heights
        return heights

    with running_node(home):
        wait_for_height(home, 2)
        assert asyncio.run(asyncio.wait_for(follow(), 120)) == [1, 2, 3, 4, 5, 6]


def test_a_subscription_starts_above_its_cursor(home: NodeHome) -> None:
    async def first_above(cursor: int) -> int:
        async with (
            AsyncCometRpc(load_config(home).rpc_url) as rpc,
            aclosing(rpc.subscribe_heights(cursor)) as stream,
        ):
            return await anext(stream)

    assert asyncio.run(asyncio.wait_for(first_above(1), 120)) == 2

"""The whole relayer between two played chains: real proofs, real gRPC, real journal."""

from __future__ import annotations

import asyncio
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from abci_app.outcomes import OutcomeIndex
from abci_app.rpc_async import AsyncCometRpc
from relayer import driver
from relayer.errors import EndpointsDown
from relayer.events import BlockSeen, BodyWanted
from relayer.metrics import RelayMetrics
from relayer.queries import look_up_tx
from relayer.types import BodyKey, TimeNs, TxHash
from tests.support.relayer import (
    bulk_keys,
    connected,
    ended,
    received,
    running_relayer,
    until,
)
from tests.support.relayer_watching import Watched, watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from abci_app.rpc_answers import Block
    from relayer.nodes import ChainNodes
    from relayer.types import Link
    from tests.support.relayer import Pair


def test_packets_cross_in_both_directions_and_are_acknowledged(pair: Pair) -> None:
    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(4)
            for _ in range(3):
                pair.send_from_shard()
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 4, "four acknowledgements", task)
            await until(lambda: ended(pair.shard) == ["acknowledged"] * 3, "three acknowledgements", task)
            await until(lambda: pair.stages() == {"acknowledged": 7}, "all in the journal", task)

    asyncio.run(run())
    assert (received(pair.shard), received(pair.hub)) == (4, 3)


def test_a_transaction_that_nodes_have_forgotten_is_found_in_its_block(pair: Pair) -> None:
    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(1)
            await until(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement", task)
        height, block = next((number, block) for number, block in pair.shard.blocks.items() if block.txs)
        tx_hash = TxHash(sha256(block.txs[-1]).digest())
        made_ns = TimeNs(block.header.time.seconds * 10**9)
        pair.shard.application.outcomes = OutcomeIndex()
        async with connected(pair.config) as (_, shard):
            assert await look_up_tx(shard, tx_hash) is None
            assert await look_up_tx(shard, tx_hash, made_ns) == (height, None)
            assert await look_up_tx(shard, TxHash(bytes(32)), made_ns) is None
            assert await look_up_tx(shard, tx_hash, TimeNs(made_ns + 10**15)) is None

    asyncio.run(run())


def test_blocks_are_looked_through_for_one_transaction_at_a_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a chain stands still every transaction in flight is looked for, and each block may take many megabytes."""
    get_block = AsyncCometRpc.block
    under_way, most = 0, 0

    async def count(rpc: AsyncCometRpc, height: int) -> Block:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await get_block(rpc, height)
        finally:
            under_way -= 1

    monkeypatch.setattr(AsyncCometRpc, "block", count)

    async def look() -> None:
        async with connected(pair.config) as (hub, _):
            searches = (look_up_tx(hub, TxHash(bytes([place]) * 32), TimeNs(0)) for place in range(8))
            assert await asyncio.gather(*searches) == [None] * 8

    asyncio.run(look())
    assert most == 1


def test_a_checkpoint_is_followed_by_its_body(pair: Pair) -> None:
    body = os.urandom(65_536 * 3 + 77)

    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_shard(pair.shard.toy.add_body(1, 1, body))
            await until(lambda: len(bulk_keys(pair.hub, b"part/")) == 4, "all parts", task)

    asyncio.run(run())
    assert b"".join(value for _, value in bulk_keys(pair.hub, b"part/")) == body


def test_a_packet_that_expires_comes_back(pair: Pair) -> None:
    async def run() -> None:
        pair.send_from_hub(timeout_in_s=4)
        timeout_ns = time.time_ns() + 4 * 10**9
        await until(pair.hub.has_sent, "the packet to be sent")
        await asyncio.to_thread(pair.wait_for_time, timeout_ns)
        async with running_relayer(pair.config) as task:
            await until(lambda: ended(pair.hub) == ["timed out"], "a timeout", task)

    asyncio.run(run())
    assert received(pair.shard) == 0


def test_an_application_that_refuses_a_packet_sends_an_error_back(pair: Pair) -> None:
    pair.shard.toy.port.refuses.add(1)

    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(2)
            await until(lambda: ended(pair.hub) == ["refused", "acknowledged"], "both answers", task)

    asyncio.run(run())


def test_packets_that_were_sent_before_the_start_are_found(pair: Pair) -> None:
    async def run() -> None:
        pair.send_from_hub(5)
        await until(pair.hub.has_sent, "the packets to be sent")
        async with running_relayer(pair.config) as task:
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 5, "five acknowledgements", task)

    asyncio.run(run())


def test_a_second_start_goes_on_from_the_journal(pair: Pair) -> None:
    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(2)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements", task)
        pair.send_from_hub(3)
        await until(pair.hub.has_sent, "the packets to be sent")
        async with running_relayer(pair.config) as task:
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 5, "five acknowledgements", task)

    asyncio.run(run())
    assert received(pair.shard) == 5


def test_a_relayer_that_is_stopped_again_and_again_loses_nothing(pair: Pair) -> None:
    async def run() -> None:
        pair.send_from_hub(6)
        pause_s = 0.05
        while ended(pair.hub) != ["acknowledged"] * 6:
            async with running_relayer(pair.config):
                await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 3.0)

    asyncio.run(run())
    assert received(pair.shard) == 6


def test_a_subscription_that_breaks_off_misses_no_block(pair: Pair) -> None:
    async def run() -> None:
        async with running_relayer(pair.config) as task:
            for _ in range(4):
                pair.send_from_hub()
                pair.hub.drop_subscribers()
                pair.shard.drop_subscribers()
                await asyncio.sleep(0.1)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 4, "four acknowledgements", task)

    asyncio.run(run())


def test_a_chain_that_takes_no_transactions_gets_them_later(pair: Pair) -> None:
    async def run() -> None:
        pair.shard.refuse_broadcast = True
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(2)
            await until(lambda: pair.stages().get("submitted") == 2, "packets to be submitted", task)
            pair.shard.refuse_broadcast = False
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements", task)

    asyncio.run(run())
    assert len(pair.shard.taken) == len(set(pair.shard.taken))


def test_blocks_that_the_node_has_pruned_are_made_up_for(pair: Pair) -> None:
    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub()
            await until(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement", task)
        pair.send_from_hub(2)
        await until(pair.hub.has_sent, "the packets to be sent")
        before = pair.hub.height
        await until(lambda: pair.hub.height > before + 3, "more blocks")
        pair.hub.earliest = before + 3
        async with running_relayer(pair.config) as task:
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 3, "three acknowledgements", task)

    asyncio.run(run())


def test_another_node_is_asked_when_the_preferred_one_is_down(pair: Pair, tmp_path: Path) -> None:
    dead = pair.config.hub.nodes[0].__class__("http://127.0.0.1:9", "127.0.0.1:9")
    from dataclasses import replace

    config = replace(pair.config, hub=replace(pair.config.hub, nodes=(dead, *pair.config.hub.nodes)))

    async def run() -> None:
        async with running_relayer(config) as task:
            pair.send_from_hub(2)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements", task)

    asyncio.run(run())


def test_metrics_count_what_happens(pair: Pair) -> None:
    metrics = RelayMetrics()
    shard_client = {"chain": "shard-1", "client": "07-tendermint-0"}

    def sample(name: str, labels: dict[str, str]) -> float | None:
        return metrics.registry.get_sample_value(f"gradchain_relayer_{name}", labels)

    async def run() -> None:
        async with running_relayer(pair.config, metrics) as task:
            pair.send_from_hub(2)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements", task)
            await until(
                lambda: sample("packets_total", {"chain": "hub-1", "stage": "acknowledged"}) == 2.0,
                "two counted packets",
                task,
            )
            await until(
                lambda: sample("client_expiry_seconds", shard_client) is not None,
                "a look at the clients",
                task,
            )

    asyncio.run(run())
    assert 86_000 < (sample("client_expiry_seconds", shard_client) or 0) <= 86_400
    assert sample("blocked", {"chain": "hub-1", "client": "07-tendermint-0"}) == 0.0


def test_a_bug_in_an_effect_ends_the_relayer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from relayer.effects import Effects

    async def explode(self: Effects, action: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Effects, "perform", explode)

    async def run() -> None:
        async with running_relayer(pair.config) as task:
            await asyncio.wait([task])

    with pytest.raises(BaseExceptionGroup) as failure:
        asyncio.run(run())
    assert failure.group_contains(ZeroDivisionError)


def test_heights_are_announced_before_their_results_are_read(pair: Pair) -> None:
    async def read_some() -> Watched:
        async with watched([pair.hub.address], cursor=1) as hub:
            await hub.wait_for(lambda: len(hub.all_of(BlockSeen)) > 5, "some blocks")
        return hub

    hub = asyncio.run(read_some())
    heights = [block.height for block in hub.all_of(BlockSeen)]
    assert heights == list(range(2, len(heights) + 2))
    assert hub.heads


def test_bodies_are_looked_for_again_when_nodes_were_silent(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts without a journal knows of them from the hub alone."""
    calls: list[str] = []

    async def find(hub: ChainNodes, shard: ChainNodes, link: Link) -> AsyncIterator[BodyWanted]:
        calls.append(link.name)
        if len(calls) < 3:
            raise EndpointsDown("down")
        yield BodyWanted(BodyKey(link.shard, 1, 1, 0), b"r" * 32, 1)

    async def run() -> None:
        async with running_relayer(pair.config) as task:
            await until(lambda: len(calls) == 3, "a third question", task)

    monkeypatch.setattr(driver, "find_bodies", find)
    asyncio.run(run())

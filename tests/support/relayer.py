"""Two played chains on loopback, linked, and a relayer between them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.played.app import RELAYER, ToyChain
from bench.played.config import make_config
from bench.played.node import PlayedNode
from relayer.driver import Driver
from relayer.forkwatch import PAUSE_S
from relayer.journal import Journal, JournalReader
from relayer.keyring import KeyRing
from relayer.nodes import ChainNodes, connect
from relayer.service import link_chains
from tests.support.waiting import eventually
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from relayer.config import RelayerConfig
    from relayer.metrics import RelayMetrics

PATIENCE_S = 60.0
HUB_CLIENT = SHARD_CLIENT = "07-tendermint-0"


@dataclass
class Pair:
    """A hub, a shard, and the configuration of a relayer between them."""

    hub: PlayedNode
    shard: PlayedNode
    directory: Path
    config: RelayerConfig
    rounds: int = field(default=0)

    def send_from_hub(self, count: int = 1, timeout_in_s: int = 3600) -> None:
        """Let the hub's next block send packets."""
        for _ in range(count):
            self.rounds += 1
            content = fl_pb2.HubPacket(round_opened=fl_pb2.RoundOpened(task=1, round=self.rounds))
            self.hub.toy.outbox.append(
                (HUB_CLIENT, int(time.time()) + timeout_in_s, content.SerializeToString(deterministic=True))
            )

    def send_from_shard(self, checkpoint: fl_pb2.Checkpoint | None = None, timeout_in_s: int = 3600) -> None:
        """Let the shard's next block send a packet."""
        self.rounds += 1
        content = fl_pb2.ShardPacket(checkpoint=checkpoint or fl_pb2.Checkpoint(task=9, round=self.rounds))
        self.shard.toy.outbox.append(
            (SHARD_CLIENT, int(time.time()) + timeout_in_s, content.SerializeToString(deterministic=True))
        )

    def wait_for_time(self, time_ns: int) -> None:
        """Wait until both chains have a block that is later than a time: they judge by it, not by a clock."""
        for node in (self.hub, self.shard):
            eventually(lambda node=node: node.store.latest().time_ns > time_ns, "a later block")  # type: ignore[misc]

    def stages(self) -> dict[str, int]:
        """Return how many packets the journal has at each stage."""
        reader = JournalReader(self.config.journal)
        found: dict[str, int] = {}
        for record in reader.packets():
            found[record.stage] = found.get(record.stage, 0) + 1
        reader.close()
        return found

    def with_shard_nodes(self, *shard: PlayedNode) -> RelayerConfig:
        """Return a configuration in which the shard has several nodes."""
        nodes = tuple(node.address for node in shard)
        return replace(self.config, shards=(replace(self.config.shards[0], nodes=nodes),))

    def with_nodes(self, hub: tuple[PlayedNode, ...]) -> RelayerConfig:
        """Return a configuration in which the hub has several nodes."""
        nodes = tuple(node.address for node in hub)
        return replace(self.config, hub=replace(self.config.hub, nodes=nodes))


@contextmanager
def running_pair(directory: Path, *, linked: bool = True) -> Iterator[Pair]:
    """Run two chains; linked, unless told otherwise."""
    hub = PlayedNode("hub-1", ToyChain("hub"), directory / "hub").start()
    shard = PlayedNode("shard-1", ToyChain("shard"), directory / "shard").start()
    try:
        pair = Pair(hub, shard, directory, make_config(hub, shard, directory))
        if linked:
            asyncio.run(link_chains(pair.config))
        yield pair
    finally:
        hub.stop()
        shard.stop()


@asynccontextmanager
async def connected(config: RelayerConfig) -> AsyncIterator[tuple[ChainNodes, ChainNodes]]:
    """Yield clients of the hub's nodes and of the first shard's."""
    timeout_s = float(config.request_timeout_s)
    hub = connect(config.hub.chain_id, "hub", config.hub.nodes, timeout_s)
    shard = connect(config.shards[0].chain_id, "shard", config.shards[0].nodes, timeout_s)
    try:
        yield hub, shard
    finally:
        await hub.close()
        await shard.close()


@asynccontextmanager
async def running_relayer(
    config: RelayerConfig, metrics: RelayMetrics | None = None, fork_pause_s: float = PAUSE_S
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a relayer until the block ends."""
    async with connected(config) as (hub, shard):
        with Journal(config.journal) as journal:
            keys = KeyRing({hub.chain_id: (RELAYER,), shard.chain_id: (RELAYER,)})
            driver = Driver(
                config, journal, hub, {shard.chain_id: shard}, keys, metrics, fork_pause_s=fork_pause_s
            )
            task = asyncio.create_task(driver.run())
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()


async def until(condition: Callable[[], object], what: str, task: asyncio.Task[None] | None = None) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if task is not None and task.done():
            task.result()
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what} within {PATIENCE_S:g} s")
        await asyncio.sleep(0.02)


def bulk_keys(node: PlayedNode, prefix: bytes) -> list[tuple[bytes, bytes]]:
    """Return what a chain's state holds under a prefix."""
    return list(node.store.latest().scan("bulk", prefix))


def received(node: PlayedNode) -> int:
    """Return how many packets a chain's application has taken."""
    return len(bulk_keys(node, b"got/"))


def ended(node: PlayedNode) -> list[str]:
    """Return how the packets ended that a chain has sent, by sequence."""
    return [value.decode() for _, value in bulk_keys(node, b"ended/")]

"""Following a chain of played nodes, and what was told of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from relayer.events import BlockSeen, HeadSeen
from relayer.nodes import connect
from relayer.types import ChainId, Height
from relayer.watcher import Watcher
from tests.support.relayer import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from relayer.config import NodeAddress
    from relayer.nodes import ChainNodes
    from relayer.types import Link, LinkEnd

T = TypeVar("T")

HUB = ChainId("hub-1")


@dataclass
class Watched:
    """A hub that is followed."""

    nodes: ChainNodes
    seen: list[object] = field(default_factory=list)
    links: dict[LinkEnd, Link] = field(default_factory=dict)
    takes_blocks: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, what is told of blocks waits."""
    task: asyncio.Task[None] | None = None

    def all_of(self, *kinds: type[T]) -> list[T]:
        """Return the events of some kinds, in order."""
        return [event for event in self.seen if isinstance(event, kinds)]

    @property
    def heads(self) -> list[Height]:
        """Heights of the heads that were told of, in order."""
        return [event.height for event in self.all_of(HeadSeen)]

    async def wait_for_block(self, height: int) -> None:
        """Wait until a block of a height, or above, was told of, or fail."""
        await self.wait_for(
            lambda: any(block.height >= height for block in self.all_of(BlockSeen)),
            f"a block of height {height} or above",
        )

    async def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds, or fail."""
        await until(condition, what, self.task)


@asynccontextmanager
async def watched(addresses: Sequence[NodeAddress], cursor: int) -> AsyncIterator[Watched]:
    """Follow the hub by some nodes, from above a height on, until the block ends."""
    nodes = connect(HUB, "hub", addresses, 5.0)
    hub = Watched(nodes)
    hub.takes_blocks.set()

    async def put(event: object) -> None:
        if isinstance(event, BlockSeen):
            await hub.takes_blocks.wait()
        hub.seen.append(event)

    hub.task = asyncio.create_task(Watcher(nodes, hub.links, put, Height(cursor)).run())
    try:
        yield hub
    finally:
        hub.task.cancel()
        await asyncio.wait([hub.task])
        await nodes.close()

"""Following one chain: its newest height at once, and the results of every block in order.

A subscription only says that there is something new; blocks are read by height from the cursor on, so nothing is
missed while the relayer, a node, or the line was down.  Block results are fetched ahead, a few at a time.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from relayer import queries
from relayer.blocks import read_block
from relayer.errors import EndpointsDown
from relayer.events import BlocksSkipped
from relayer.evidence import leads_up
from relayer.types import NO_HEIGHT, Height, Link, LinkEnd
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from relayer.events import BlockSeen, HeadSeen, RelayEvent
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId

T = TypeVar("T")

LOG = structlog.get_logger(__name__)

BLOCKS_AHEAD: Final = 16
MOST_BEHIND: Final = 1_000
"""Blocks that are read after an outage, a few seconds' worth; of more than these, the open packets are listed."""
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0
STALL_S: Final = 15.0
"""After so long without a block another node is asked whether this one has stopped."""
STALL_BLOCKS: Final = 2
DOUBT_PAUSE_S: Final = 1.0
"""Between two looks at what all nodes say of the newest block."""


@dataclass(frozen=True, slots=True)
class _FetchedBlock:
    """A block as it was read when it came."""

    block: BlockSeen
    links: int
    """Ends of links that were known then.  None goes away."""


@dataclass(slots=True)
class Watcher:
    """Follows one chain for ever."""

    nodes: ChainNodes
    links: Mapping[LinkEnd, Link]
    put: Callable[[RelayEvent], Awaitable[None]]
    cursor: Height
    """All blocks up to here were read; 0 at the very first start."""
    head: Height = NO_HEIGHT
    """The newest height that was told of."""
    _newest: Height = NO_HEIGHT
    """The newest height that is known."""
    _fetches: asyncio.Queue[tuple[Height, asyncio.Task[_FetchedBlock]]] = field(
        default_factory=lambda: asyncio.Queue(BLOCKS_AHEAD)
    )
    _head_news: asyncio.Event = field(default_factory=asyncio.Event)
    _block_news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def chain(self) -> ChainId:
        """Id of the chain."""
        return self.nodes.chain_id

    async def run(self, until: Callable[[], Awaitable[None]] | None = None) -> None:
        """Follow the chain; ends only by being cancelled.

        The newest height is told at once.  Blocks are read when `until` has returned: those that are read before a link
        is known tell nothing of its packets, which must then be listed.
        """
        head = await retry(lambda: queries.get_head(self.nodes))
        await self._put_head(head)
        if until is not None:
            await until()
        if not self.cursor:
            await self._skip_to(head.height)
        while True:
            truth = await self._follow_until_false()
            await self._put_head(truth)
            if self.cursor > truth.height:
                await self._skip_to(truth.height)

    async def _follow_until_false(self) -> HeadSeen:
        """Follow the chain until a head turns out to be false, and return the true one."""
        self._newest = self.head
        self._fetches = asyncio.Queue(BLOCKS_AHEAD)
        # Not in one group: one that is being ended from within, when it is cancelled from outside, forgets the latter.
        watching = asyncio.create_task(self._watch())
        doubting = asyncio.create_task(self._doubt_heads())
        try:
            await asyncio.wait((watching, doubting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            doubting.cancel()
            await asyncio.wait((watching, doubting))
        if not watching.cancelled():
            watching.result()
        return doubting.result()

    async def _watch(self) -> None:
        """Follow the chain from the head that was told of last, and from the block that was read last."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._announce_heads())
            tasks.create_task(self._fetch_blocks(tasks))
            tasks.create_task(self._read_blocks(tasks))

    async def _follow(self) -> None:
        """Learn of each new block."""
        async with aclosing(self._heights(self.head)) as heights:
            async for height in heights:
                self._newest = height
                self._head_news.set()
                self._block_news.set()
                # A node that names a height far above has all those below follow at once.
                await asyncio.sleep(0)

    async def _doubt_heads(self) -> HeadSeen:
        """Look at what all nodes say whenever there is reason to doubt a head; return the true one if it is false."""
        while True:
            await self.nodes.doubts.wait()
            self.nodes.doubts.clear()
            truth = await self._find_true_head()
            if truth is not None:
                return truth
            await asyncio.sleep(DOUBT_PAUSE_S)

    async def _find_true_head(self) -> HeadSeen | None:
        """Return the newest block of the others if one node alone is as far as what was told, and cannot show it."""
        answers = await self.nodes.ask_each(lambda node: node.rpc.abci_info())
        told = max(self.head, self._newest, self.cursor)  # the cursor may be from before the start
        behind = [(answer.height, node) for node, answer in answers if answer.height < told]
        ahead = [node for node, answer in answers if answer.height >= told]
        if not behind or len(ahead) > 1:
            return None
        _, witness = max(behind, key=lambda pair: pair[0])
        try:
            truth = await queries.ask_head(self.chain, witness)
            # It may have gone on while others answered.
            if told - truth.height <= STALL_BLOCKS:
                return None  # so far apart are nodes that all do their work
            for node in ahead:
                if await leads_up(self.chain, (witness, truth.height), (node, told), time.time_ns()):
                    return None  # the others lag behind
                self.nodes.demote(
                    f"others are at {truth.height}, and it cannot show that the chain has block {told}", node
                )
        except AppError:
            return None  # one that does not show its own block is no witness
        # This very look has settled it.
        self.nodes.doubts.clear()
        return truth

    async def _heights(self, cursor: Height) -> AsyncGenerator[Height, None]:
        """Yield every height above the cursor, whatever happens to the nodes."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with aclosing(self.nodes.follow_heights(cursor)) as heights:
                    while True:
                        async with asyncio.timeout(STALL_S if len(self.nodes.nodes) > 1 else None):
                            cursor = Height(await anext(heights))
                        pause_s = FIRST_PAUSE_S
                        yield cursor
            except TimeoutError:
                await self._leave_stalled_node(cursor)
            except EndpointsDown as error:
                LOG.debug("no new blocks", chain=self.chain, reason=error.message)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _leave_stalled_node(self, cursor: Height) -> None:
        """Turn to another node if others have more blocks than the one that is followed."""
        answers = await self.nodes.ask_each(lambda node: node.rpc.status())
        newest = max((answer.height for _, answer in answers), default=0)
        if newest > cursor + STALL_BLOCKS:
            self.nodes.demote(f"it stopped at height {cursor}, others are at {newest}", self.nodes.followed)

    async def _announce_heads(self) -> None:
        """Tell of a new head as soon as its time is known; what waits for it need not wait for the blocks below.

        Of many that come together, as after an outage, the last one is enough.
        """
        while True:
            await self._head_news.wait()
            self._head_news.clear()
            while self.head < self._newest:
                await self._put_head(await retry(self._get_next_head))

    async def _get_next_head(self) -> HeadSeen:
        try:
            return await queries.get_height(self.nodes, self._next_head())
        except AppError:
            self.nodes.doubts.set()
            raise

    def _next_head(self) -> Height:
        return Height(self.head + 1) if self._newest - self.head <= BLOCKS_AHEAD else self._newest

    async def _put_head(self, head: HeadSeen) -> None:
        self.head = head.height
        await self.put(head)

    async def _fetch_block(self, height: Height) -> _FetchedBlock:
        """Fetch and read a block.  What it holds for the links is little beside its results, so these are dropped."""
        results = await retry(lambda: queries.get_block_results(self.nodes, height))
        return _FetchedBlock(read_block(self.chain, results, self.links), len(self.links))

    async def _fetch_blocks(self, tasks: asyncio.TaskGroup) -> None:
        """Start to fetch each block above the cursor, a few ahead of what is read."""
        following = self.cursor
        while True:
            following = max(following, self.cursor)
            if self.head - following > MOST_BEHIND:
                # Not to the newest one, whose header no node has shown yet.
                await self._skip_to(self.head)
            elif following < self._newest:
                following = Height(following + 1)
                task = tasks.create_task(self._fetch_block(following))
                await self._fetches.put((following, task))
            else:
                self._block_news.clear()
                await self._block_news.wait()

    async def _read_blocks(self, tasks: asyncio.TaskGroup) -> None:
        """Report the fetched blocks in order."""
        while True:
            height, task = await self._fetches.get()
            fetched = await self._await_block(height, task)
            while fetched is not None and fetched.links < len(self.links):
                fetched = await self._await_block(height, tasks.create_task(self._fetch_block(height)))
            if fetched is not None and height > self.cursor:
                await self.put(fetched.block)
                # It may have been set to a higher one meanwhile.
                self.cursor = max(self.cursor, height)

    async def _await_block(self, height: Height, task: asyncio.Task[_FetchedBlock]) -> _FetchedBlock | None:
        """Return a block, or None if no node keeps its results any more."""
        pause_s = 1.0
        while not task.done():
            await asyncio.wait([task], timeout=pause_s)
            if task.done() or height <= self.cursor:
                break
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await self._skip_pruned(height)
        if height <= self.cursor:
            task.cancel()
            return None
        return await task

    async def _skip_pruned(self, height: Height) -> None:
        """Go on above the blocks that the nodes have pruned."""
        try:
            status = await self.nodes.ask(lambda node: node.rpc.status())
            earliest = queries.check_height(status.earliest_height)
        except AppError:
            return
        if earliest > height:
            await self._skip_to(Height(earliest - 1))

    async def _skip_to(self, height: Height) -> None:
        """Go on above a height; what was sent up to there is found by listing the pending packets."""
        if 0 < self.cursor < height:
            LOG.warning("blocks skipped", chain=self.chain, first=self.cursor + 1, last=height)
        self.cursor = height
        await self.put(BlocksSkipped(self.chain, height))


async def retry(question: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, with growing pauses."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await question()
        except AppError as error:
            LOG.debug("asked in vain", reason=error.message)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

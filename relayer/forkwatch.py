"""Watching one chain for forks: its nodes against each other, and against what other chains' clients know of it.

A fork is the end of all trust in a chain: more than a third of its validators have signed two blocks of one height.
Nothing tells a light client so but somebody who has seen both.  Evidence goes to every chain that follows the forked
one, and freezes its client there; all other links go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from ibc.client_updates import claimed_state
from ibc.errors import ClientNotActive
from relayer import queries
from relayer.events import ClientSeen
from relayer.evidence import Follower, contradict, fetch_block, hash_of, show_fork
from relayer.types import ClientStatus, Height
from tx.errors import AppError
from tx.keys import format_address
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relayer.events import RelayEvent
    from relayer.evidence import Evidence
    from relayer.keyring import KeyRing
    from relayer.metrics import ForkOutcome, RelayMetrics
    from relayer.nodes import ChainNodes, Node
    from relayer.submit import Submitter
    from relayer.types import ChainId, Link, LinkEnd
    from wire.tendermint.types import types_pb2

LOG = structlog.get_logger(__name__)

PAUSE_S: Final = 5.0
"""Between two looks at a chain.  A fork that lasts is found at any time; this bounds how late."""


@dataclass(slots=True)
class ForkWatch:
    """Watches one chain for ever."""

    chain: ChainNodes
    nodes: Mapping[ChainId, ChainNodes]
    """All chains."""
    links: Mapping[LinkEnd, Link]
    """Every link that is ready, under both of its ends; filled by the driver as links are found."""
    keys: KeyRing
    submitter: Submitter
    put: Callable[[RelayEvent], Awaitable[None]]
    metrics: RelayMetrics | None = None
    pause_s: float = PAUSE_S
    first_pause_s: float = PAUSE_S
    """Before the first look, so that the watches of many chains do not look all at once."""
    _compared: dict[LinkEnd, Height] = field(default_factory=dict)
    """Newest height of each client that was compared with the nodes."""
    _told: str = ""
    """The last thing that people were told, so that they are not told again and again."""

    async def run(self) -> None:
        """Watch the chain; ends only by being cancelled."""
        await asyncio.sleep(self.first_pause_s)
        while True:
            await self.look()
            await asyncio.sleep(self.pause_s)

    async def look(self) -> None:
        """Look once.  What cannot be asked now is asked the next time."""
        newest = await self._ask_heights()
        if len(newest) > 1:
            await self._compare_nodes(newest)
        for follower in self._followers():
            try:
                await self._compare_client(follower, newest)
            except AppError as error:
                LOG.debug("client not compared", chain=self.chain.chain_id, reason=str(error))

    def _followers(self) -> list[Follower]:
        """Return the clients of this chain."""
        pairs = [(end, link) for end, link in self.links.items() if end.chain == self.chain.chain_id]
        others = [link.opposite(end) for end, link in pairs]
        return [Follower(other, self.nodes[other.chain]) for other in others]

    async def _ask_heights(self) -> list[tuple[Node, Height]]:
        """Return the nodes that answer, with their newest height."""
        answers = await asyncio.gather(*(_ask_height(node) for node in self.chain.nodes))
        pairs = zip(self.chain.nodes, answers, strict=True)
        return [(node, height) for node, height in pairs if height is not None and height > 0]

    async def _compare_nodes(self, newest: list[tuple[Node, Height]]) -> None:
        """Compare what the nodes serve at the newest height that all of them have."""
        height = min(height for _, height in newest)
        answers = await asyncio.gather(*(_ask_block(node, height) for node, _ in newest))
        blocks = [
            (node, block) for (node, _), block in zip(newest, answers, strict=True) if block is not None
        ]
        for node, block in blocks[1:]:
            first, first_block = blocks[0]
            if hash_of(block) != hash_of(first_block):
                await self._show_fork((first, node), height)
                return

    async def _show_fork(self, nodes: tuple[Node, Node], height: Height) -> None:
        """Tell every chain that follows this one of a fork."""
        urls = [node.address.rpc for node in nodes]
        self._tell("nodes serve different headers", f"{urls}", height=height, nodes=urls)
        for follower in self._followers():
            await self._report(follower, partial(show_fork, follower, nodes, height))

    async def _compare_client(self, follower: Follower, newest: list[tuple[Node, Height]]) -> None:
        """Compare the newest state of a client with what the nodes serve at its height."""
        end = follower.end
        info = await queries.get_client(follower.nodes, end.client)
        height = info.view.height
        if self.metrics is not None:
            self.metrics.set_client(end, info.view.status)
        if info.view.status is not ClientStatus.ACTIVE or self._compared.get(end) == height:
            return
        revision = info.state.revision
        known = await queries.get_consensus_state(follower.nodes, end.client, revision, height)
        for node, head in newest:
            block = await _ask_block(node, height) if head >= height else None
            if block is None:
                continue
            served = claimed_state(tendermint_pb2.Header(signed_header=block.signed_header))
            if served == known:
                self._compared[end] = height
            else:
                url = node.address.rpc
                self._tell(
                    "client contradicts node", f"{end} {height}", height=height, client=str(end), node=url
                )
                if await self._report(follower, partial(contradict, follower, node, height)):
                    return

    async def _report(self, follower: Follower, make: Callable[[int], Awaitable[Evidence]]) -> bool:
        """Make evidence for one client and submit it, unless the client is frozen already; tell whether it exists."""
        end = follower.end
        try:
            view = (await queries.get_client(follower.nodes, end.client)).view
            if view.status is not ClientStatus.ACTIVE:
                return True
            evidence = await make(self.submitter.clock_ns())
        except AppError as error:
            self._tell("no evidence of a fork", f"{end} {error}", client=str(end), reason=str(error))
            self._count("unproven")
            return False
        await self._submit(follower, evidence)
        return True

    async def _submit(self, follower: Follower, evidence: Evidence) -> None:
        end = follower.end
        key = self.keys.next_key(end.chain)
        messages = evidence.build_messages(end.client, format_address(key.public_key))
        fields = {"chain": self.chain.chain_id, "client": str(end), "height": evidence.height}
        try:
            executed = await self.submitter.submit(follower.nodes, messages, key)
        except AppError as error:
            if (error.CODESPACE, error.CODE) != (ClientNotActive.CODESPACE, ClientNotActive.CODE):
                LOG.warning("misbehaviour not submitted", **fields, reason=str(error))
                self._count("refused")
                return
            LOG.warning("client is frozen already", **fields)
        else:
            LOG.error("misbehaviour submitted: client frozen", **fields, included=executed.height)
            self._count("frozen")
        try:
            info = await queries.get_client(follower.nodes, end.client)
        except AppError:
            return  # the lane finds out when it submits something
        await self.put(ClientSeen(end, info.view))

    def _count(self, outcome: ForkOutcome) -> None:
        if self.metrics is not None:
            self.metrics.count_misbehaviour(self.chain.chain_id, outcome)

    def _tell(self, what: str, key: str, **fields: object) -> None:
        """Warn people, once for each thing that changes."""
        if f"{what} {key}" != self._told:
            self._told = f"{what} {key}"
            LOG.warning(what, chain=self.chain.chain_id, **fields)


async def _ask_height(node: Node) -> Height | None:
    try:
        return Height((await node.rpc.status()).height)
    except AppError:
        return None  # a node that is down is no witness


async def _ask_block(node: Node, height: Height) -> types_pb2.LightBlock | None:
    try:
        return await fetch_block(node, height)
    except AppError:
        return None  # nor is one that does not keep the height

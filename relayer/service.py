"""The relayer's commands as coroutines, and the process that runs one of them."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from abci_app.both import finish_all
from abci_app.keyfile import load_key
from relayer.driver import Driver
from relayer.each_link import ask_links
from relayer.errors import JournalMissing, ShardUnknown
from relayer.filters import CURE, list_doubts
from relayer.http_server import RelayServer
from relayer.journal import Journal, JournalReader
from relayer.keyring import KeyRing, load_keys
from relayer.link import LinkedShard, Linker, LinkReport
from relayer.metrics import RelayMetrics
from relayer.nodes import connect
from relayer.recovery import Recoverer
from relayer.sampler import Sampler
from relayer.status import StatusReport, collect_status
from relayer.submit import Submitter
from relayer.trail import Trail, trail_path
from relayer.watcher import STALL_BLOCKS
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence

    from relayer.config import RelayerConfig
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId

LOG = structlog.get_logger(__name__)

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
MEASURE_EVERY_S: Final = 15.0
"""Pause of a running relayer between two looks at how far all nodes are."""
BEHIND_S: Final = 2 * MEASURE_EVERY_S
"""How long a running relayer believes such a look."""


@asynccontextmanager
async def connected(
    config: RelayerConfig, slack_blocks: int = 0, period_s: float = math.inf
) -> AsyncIterator[tuple[ChainNodes, dict[ChainId, ChainNodes]]]:
    """Yield clients of the hub's nodes and of each served shard's; see `ChainNodes.prefer_newest`."""
    timeout_s = float(config.request_timeout_s)
    hub = connect(config.hub.chain_id, "hub", config.hub.nodes, timeout_s)
    shards = {
        shard.chain_id: connect(shard.chain_id, "shard", shard.nodes, timeout_s)
        for shard in config.served_shards
    }
    chains = (hub, *shards.values())
    try:
        await finish_all(chain.prefer_newest(slack_blocks, period_s) for chain in chains)
        yield hub, shards
    finally:
        for chain in chains:
            await chain.close()


async def link_chains(config: RelayerConfig) -> tuple[LinkedShard, ...]:
    """Set up the links to all shards of a configuration, as far as they are missing.

    Raises:
      AppError: a key is missing, a chain cannot be asked, or what exists cannot become a link.

    """
    report, problem = await link_each(config)
    if problem is not None:
        raise problem
    return report.links


async def link_each(config: RelayerConfig) -> tuple[LinkReport, AppError | None]:
    """Set up the links to all shards as far as they can be, and return the first error if one cannot.

    Raises:
      AppError: a key cannot be read.

    """
    async with connected(config) as (hub, shards):
        linker = _make_linker(config, hub)

        async def link(_hub: ChainNodes, shard: ChainNodes) -> LinkedShard:
            return await linker.link(shard)

        linked, failed, problem = await ask_links(link, hub, shards)
    return LinkReport(tuple(linked.values()), failed), problem


async def recover_clients(config: RelayerConfig, shard_id: ChainId) -> LinkedShard:
    """Bring back the expired or frozen clients of the link to a shard.

    Raises:
      ShardUnknown: the configuration does not name the shard.
      AppError: a key is missing, a chain cannot be asked, or refuses.

    """
    async with connected(config) as (hub, shards):
        shard = shards.get(shard_id)
        if shard is None:
            raise ShardUnknown(f"expected one of {', '.join(sorted(shards)) or 'no shards'}, got {shard_id}")
        return await Recoverer(_make_linker(config, hub)).recover(shard)


def _make_linker(config: RelayerConfig, hub: ChainNodes) -> Linker:
    authorities = {
        chain.chain_id: load_key(chain.authority_key_file)
        for chain in (config.hub, *config.served_shards)
        if chain.authority_key_file is not None
    }
    trusted = {chain.chain_id: chain.trusted for chain in config.chains if chain.trusted is not None}
    submitter = Submitter(time.time_ns, os.urandom, config.tx_life_s)
    return Linker(hub, authorities, config.client, submitter, trusted)


async def relay(config: RelayerConfig, *, retry_refused: bool = False) -> None:
    """Relay until the process is told to stop by SIGTERM or SIGINT.

    Raises:
      AppError: a key or the journal cannot be used.

    """
    keys = load_keys((config.hub, *config.served_shards))
    await _run_until_stopped(_relay(config, keys, retry_refused=retry_refused))
    LOG.info("relayer stopped")


async def _relay(config: RelayerConfig, keys: KeyRing, *, retry_refused: bool) -> None:
    """Relay until cancelled."""
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(Journal(config.journal))
        hub, shards = await stack.enter_async_context(connected(config, STALL_BLOCKS, BEHIND_S))
        trail = stack.enter_context(Trail(trail_path(config.journal)))
        driver = Driver(config, journal, hub, shards, keys, retry_refused=retry_refused, listeners=(trail,))
        beside: list[Coroutine[None, None, None]] = []
        if config.http is not None:
            driver.metrics = RelayMetrics((hub.chain_id, *shards))
            stack.enter_context(RelayServer(config.http, config.journal, driver.metrics.registry))
            beside.append(Sampler(config, hub, shards, keys, driver.metrics).run())
        for doubt in list_doubts(config.filter):
            LOG.warning("filter in doubt", reason=doubt, cure=CURE)
        LOG.info("relayer started", hub=hub.chain_id, shards=sorted(shards), process=os.getpid())
        async with asyncio.TaskGroup() as tasks:
            for work in (driver.run(), _prefer_newest((hub, *shards.values())), *beside):
                tasks.create_task(work)


async def _prefer_newest(chains: Sequence[ChainNodes]) -> None:
    """Find out for ever which nodes have stopped or go on again; small differences leave the order to the operator."""
    while True:
        await asyncio.sleep(MEASURE_EVERY_S)
        await finish_all(chain.prefer_newest(STALL_BLOCKS, BEHIND_S) for chain in chains)


async def _run_until_stopped(work: Coroutine[None, None, None]) -> None:
    """Run until a signal comes or the work fails.

    Raises:
      AppError: it failed as expected.

    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    running, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        running.cancel()
        stopping.cancel()
        failure, _ = await asyncio.gather(running, stopping, return_exceptions=True)
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
    if isinstance(failure, BaseExceptionGroup):
        expected = failure.subgroup(AppError)
        if expected is not None:
            raise _first(expected)
    if isinstance(failure, BaseException) and not isinstance(failure, asyncio.CancelledError):
        raise failure


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first failure in a group of groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def report_status(config: RelayerConfig) -> StatusReport:
    """Return the state of all links.

    Raises:
      JournalUnusable, JournalTooNew, JournalTooOld: the journal cannot be read.

    """
    with open_reader(config) as journal:
        async with connected(config) as (hub, shards):
            return await collect_status(hub, shards, config.journal, journal, time.time_ns())


@contextmanager
def open_reader(config: RelayerConfig) -> Iterator[JournalReader | None]:
    """Yield the journal for reading, or None if the relayer was never started: the chains can be asked all the same.

    Raises:
      JournalUnusable, JournalTooNew, JournalTooOld: it cannot be read.

    """
    try:
        journal = JournalReader(config.journal)
    except JournalMissing:
        yield None
        return
    try:
        yield journal
    finally:
        journal.close()

"""The relayer's process: events in, the machine's decisions, journal, effects out.

All decisions are taken in one loop.  It drains what has happened, lets the machine decide, writes the journal, and
only then starts the effects, each in a task of its own whose result comes back as an event.  So a slow or dead chain
holds up nothing but its own link.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, get_args

import structlog

from relayer import actions
from relayer.discovery import find_bodies, find_link
from relayer.effects import Effects
from relayer.events import Tick
from relayer.filters import take_ports
from relayer.forkwatch import PAUSE_S, ForkWatch
from relayer.machine import RelayMachine
from relayer.observer import Observer
from relayer.policy import Consequence, consequence_of, failure_of
from relayer.prover import Prover
from relayer.steady import SteadyClock
from relayer.submit import Submitter
from relayer.types import NO_HEIGHT, Link, LinkEnd
from relayer.watcher import LONGEST_PAUSE_S, Watcher
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from relayer.config import RelayerConfig
    from relayer.events import RelayEvent
    from relayer.journal import Journal
    from relayer.keyring import KeyRing
    from relayer.metrics import RelayMetrics
    from relayer.nodes import ChainNodes
    from relayer.state import RelayState
    from relayer.types import ChainId, TimeNs

LOG = structlog.get_logger(__name__)

QUEUE_EVENTS: Final = 4_096
TURN_EVENTS: Final = 256
"""Events that are taken in before the journal is written; what they decide is one write."""
LINK_PATIENCE_S: Final = 3.0
"""Blocks are read after this long even if a link is not found yet: its packets are then listed when it is."""
FIRST_LINK_PAUSE_S: Final = 0.1


class TurnListener(Protocol):
    """Who wants to know what was decided."""

    def note(self, decided: Iterable[actions.RelayAction], state: RelayState, now_ns: TimeNs) -> None:
        """Take note of a turn; must not wait for anything."""


@dataclass(slots=True)
class Driver:
    """Runs a relayer."""

    config: RelayerConfig
    journal: Journal
    hub: ChainNodes
    shards: Mapping[ChainId, ChainNodes]
    keys: KeyRing
    metrics: RelayMetrics | None = None
    retry_refused: bool = False
    listeners: Sequence[TurnListener] = ()
    """Told of every turn, after its effects were started."""
    admit: Callable[[RelayEvent], RelayEvent | None] = lambda event: event
    """What the machine is told of an event; None if nothing."""
    clock_ns: Callable[[], int] = time.time_ns
    random_bytes: Callable[[int], bytes] = os.urandom
    fork_pause_s: float = PAUSE_S
    _links: dict[LinkEnd, Link] = field(default_factory=dict)
    _events: asyncio.Queue[RelayEvent] = field(default_factory=lambda: asyncio.Queue(QUEUE_EVENTS))
    _steady: SteadyClock = field(init=False)
    """What the machine is told of time, and is woken by."""

    def __post_init__(self) -> None:
        self._steady = SteadyClock(self.clock_ns)

    async def run(self) -> None:
        """Relay until cancelled.

        Raises:
          JournalUnusable: the journal can no longer be written.

        """
        restored = await asyncio.to_thread(self.journal.restore)
        machine = RelayMachine(self.config.options, restored, retry_refused=self.retry_refused)
        nodes = {self.hub.chain_id: self.hub, **self.shards}
        effects = Effects(
            nodes=nodes,
            keys=self.keys,
            links=self._links,
            prover=Prover(nodes, self.clock_ns),
            clock_ns=self.clock_ns,
            random_bytes=self.random_bytes,
            tx_life_s=self.config.tx_life_s,
            max_tx_bytes=self.config.max_tx_bytes,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._decide(machine, effects, tasks))
            for number, chain in enumerate(nodes.values(), start=1):
                first_pause_s = self.fork_pause_s * number / len(nodes)
                tasks.create_task(self._watch_forks(chain, nodes, first_pause_s).run())
            finders = {
                chain_id: tasks.create_task(self._find_link(shard, tasks))
                for chain_id, shard in self.shards.items()
            }
            for chain in nodes.values():
                awaited = [finders[chain.chain_id]] if chain.chain_id in finders else [*finders.values()]
                cursor = restored.cursors.get(chain.chain_id, NO_HEIGHT)
                watcher = Watcher(chain, self._links, self._events.put, cursor)
                tasks.create_task(watcher.run(partial(_await_some_time, awaited)))

    def _watch_forks(
        self, chain: ChainNodes, nodes: Mapping[ChainId, ChainNodes], first_pause_s: float
    ) -> ForkWatch:
        submitter = Submitter(self.clock_ns, self.random_bytes, self.config.tx_life_s)
        return ForkWatch(
            chain,
            nodes,
            self._links,
            self.keys,
            submitter,
            self._events.put,
            self.metrics,
            self.fork_pause_s,
            first_pause_s,
        )

    async def _decide(self, machine: RelayMachine, effects: Effects, tasks: asyncio.TaskGroup) -> None:
        listeners = (Observer(self.metrics), *self.listeners)
        while True:
            batch = await self._next_events(machine)
            now_ns = self._steady()
            admitted = [event for event in map(self._admit, batch) if event is not None]
            decided = machine.handle_all(admitted, now_ns)
            writes = newest_writes(action for action in decided if isinstance(action, _JOURNAL))
            if writes:
                await self._write_journal(writes)
            for action in decided:
                if isinstance(action, _EFFECTS):
                    tasks.create_task(self._perform(effects, action))
            for listener in listeners:
                listener.note(decided, machine.state, now_ns)

    async def _write_journal(self, writes: Sequence[actions.JournalAction]) -> None:
        if self.journal.write(writes):
            # To its end, whatever is cancelled meanwhile: the journal is locked until then.
            commit = asyncio.get_running_loop().run_in_executor(None, self.journal.commit)
            await asyncio.shield(commit)
        else:
            self.journal.commit()

    def _admit(self, event: RelayEvent) -> RelayEvent | None:
        """Return what the configuration and the caller leave of an event."""
        taken = take_ports(event, self.config.filter)
        return None if taken is None else self.admit(taken)

    async def _next_events(self, machine: RelayMachine) -> list[RelayEvent]:
        """Return all events that wait, or a tick when its time comes first."""
        batch: list[RelayEvent] = []
        wake_ns = machine.next_wake_ns()
        pause_s = None if wake_ns is None else max(0.0, (wake_ns - self._steady()) / 1e9)
        try:
            async with asyncio.timeout(pause_s):
                batch.append(await self._events.get())
        except TimeoutError:
            return [Tick()]
        while len(batch) < TURN_EVENTS and not self._events.empty():
            batch.append(self._events.get_nowait())
        if wake_ns is not None and wake_ns <= self._steady():
            batch.append(Tick())
        return batch

    async def _perform(self, effects: Effects, action: actions.EffectAction) -> None:
        await self._events.put(await effects.perform(action))

    async def _find_link(self, shard: ChainNodes, tasks: asyncio.TaskGroup) -> None:
        """Wait until a shard's link exists, then take it up."""
        pause_s, reason = FIRST_LINK_PAUSE_S, ""
        while True:
            try:
                ready = await find_link(self.hub, shard)
                break
            except AppError as error:
                if error.message != reason:
                    reason = error.message
                    LOG.warning("link is not ready", shard=shard.chain_id, reason=str(error), cure=error.CURE)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        link = ready.link
        self._links.update(dict.fromkeys(link.ends, link))
        LOG.info("link found", shard=link.name, hub_client=link.hub.client, shard_client=link.shard.client)
        await self._events.put(ready)
        tasks.create_task(self._find_bodies(shard, link))

    async def _find_bodies(self, shard: ChainNodes, link: Link) -> None:
        """Tell of the bodies that the hub waits for from a shard; try again while nodes are silent."""
        pause_s, reason = FIRST_LINK_PAUSE_S, ""
        while True:
            try:
                async for wanted in find_bodies(self.hub, shard, link):
                    await self._events.put(wanted)
            except AppError as error:
                if error.message != reason:
                    reason = error.message
                    LOG.warning("bodies could not be listed", shard=link.name, reason=str(error))
                if consequence_of(failure_of(error)) is not Consequence.RETRY:
                    return
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _await_some_time(finders: Sequence[asyncio.Task[None]]) -> None:
    """Wait until links are found, but not for ever."""
    if finders:
        await asyncio.wait(finders, timeout=LINK_PATIENCE_S)


def newest_writes(writes: Iterable[actions.JournalAction]) -> list[actions.JournalAction]:
    """Return the last write of each thing: all of a turn are one transaction, so nobody sees those before."""
    newest: dict[object, actions.JournalAction] = {}
    for action in writes:
        match action:
            case actions.PutCursor(chain):
                newest[chain] = action
            case actions.PutTx(record):
                newest[record.tx_hash] = action
            case actions.PutPacket(record) | actions.PutBody(record):
                newest[record.key] = action
    return list(newest.values())


_JOURNAL: Final = get_args(actions.JournalAction)
_EFFECTS: Final = get_args(actions.EffectAction)

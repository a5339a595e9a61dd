"""What would be relayed now: the machine decides, headers and proofs are fetched and verified, nothing is sent.

The transactions are really built and signed, so that their sizes are true; none leaves this process.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, get_args

from abci_app.both import finish_all
from relayer import actions, queries
from relayer.discovery import find_link
from relayer.each_link import ask_links
from relayer.effects import Effects
from relayer.events import BlocksSkipped, Tick
from relayer.filters import take_ports
from relayer.machine import RelayMachine
from relayer.prover import Prover
from relayer.state import Restored
from relayer.types import NS_PER_SECOND, Step, TimeNs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relayer.config import RelayerConfig
    from relayer.each_link import UnknownLink
    from relayer.events import RelayEvent
    from relayer.journal import JournalReader
    from relayer.keyring import KeyRing
    from relayer.nodes import ChainNodes
    from relayer.types import BatchId, ChainId, Link, LinkEnd, PacketKey
    from tx.errors import AppError

MANY: Final = 1_000_000
"""Nothing is under way here, so nothing has to wait for it."""

_REASONS: Final = {
    Step.WAITING: "its proof needs the chain's next block",
    Step.SUBMITTED: "its transaction is under way",
}
_EFFECTS: Final = get_args(actions.EffectAction)


@dataclass(frozen=True, slots=True)
class PlannedPacket:
    """A packet in a transaction."""

    sequence: int
    duty: str
    """receive, acknowledge, timeout"""


@dataclass(frozen=True, slots=True)
class PlannedTx:
    """A transaction that would be sent."""

    chain: str
    client: str
    headers: int
    """Client updates in front of the packets."""
    size_bytes: int
    packets: tuple[PlannedPacket, ...]


@dataclass(frozen=True, slots=True)
class PlannedParts:
    """Parts of a checkpoint's body that would be fetched from the shard and sent to the hub."""

    shard: str
    task: int
    round: int
    parts: int


@dataclass(frozen=True, slots=True)
class WaitingPacket:
    """A packet that would not be sent yet."""

    chain: str
    client: str
    sequence: int
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would be sent at this moment."""

    txs: tuple[PlannedTx, ...]
    bodies: tuple[PlannedParts, ...]
    waiting: tuple[WaitingPacket, ...]
    unknown: tuple[UnknownLink, ...]
    """Links that could not be asked about."""


@dataclass(slots=True)
class _Rehearsal:
    machine: RelayMachine
    effects: Effects
    config: RelayerConfig
    tasks: set[asyncio.Task[RelayEvent]] = field(default_factory=set)
    signed: dict[BatchId, actions.SignBatch] = field(default_factory=dict)
    txs: list[PlannedTx] = field(default_factory=list)
    bodies: list[PlannedParts] = field(default_factory=list)
    planned: set[PacketKey] = field(default_factory=set)
    """Packets in one of the transactions."""

    def hear(self, event: RelayEvent) -> None:
        """Let the machine hear an event, and start what it wants but sending."""
        admitted = take_ports(event, self.config.filter)
        if admitted is None:
            return
        for action in self.machine.handle(admitted, TimeNs(time.time_ns())):
            if isinstance(action, actions.SignParts):
                key = action.key
                self.bodies.append(PlannedParts(key.shard.chain, key.task, key.round, len(action.indices)))
            elif isinstance(action, actions.BroadcastTx):
                self._plan_tx(action)
            elif isinstance(action, _EFFECTS):
                if isinstance(action, actions.SignBatch):
                    self.signed[action.batch] = action
                self.tasks.add(asyncio.create_task(self.effects.perform(action)))

    def _plan_tx(self, action: actions.BroadcastTx) -> None:
        """Note a transaction instead of sending it, a new one or one that the journal holds."""
        state = self.machine.state
        batch_id = state.txs[action.tx_hash].batch
        batch = None if batch_id is None else state.batches.get(batch_id)
        if batch is None:
            return
        records = [state.packets[key] for key in sorted(batch.items)]
        self.planned.update(batch.items)
        signed = self.signed.get(batch.batch_id)
        self.txs.append(
            PlannedTx(
                chain=batch.lane.chain,
                client=batch.lane.client,
                headers=0 if signed is None else len(signed.headers),
                size_bytes=len(action.tx_bytes),
                packets=tuple(PlannedPacket(record.key.sequence, record.duty.value) for record in records),
            )
        )

    async def run(self) -> None:
        """Go on until nothing is left to be done but sending and waiting."""
        while self.tasks:
            done, self.tasks = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self.hear(task.result())


async def rehearse(
    config: RelayerConfig,
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
    keys: KeyRing,
    journal: JournalReader | None,
) -> tuple[Plan, AppError | None]:
    """Return what would be relayed now, and the first error if a link could not be asked about.

    Raises:
      AppError: the hub, or a shard whose link is known, cannot be asked.

    """
    found, unknown, problem = await ask_links(find_link, hub, shards)
    nodes = {hub.chain_id: hub, **{shard: shards[shard] for shard in found}}
    links: dict[LinkEnd, Link] = {}
    restored = Restored() if journal is None else journal.unfinished()
    machine = RelayMachine(replace(config.options, max_in_flight=0, max_part_groups=0), restored)
    effects = Effects(
        nodes=nodes,
        keys=keys,
        links=links,
        prover=Prover(nodes, time.time_ns),
        clock_ns=time.time_ns,
        random_bytes=os.urandom,
        tx_life_s=config.tx_life_s,
        max_tx_bytes=config.max_tx_bytes,
    )
    rehearsal = _Rehearsal(machine, effects, config)
    heads = await finish_all(queries.get_head(chain) for chain in nodes.values())
    for head in heads:
        rehearsal.hear(head)
    for ready in found.values():
        links.update(dict.fromkeys(ready.link.ends, ready.link))
        rehearsal.hear(ready)
    for head in heads:
        # What the blocks since the journal's last one have done is asked for, instead of reading them.
        rehearsal.hear(BlocksSkipped(head.chain, head.height))
    try:
        await rehearsal.run()
        # Nothing was started before all was known: so the packets are together that would travel together.
        machine.state.options = replace(config.options, max_in_flight=MANY, max_part_groups=MANY)
        rehearsal.hear(Tick())
        await rehearsal.run()
    finally:
        for task in rehearsal.tasks:
            task.cancel()
        await asyncio.gather(*rehearsal.tasks, return_exceptions=True)
    txs = sorted(rehearsal.txs, key=lambda tx: (tx.chain, tx.packets[0].sequence if tx.packets else 0))
    waiting = _list_waiting(machine, rehearsal.planned)
    return Plan(tuple(txs), tuple(rehearsal.bodies), waiting, unknown), problem


def _list_waiting(machine: RelayMachine, planned: set[PacketKey]) -> tuple[WaitingPacket, ...]:
    """Return the packets that are in no planned transaction, with the reason that is known."""
    state = machine.state
    found: list[WaitingPacket] = []
    for key, record in sorted(state.packets.items()):
        if key in planned:
            continue
        failure = record.failure or state.lane_of(record).blocked
        reason = "" if failure is None else str(failure)
        if not reason:
            pause_s = max(0, record.not_before_ns - time.time_ns()) / NS_PER_SECOND
            reason = f"tried again in {pause_s:.1f} s" if pause_s else _REASONS.get(record.step, "")
        found.append(WaitingPacket(key.sender.chain, key.sender.client, key.sequence, record.stage, reason))
    return tuple(found)

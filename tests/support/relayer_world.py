"""Two chains in memory, a relayer's machine between them, and its journal.

Every action of the machine waits in `effects` until the test lets it happen; its result waits in `inbox` until the
test lets the machine hear it.  So a test can reorder, repeat and lose both, and crash the relayer at any point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from abci_app.errors import StateNotKept
from relayer import actions, events
from relayer.errors import PacketForged
from relayer.machine import RelayMachine
from relayer.policy import failure_of
from relayer.state import RelayOptions, Restored
from relayer.types import (
    NS_PER_SECOND,
    BodyKey,
    BodyRecord,
    ChainId,
    ClientId,
    Duty,
    Height,
    Link,
    LinkEnd,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)
from tests.support.relayer_chain import KEPT_STATES, START_NS, PacketTx, PartsTx, SimChain, SimClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

HUB = LinkEnd(ChainId("hub-1"), ClientId("07-tendermint-0"))
SHARD = LinkEnd(ChainId("shard-1"), ClientId("07-tendermint-7"))
LINK = Link(HUB, SHARD)
TX_LIFE_NS = 120 * NS_PER_SECOND
BLOCK_NS = NS_PER_SECOND
PAGE = 3
"""Packets in one answer to who lists them: few, so that lists go over several."""


class AnyJournal(Protocol):
    """What a world needs of a journal."""

    def apply(self, actions: Sequence[actions.JournalAction], /) -> None: ...

    def restore(self) -> Restored: ...


@dataclass
class MemoryJournal:
    """A journal whose writes are atomic a turn."""

    cursors: dict[ChainId, Height] = field(default_factory=dict)
    packets: dict[PacketKey, PacketRecord] = field(default_factory=dict)
    txs: dict[TxHash, TxRecord] = field(default_factory=dict)
    bodies: dict[BodyKey, BodyRecord] = field(default_factory=dict)

    def apply(self, batch: Sequence[actions.JournalAction], /) -> None:
        for action in batch:
            match action:
                case actions.PutCursor(chain, height):
                    self.cursors[chain] = height
                case actions.PutPacket(record):
                    self.packets[record.key] = record
                case actions.PutTx(record):
                    self.txs[record.tx_hash] = record
                case actions.PutBody(record):
                    self.bodies[record.key] = record

    def restore(self) -> Restored:
        return Restored(
            dict(self.cursors),
            tuple(record for record in self.packets.values() if record.step is not Step.DONE),
            tuple(record for record in self.txs.values() if record.state is TxState.PENDING),
            tuple(record for record in self.bodies.values() if not record.done),
        )


class Crash(Exception):
    """The relayer is to die now."""


@dataclass
class World:
    """Everything."""

    options: RelayOptions = field(default_factory=RelayOptions)
    hub: SimChain = field(default_factory=lambda: SimChain(HUB.chain))
    shard: SimChain = field(default_factory=lambda: SimChain(SHARD.chain))
    journal: AnyJournal = field(default_factory=MemoryJournal)
    retry_refused: bool = False
    now_ns: int = START_NS
    machine: RelayMachine = field(init=False)
    effects: list[actions.EffectAction] = field(default_factory=list)
    inbox: list[events.RelayEvent] = field(default_factory=list)
    notices: list[actions.NoticeAction] = field(default_factory=list)
    heard: list[events.RelayEvent] = field(default_factory=list)
    contents: dict[TxHash, PacketTx | PartsTx] = field(default_factory=dict)
    read_up_to: dict[ChainId, Height] = field(default_factory=dict)
    nonce: int = 0
    turns: int = 0
    crash_before_journal: Callable[[], bool] = lambda: False
    crash_after_journal: Callable[[], bool] = lambda: False
    asks: int = 0

    def __post_init__(self) -> None:
        self.hub.peers[SHARD.chain] = self.shard
        self.shard.peers[HUB.chain] = self.hub
        self.hub.clients[HUB.client] = SimClient(SHARD, {Height(1): self.shard.times[Height(1)]})
        self.shard.clients[SHARD.client] = SimClient(HUB, {Height(1): self.hub.times[Height(1)]})
        self.start()

    @property
    def chains(self) -> tuple[SimChain, SimChain]:
        return (self.hub, self.shard)

    def chain(self, chain_id: ChainId) -> SimChain:
        return self.hub if chain_id == HUB.chain else self.shard

    # --- the relayer's process ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the relayer, or start it again, from its journal."""
        restored = self.journal.restore()
        self.machine = RelayMachine(self.options, restored, retry_refused=self.retry_refused)
        self.effects.clear()
        self.inbox.clear()
        self.read_up_to = dict(restored.cursors)
        for chain in self.chains:
            if chain.chain_id not in self.read_up_to:
                self.read_up_to[chain.chain_id] = chain.height
                self.inbox.append(events.BlocksSkipped(chain.chain_id, chain.height))
            self.inbox.append(chain.head())
        self.inbox.append(events.LinkReady(LINK, self.hub.view(HUB.client), self.shard.view(SHARD.client)))

    def restart(self) -> None:
        """Die and start again."""
        self.start()

    def hear(self, event: events.RelayEvent) -> None:
        """Let the machine take in an event, as the driver does: journal first, effects after."""
        self.turns += 1
        result = self.machine.handle(event, TimeNs(self.now_ns))
        self.machine.validate()
        if self.crash_before_journal():
            raise Crash
        self.journal.apply([a for a in result if isinstance(a, actions.JournalAction)])
        self.heard.append(event)
        if self.crash_after_journal():
            raise Crash
        self.effects += [a for a in result if isinstance(a, actions.EffectAction)]
        self.notices += [a for a in result if isinstance(a, actions.NoticeAction)]

    def hear_next(self, index: int = 0) -> None:
        """Let the machine hear what waits."""
        self.hear(self.inbox.pop(index % len(self.inbox)))

    def do_next(self, index: int = 0) -> None:
        """Let an effect happen."""
        event = self.perform(self.effects.pop(index % len(self.effects)))
        self.inbox.append(event)

    def read_blocks(self, chain: SimChain) -> None:
        """Let the watcher of a chain report its newest block, and the blocks that it has not read."""
        self.inbox.append(chain.head())
        for height in range(self.read_up_to[chain.chain_id] + 1, chain.height + 1):
            self.inbox.append(chain.blocks[Height(height)])
        self.read_up_to[chain.chain_id] = chain.height

    def make_blocks(self) -> None:
        """Let a second pass: both chains make a block, and the relayer reads it."""
        self.now_ns += BLOCK_NS
        for chain in self.chains:
            chain.make_block(self.now_ns)
            self.read_blocks(chain)
        wake = self.machine.next_wake_ns()
        if wake is not None and wake <= self.now_ns:
            self.inbox.append(events.Tick())

    def settle(self) -> None:
        """Let everything happen that can happen now, in order."""
        while self.effects or self.inbox:
            while self.inbox:
                self.hear_next()
            if self.effects:
                self.do_next()

    def run(self, seconds: int) -> None:
        """Let everything happen for so many seconds."""
        self.settle()
        for _ in range(seconds):
            self.make_blocks()
            self.settle()

    def is_idle(self) -> bool:
        """Tell whether no packet and no body is on its way."""
        state = self.machine.state
        busy = any(chain.queue or chain.mempool or chain.state.commitments for chain in self.chains)
        return not (busy or state.packets or state.bodies or state.txs)

    def run_until_idle(self, limit_s: int = 600) -> None:
        """Let everything happen until all is done."""
        self.settle()
        for _ in range(limit_s):
            if self.is_idle():
                return
            self.make_blocks()
            self.settle()
        raise AssertionError(f"not done after {limit_s} s: {list(self.machine.state.packets.values())}")

    # --- sending --------------------------------------------------------------------------------------------------

    def send_from_hub(self, timeout_in_s: int = 3600) -> PacketKey:
        return self.hub.send(HUB, SHARD, self.now_ns // NS_PER_SECOND + timeout_in_s)

    def send_from_shard(
        self, timeout_in_s: int = 3600, checkpoint: fl_pb2.Checkpoint | None = None
    ) -> PacketKey:
        return self.shard.send(SHARD, HUB, self.now_ns // NS_PER_SECOND + timeout_in_s, checkpoint)

    # --- effects --------------------------------------------------------------------------------------------------

    def perform(self, action: actions.EffectAction) -> events.RelayEvent:
        """Do what the machine wants, and return the result."""
        match action:
            case actions.ProveBatch():
                return self._prove(action)
            case actions.SignBatch():
                heights = tuple(Height(int(header)) for header in action.headers)
                tx = PacketTx(
                    action.lane.client, action.target_height, heights, action.items, self._next_nonce()
                )
                tx_hash = self._remember(tx)
                return events.BatchSigned(action.batch, tx_hash, tx_hash, TimeNs(self.now_ns + TX_LIFE_NS))
            case actions.SignParts():
                tx_hash = self._remember(PartsTx(action.key, action.indices, self._next_nonce()))
                expires = TimeNs(self.now_ns + TX_LIFE_NS)
                return events.PartsSigned(action.key, action.group, tx_hash, tx_hash, expires)
            case actions.BroadcastTx(chain, tx_hash, _):
                failure = self.chain(chain).check_tx(tx_hash, self.contents[tx_hash])
                return events.TxAccepted(tx_hash) if failure is None else events.TxRefused(tx_hash, failure)
            case actions.LookUpTx(chain, tx_hash, since_ns):
                known = since_ns is not None or tx_hash not in self.chain(chain).forgotten
                outcome = self.chain(chain).outcomes.get(tx_hash) if known else None
                if outcome is None:
                    return events.TxUnknown(tx_hash, asked=True)
                return events.TxIncluded(tx_hash, *outcome)
            case _:
                return self._answer(action)

    def _answer(self, action: actions.EffectAction) -> events.RelayEvent:
        match action:
            case actions.QueryClient(end):
                return events.ClientSeen(end, self.chain(end.chain).view(end.client))
            case actions.ListPending():
                return self._list_pending(action)
            case actions.QueryPacket(key, receiver, least):
                self.asks += 1
                assert least <= self.chain(key.sender.chain).height, "no node could answer"
                source, target = self.chain(key.sender.chain).state, self.chain(receiver.chain).state
                return events.PacketStatusSeen(
                    key,
                    committed=key in source.commitments,
                    received=key in target.receipts,
                    acknowledgement=target.acks.get(key, b""),
                )
            case actions.QueryCheckpoint(key, hub):
                missing = self.chain(hub.chain).bodies.get(key)
                if missing is None:
                    return events.CheckpointSeen(key, events.BodyNeed.UNKNOWN, "waiting")
                need = events.BodyNeed.PARTS if missing else events.BodyNeed.NOTHING
                return events.CheckpointSeen(key, need, "complete", tuple(sorted(missing)))
            case _:
                raise AssertionError(f"no such effect: {action}")

    def _list_pending(self, action: actions.ListPending) -> events.PendingListed:
        chain, target = self.chain(action.end.chain), self.chain(action.receiver.chain).state
        assert action.least_height <= chain.height, "no node could answer"
        found = [
            sent
            for sent in chain.sent
            if sent.key.sender == action.end
            and sent.key.sequence >= action.start
            and sent.key in chain.state.commitments
        ]
        page = found[:PAGE]
        return events.PendingListed(
            action.end,
            tuple(
                events.ListedPacket(sent, sent.key in target.receipts, target.acks.get(sent.key, b""))
                for sent in page
            ),
            found[PAGE].key.sequence if len(found) > PAGE else 0,
        )

    def _prove(self, action: actions.ProveBatch) -> events.RelayEvent:
        origin = self.chain(action.origin.chain)
        state_height = Height(action.target_height - 1)
        if not origin.height - KEPT_STATES < state_height <= origin.height:
            return events.BatchFailed(action.batch, failure_of(StateNotKept("gone")))
        state = origin.history[state_height]
        items: list[events.ItemProved | events.ItemAbsent | events.ItemUnproved] = []
        for item in action.items:
            if item.duty is Duty.RECEIVE:
                found, expected = state.commitments.get(item.key), item.packet_bytes
            elif item.duty is Duty.ACKNOWLEDGE:
                found, expected = state.acks.get(item.key), item.acknowledgement
            else:
                found, expected = (None, b"") if item.key in state.receipts else (b"", b"")
            if found is None:
                items.append(events.ItemAbsent(item.key))
            elif found == expected:
                items.append(events.ItemProved(item.key, b"proof"))
            else:
                items.append(events.ItemUnproved(item.key, failure_of(PacketForged("another"))))
        needs_header = action.target_height > action.trusted_height
        headers = (str(action.target_height).encode(),) if needs_header else ()
        return events.BatchProved(action.batch, headers, origin.times[action.target_height], tuple(items))

    def _next_nonce(self) -> int:
        self.nonce += 1
        return self.nonce

    def _remember(self, tx: PacketTx | PartsTx) -> TxHash:
        tx_hash = TxHash(sha256(repr(tx).encode()).digest())
        self.contents[tx_hash] = tx
        return tx_hash

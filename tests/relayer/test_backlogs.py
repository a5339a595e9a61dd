"""Backlogs of several links to the same chain take turns while new packets go there."""

from __future__ import annotations

from dataclasses import dataclass, field

from relayer import actions, events
from relayer.errors import AnswerLost
from relayer.machine import RelayMachine
from relayer.policy import failure_of
from relayer.state import RelayOptions
from relayer.types import (
    BatchId,
    ChainId,
    ClientId,
    ClientStatus,
    ClientView,
    Height,
    Link,
    LinkEnd,
    PacketKey,
    TimeNs,
)
from tests.support.relayer_chain import START_NS, SUCCESS, TRUSTING_PERIOD_NS, make_packet

NOW = TimeNs(START_NS)
TIMEOUT_S = START_NS // 10**9 + 3600
HUB = ChainId("hub-1")
LINKS = 6
SLOTS = 2
OPEN = 6
"""Packets that each shard's backlog has."""
OPTIONS = RelayOptions(max_batch_packets=1, max_in_flight=4, live_in_flight=2, yield_in_flight=SLOTS)
LIVE = OPEN + 1
"""Sequence of the packet that is new."""


def hub_end(number: int) -> LinkEnd:
    return LinkEnd(HUB, ClientId(f"07-tendermint-{number}"))


def shard_end(number: int) -> LinkEnd:
    return LinkEnd(ChainId(f"shard-{number}"), ClientId("07-tendermint-0"))


def make_sent(number: int, sequence: int, height: int) -> events.SentPacket:
    packet = make_packet(shard_end(number), hub_end(number), sequence, TIMEOUT_S)
    return events.SentPacket(PacketKey(shard_end(number), sequence), packet, TIMEOUT_S, Height(height))


@dataclass
class Star:
    """A relayer between a hub and shards, and the batches of backlog that it has under way to the hub."""

    machine: RelayMachine = field(default_factory=lambda: RelayMachine(OPTIONS))
    under_way: dict[BatchId, PacketKey] = field(default_factory=dict)
    turns: list[int] = field(default_factory=list)
    """Of which shard each batch of backlog was that set out, in order."""
    now: TimeNs = NOW

    def __post_init__(self) -> None:
        view = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS)
        self.handle(events.HeadSeen(HUB, Height(9), NOW))
        for number in range(LINKS):
            self.handle(events.HeadSeen(shard_end(number).chain, Height(20), NOW))
            self.handle(events.LinkReady(Link(hub_end(number), shard_end(number)), view, view))
        # One new packet, and what was open before.
        self.handle(events.HeadSeen(shard_end(0).chain, Height(22), NOW))
        self.handle(events.BlockSeen(shard_end(0).chain, Height(21), sent=(make_sent(0, LIVE, 21),)))
        for number in range(LINKS):
            packets = tuple(events.ListedPacket(make_sent(number, 1 + place, 5)) for place in range(OPEN))
            self.handle(events.PendingListed(shard_end(number), packets))

    def handle(self, event: events.RelayEvent) -> None:
        for action in self.machine.handle(event, self.now):
            if isinstance(action, actions.ProveBatch) and action.lane.chain == HUB:
                (key,) = (item.key for item in action.items)
                if key.sequence != LIVE:
                    self.under_way[action.batch] = key
                    self.turns.append(int(key.sender.chain.removeprefix("shard-")))
        self.machine.validate()

    def receive(self, key: PacketKey, height: int) -> None:
        """Let a block of the hub hold a packet."""
        self.under_way = {batch: other for batch, other in self.under_way.items() if other != key}
        sent = make_sent(int(key.sender.chain.removeprefix("shard-")), key.sequence, 5)
        written = events.WrittenAck(key, sent.packet_bytes, TIMEOUT_S, SUCCESS)
        self.handle(events.BlockSeen(HUB, Height(height), written=(written,)))

    def receive_oldest(self, height: int) -> None:
        self.receive(next(iter(self.under_way.values())), height)


def test_backlogs_of_many_links_have_few_batches_under_way_to_a_chain_that_gets_new_packets() -> None:
    star = Star()
    assert len(star.under_way) == SLOTS
    for height in range(10, 10 + LINKS * OPEN):
        star.receive_oldest(height)
        assert len(star.under_way) <= SLOTS
    assert star.under_way == {}


def test_backlogs_of_many_links_take_turns() -> None:
    star = Star()
    for height in range(10, 10 + LINKS * (OPEN - 1)):
        star.receive_oldest(height)
    counts = [star.turns[: LINKS * (OPEN - 1)].count(number) for number in range(LINKS)]
    assert max(counts) - min(counts) <= 1


def test_a_link_that_cannot_go_on_takes_no_turn_from_the_others() -> None:
    star = Star()
    frozen = ClientView(Height(1), NOW, TRUSTING_PERIOD_NS, ClientStatus.FROZEN)
    halted = [number for number in range(LINKS) if number not in star.turns][:2]
    for number in halted:
        star.handle(events.ClientSeen(hub_end(number), frozen))
    height = 10
    while star.under_way:
        star.receive_oldest(height)
        height += 1
    done = [star.turns.count(number) for number in range(LINKS) if number not in halted]
    assert done == [OPEN] * (LINKS - len(halted))


def test_a_batch_that_fails_leaves_its_turn_to_the_next_link() -> None:
    star = Star()
    first = next(iter(star.under_way))
    before = len(star.turns)
    star.under_way.pop(first)
    star.handle(events.BatchFailed(first, failure_of(AnswerLost("lost"))))
    assert len(star.turns) == before + 1
    assert star.turns[-1] not in star.turns[:before]


def test_each_link_goes_on_with_its_backlog_once_no_new_packets_come() -> None:
    star = Star()
    star.now = TimeNs(NOW + OPTIONS.yield_ns)
    star.handle(events.Tick())
    assert len(star.under_way) == LINKS * (OPTIONS.max_in_flight - OPTIONS.live_in_flight)

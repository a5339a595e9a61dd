"""A relayer that dies at any arrow loses nothing, and pays for nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relayer.actions import BroadcastTx
from relayer.journal import Journal
from relayer.types import PacketKey
from tests.support.relayer_world import HUB, SHARD, AnyJournal, Crash, MemoryJournal, World
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from relayer.actions import JournalAction
    from relayer.state import Restored

CHECKPOINT = fl_pb2.Checkpoint(task=1, round=1, updates=2, body_bytes=65_536 * 60, body_root=b"r" * 32)
LATE = PacketKey(HUB, 3)


def play(
    world: World, *, results_first: bool, crash_turn: int | None = None, after_journal: bool = False
) -> int:
    """Relay a few packets of each kind, with a crash in one turn; return the number of turns."""

    def now_is_the_time() -> bool:
        return world.turns == crash_turn

    if after_journal:
        world.crash_after_journal = now_is_the_time
    else:
        world.crash_before_journal = now_is_the_time
    world.send_from_hub()
    world.send_from_hub()
    world.send_from_hub(timeout_in_s=1)
    world.send_from_shard()
    world.send_from_shard(checkpoint=CHECKPOINT)
    for _ in range(400):
        try:
            settle(world, results_first=results_first)
        except Crash:
            world.restart()
            continue
        if world.is_idle() and world.hub.sent:
            return world.turns
        world.make_blocks()
    raise AssertionError("not done")


def settle(world: World, *, results_first: bool) -> None:
    """Let everything happen: each result heard at once, or all effects before the first result."""
    while world.effects or world.inbox:
        if world.effects and not (results_first and world.inbox):
            world.do_next()
        else:
            world.hear_next()


def check(world: World) -> None:
    """Check that each packet was executed once, and that no transaction was without effect."""
    assert sorted(world.shard.received) == [PacketKey(HUB, 1), PacketKey(HUB, 2)]
    assert sorted(world.hub.received) == [PacketKey(SHARD, 1), PacketKey(SHARD, 2)]
    assert sorted(world.hub.ended) == [(PacketKey(HUB, 1), False), (PacketKey(HUB, 2), False), (LATE, True)]
    assert sorted(world.shard.ended) == [(PacketKey(SHARD, 1), False), (PacketKey(SHARD, 2), False)]
    assert world.hub.noops == world.shard.noops == 0
    assert all(failure is None for _, failure in world.hub.outcomes.values())
    assert all(failure is None for _, failure in world.shard.outcomes.values())
    assert list(world.hub.bodies.values()) == [set()]


@pytest.mark.parametrize("results_first", [True, False])
@pytest.mark.parametrize("after_journal", [True, False])
def test_a_crash_at_any_arrow_loses_nothing(results_first: bool, after_journal: bool) -> None:
    calm = World()
    turns = play(calm, results_first=results_first)
    check(calm)
    assert turns > 40
    for crash_turn in range(1, turns + 1):
        world = World()
        play(world, results_first=results_first, crash_turn=crash_turn, after_journal=after_journal)
        check(world)


@pytest.mark.parametrize("after_journal", [True, False])
def test_the_journal_on_disk_is_enough_to_go_on(tmp_path: Path, after_journal: bool) -> None:
    turns = play(World(), results_first=True)
    for crash_turn in range(1, turns + 1, 6):
        path = tmp_path / f"{crash_turn}.db"
        world = World(journal=ReopenedJournal(path))
        play(world, results_first=True, crash_turn=crash_turn, after_journal=after_journal)
        check(world)


class ReopenedJournal:
    """A journal on disk that is opened anew for each use, as after a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def apply(self, batch: Sequence[JournalAction], /) -> None:
        with Journal(self.path) as journal:
            journal.apply(batch)

    def restore(self) -> Restored:
        with Journal(self.path) as journal:
            return journal.restore()


def test_many_crashes_in_a_row_lose_nothing() -> None:
    world = World()
    rest = iter(range(1, 1_000))
    world.crash_after_journal = lambda: next(rest, 0) % 23 == 0
    play_through_crashes(world)
    check(world)


def play_through_crashes(world: World) -> None:
    world.send_from_hub()
    world.send_from_hub()
    world.send_from_hub(timeout_in_s=1)
    world.send_from_shard()
    world.send_from_shard(checkpoint=CHECKPOINT)
    for _ in range(600):
        try:
            settle(world, results_first=True)
        except Crash:
            world.restart()
            world.make_blocks()
            continue
        if world.is_idle() and world.hub.sent:
            return
        world.make_blocks()
    raise AssertionError("not done")


def test_a_lost_journal_costs_questions_but_no_packets() -> None:
    world = World()
    for _ in range(4):
        world.send_from_hub()
        world.send_from_shard()
    world.run(3)
    world.journal = MemoryJournal()
    world.restart()
    world.run_until_idle(120)
    assert len(world.shard.received) == len(set(world.shard.received)) == 4
    assert len(world.hub.received) == len(set(world.hub.received)) == 4


def test_packets_that_were_sent_while_the_relayer_was_away_are_found() -> None:
    world = World()
    world.run(2)
    for _ in range(5):
        world.send_from_hub()
    world.now_ns += 10**10
    world.hub.make_block(world.now_ns)
    world.hub.make_block(world.now_ns + 1)
    world.restart()
    world.run_until_idle(60)
    assert len(world.shard.received) == 5


def test_a_start_with_nothing_open_does_nothing() -> None:
    journal: AnyJournal = MemoryJournal()
    world = World(journal=journal)
    world.send_from_hub()
    world.run_until_idle(60)
    again = World(journal=journal, hub=world.hub, shard=world.shard, now_ns=world.now_ns)
    again.run(3)
    assert not again.machine.state.packets
    assert again.effects == []


def test_a_batch_that_was_under_way_before_a_restart_is_one_of_the_backlog() -> None:
    """So it counts where a backlog has one batch at a time."""
    world = World()
    world.run(2)
    key = world.send_from_hub()
    while key not in world.machine.state.packets or not world.machine.state.packets[key].tx_hash:
        world.make_blocks()
        while world.effects or world.inbox:
            if world.inbox:
                world.hear_next()
            elif isinstance(world.effects[0], BroadcastTx):
                break
            else:
                world.do_next()
    world.restart()
    while world.inbox and not world.machine.state.batches:
        world.hear_next()
    batches = world.machine.state.batches.values()
    assert [(list(batch.items), batch.is_backlog) for batch in batches] == [([key], True)]
